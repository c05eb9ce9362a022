"""Facts of notebooks 01 to 04, from small results made by hand, for the tests of their answers."""

import json
from pathlib import Path

import handmade

from eurosat_lib.checks import Architecture, InitialLoss, LayerGradient, Variant
from eurosat_lib.config import load_config
from eurosat_lib.controls import Memory, Pair, Sanity, ShuffledLabels

ROOT = Path(__file__).resolve().parent.parent
FIELDS = {(2, 2): 48, (2, 3): 64, (3, 2): 70, (3, 3): 94}  # blocks, dilation: receptive field


def variant(blocks: int, dilation: int, field: int) -> Variant:
    own = {"blocks_per_stage": blocks, "dilation_stage3": dilation, "receptive_field": field}
    count = 1149770 if blocks == 2 else 1925258
    return Variant(**own, parameters=count, tensors=12 * blocks + 2, gflop=1.5 * blocks)


ARCHITECTURE = Architecture(
    **{"input_shape": (3, 64, 64), "output_shape": (10,), "channels": (64, 128, 256)},
    **{"blocks_per_stage": 2, "dilation_stage3": 2, "layers": (), "tensors": 26},
    **{"parameters": 1149770, "parameters_by_formula": 1149770},
    variants=tuple(variant(*point, field) for point, field in FIELDS.items()),
)


def initial(loss: float = 2.34, bias: float = 1e-5, lost: bool = False, shift: float = 0.0):
    norms = {"stages.0.0.weight": 0.5, "stages.0.0.bias": bias, "stages.0.1.weight": 0.5}
    norms |= {"stages.0.1.bias": 0.5, "head.weight": 0.5, "head.bias": 0.0 if lost else 0.2}
    return InitialLoss(
        **{"batch_shape": (64, 3, 64, 64), "logits_shape": (64, 10), "classes": 10},
        **{"loss": loss, "grad_norm": 1.0, "excesses": (0.01, 0.02, 0.03)},
        gradients=tuple(LayerGradient(name=n, norm=norm) for n, norm in norms.items()),
        losses=(2.25 + shift, 2.3 + shift, 2.35 + shift),
    )


def memory(validation: float, known: float = 1.0) -> Memory:
    return Memory(
        **{"losses": (2.3, 0.5, 0.009), "accuracies": (0.1, 0.1, known)},
        **{"validation_accuracy": validation, "chance": 0.1},
    )


def shuffled(true=(0.4, 0.35, 0.3, 0.4, 0.45), other=(0.1, 0.05, 0.12, 0.15, 0.08), known=1.0):
    pairs = zip(true, other, strict=True)
    pairs = tuple(Pair(true=memory(t), shuffled=memory(o, known)) for t, o in pairs)
    return ShuffledLabels(size=32, validation_images=500, pairs=pairs)


def sanity(**changes) -> Sanity:
    facts = {"steps": 40, "lr": 1e-3, "validation_images": 500, "compared": 1000, "differing": 0}
    facts |= {"prior_accuracy": 0.11}
    return Sanity(**facts | {"blind_accuracy": 0.1, "seen_accuracy": 0.5} | changes)


def facts(changes: dict | None = None, profile: str = "full") -> dict:
    """Facts as the cells of the notebooks keep them; ``changes`` by ``stage.key``."""
    results = [handmade.AUDIT, handmade.PIPELINE, handmade.OVERLAPS, handmade.BASELINES]
    results += [ARCHITECTURE, initial(), handmade.OVERFIT, shuffled(), sanity()]
    tree = {result.stage: result.facts() for result in [*results, handmade.LR_FINDER]}
    tree["config"] = load_config(ROOT / "configs" / "config.yaml", profile).model_dump(mode="json")
    tree |= {"given": {}, "environment": {"python": "3.11.7", "torch": "2.9.0", "cuda": ""}}
    for path, value in (changes or {}).items():
        *above, key = path.split(".")
        place = tree
        for name in above:
            place = place.setdefault(name, {})
        place[key] = value
    return json.loads(json.dumps(tree, default=str))
