"""Small results of the stages of notebooks 01 to 03, for the tests of their answers."""

from eurosat_lib.audit import Audit, balance
from eurosat_lib.baselines import Baselines
from eurosat_lib.checks import (
    Architecture,
    Independence,
    InitialLoss,
    LayerGradient,
    Memory,
    Overfit,
    Pair,
    Pipeline,
    Sanity,
    ShuffledLabels,
    Variant,
)
from eurosat_lib.data import CLASSES
from eurosat_lib.overlaps import Overlap, Overlaps

EVEN = {"train": (60,) * 10, "validation": (20,) * 10, "test": (20,) * 10}


def audit(**changes) -> Audit:
    clean = dict.fromkeys(("duplicates", "duplicates_across", "black", "nodata", "flat"), 0)
    facts = {
        "source_kind": "folder",
        "source_location": "tuiles",
        "source_revision": None,
        "fingerprint": "abcdef012345" + "0" * 52,
        "published_lists": False,
        "classes": CLASSES,
        "counts": EVEN,
        "image_shape": (3, 64, 64),
        "saturated": 0,
        "channel_mean": (0.34, 0.38, 0.41),
        "channel_sd": (0.20, 0.14, 0.12),
        "faint": 0,
        "darkest": 12,
        "saturated_by_class": (0,) * 10,
        "faint_by_class": (0,) * 10,
        "extremes": {},
        "colours": (),
        "explained": (0.5, 0.45, 0.4),
        "centring": (0.0,) * 10,
    }
    counts = changes.get("counts", EVEN)
    facts |= {"balance": balance(list(counts.values()))}
    return Audit(**clean | facts | changes)


def overlaps(*pairs: Overlap) -> Overlaps:
    return Overlaps(
        images=1000,
        points=5000,
        same=0.9,
        correlations=tuple(p.correlation for p in pairs),
        capped=False,
        pairs=pairs,
        rejected=(),
    )


def pipeline(**changes) -> Pipeline:
    facts = {
        "batch_shape": (64, 3, 64, 64),
        "batch_dtype": "float32",
        "labels_shape": (64,),
        "labels_dtype": "int64",
        "label_min": 0,
        "label_max": 9,
        "input_shape": (3, 64, 64),
        "num_classes": 10,
        "batch_size": 64,
        "batches": {"train": 10, "validation": 4, "test": 4},
        "used": {"train": 600, "validation": 200, "test": 200},
        "value_min": -1.8,
        "value_max": 2.64,
        "value_mean": (-0.6, -0.3, 0.0),
        "value_sd": (0.9, 0.6, 0.5),
        "possible_min": -2.118,
        "possible_max": 2.64,
        "reshuffled": True,
        "repeatable": True,
        "fixed_order": True,
    }
    return Pipeline(**facts | changes)


def baselines(**changes) -> Baselines:
    facts = {
        "majority_class": "Forest",
        "majority_count": 60,
        "train_images": 600,
        "majority_validation": 0.1,
        "majority_test": 0.1,
        "uniform": 0.1,
        "uniform_validation_sd": 0.02,
        "uniform_test_sd": 0.02,
        "color_validation": 0.66,
        "thumbnail_validation": 0.4,
        "linear_train_images": 600,
        "validation_images": 500,
    }
    return Baselines(**facts | changes)


def architecture(side: int = 64, **changes) -> Architecture:
    sizes = {(2, 2): 48, (2, 3): 64, (3, 2): 70, (3, 3): 94}
    facts = {
        "input_shape": (3, side, side),
        "output_shape": (10,),
        "channels": (64, 128, 256),
        "blocks_per_stage": 2,
        "dilation_stage3": 2,
        "parameters": 1149770,
        "parameters_by_formula": 1149770,
        "tensors": 26,
        "layers": (),
        "variants": tuple(
            Variant(
                blocks_per_stage=b,
                dilation_stage3=d,
                parameters=1149770 if b == 2 else 1925258,
                parameters_by_formula=1149770 if b == 2 else 1925258,
                tensors=12 * b + 2,
                receptive_field=field,
                gflop_forward=0.6 * b,
                gflop_forward_counted=0.6 * b,
                gflop=1.5 * b,
                gflop_counted=1.5 * b,
            )
            for (b, d), field in sizes.items()
        ),
    }
    return Architecture(**facts | changes)


def initial(
    loss: float = 2.34, bias: float = 1e-5, lost: bool = False, shift: float = 0.0
) -> InitialLoss:
    gradients = [LayerGradient(name="stages.0.0.bias", norm=bias, values=4)]
    names = ("stages.0.0.weight", "stages.0.1.weight", "stages.0.1.bias", "head.weight")
    gradients += [LayerGradient(name=name, norm=0.5, values=4) for name in names]
    gradients.append(LayerGradient(name="head.bias", norm=0.0 if lost else 0.2, values=4))
    return InitialLoss(
        batch_shape=(64, 3, 64, 64),
        batch_dtype="float32",
        labels_shape=(64,),
        logits_shape=(64, 10),
        classes=10,
        loss=loss,
        grad_norm=1.0,
        gradients=tuple(gradients),
        losses=(2.25 + shift, 2.3 + shift, 2.35 + shift),
        excesses=(0.01, 0.02, 0.03),
    )


def overfit(losses=(2.35, 0.5, 0.009), accuracy: float = 1.0) -> Overfit:
    return Overfit(
        size=32,
        lr=0.01,
        weight_decay=0.0,
        blocks_per_stage=2,
        dilation_stage3=2,
        parameters=1149770,
        target_loss=0.01,
        max_epochs=50,
        losses=losses,
        accuracies=(0.1,) * (len(losses) - 1) + (accuracy,),
    )


def memory(validation: float, known: float = 1.0, losses=(2.3, 0.5, 0.009)) -> Memory:
    accuracies = (0.1,) * (len(losses) - 1) + (known,)
    return Memory(losses=losses, accuracies=accuracies, validation_accuracy=validation, chance=0.1)


def shuffled(true=(0.4, 0.35, 0.3, 0.4, 0.45), other=(0.1, 0.05, 0.12, 0.15, 0.08), known=1.0):
    return ShuffledLabels(
        size=32,
        validation_images=500,
        pairs=tuple(
            Pair(true=memory(t), shuffled=memory(o, known))
            for t, o in zip(true, other, strict=True)
        ),
    )


def sanity(mixed: float = 0.0, **changes) -> Sanity:
    facts = {
        "steps": 40,
        "lr": 1e-3,
        "validation_images": 500,
        "compared": 1000,
        "differing": 0,
        "prior_loss": 2.3,
        "prior_accuracy": 0.11,
        "blind_loss": 2.31,
        "blind_accuracy": 0.1,
        "seen_loss": 1.5,
        "seen_accuracy": 0.5,
    }
    return Sanity(
        independence=Independence(others=mixed, own=0.3, training=0.1), **facts | changes
    )
