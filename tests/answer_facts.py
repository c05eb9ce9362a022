"""Facts of all stages, from small results made by hand, as the notebooks give them to answers."""

import functools
import json
from pathlib import Path

import handmade

from eurosat_lib.checks import Architecture, Memory, Sanity, ShuffledLabels, Variant
from eurosat_lib.comparisons import SplitComparison
from eurosat_lib.config import load_config
from eurosat_lib.fits import csv_rows
from eurosat_lib.search import RefinedGrid, compare

ROOT = Path(__file__).resolve().parent.parent
SIZE = {"dilation_stage3": 2, "tensors": 26, "parameters": 1149770, "gflop": 3.0}
ARCHITECTURE = Architecture(
    **{"input_shape": (3, 64, 64), "output_shape": (10,), "channels": (64, 128, 256)},
    **{"blocks_per_stage": 2, "layers": (), "parameters_by_formula": 1149770, **SIZE},
    receptive_field=48,
    variants=[
        Variant(**SIZE, blocks_per_stage=b, receptive_field=48 + 22 * (b - 2)) for b in (2, 3)
    ],
)
TRUE = Memory(losses=(2.3, 0.009), validation_accuracy=0.4, known=1.0)
SHUFFLED = TRUE.model_copy(update={"validation_accuracy": 0.1})
CONTROLS = (
    ShuffledLabels(true=[TRUE] * 5, shuffled=[SHUFFLED] * 5),
    Sanity(
        **{"validation_images": 500, "repeatable": True, "prior_accuracy": 0.11},
        **{"blind_accuracy": 0.1, "seen_accuracy": 0.5},
    ),
)
RECIPE = {  # of the recipe's stage and of what stands beside it
    "train_recipe": {
        **{"name": "best", "count": 1, "low": 0.98, "high": 0.99, "epochs": 24},
        **{"accuracy": {"mean": 0.9885, "sd": 0.0}, "val_accuracy": {"mean": 0.988}},
        "steps": ["Muon", "lissage"],
    },
    "beside": {
        **{"gain": 0.02, "low": 0.01, "high": 0.03, "same_network": True},
        **{"blocks_per_stage": 3, "dilation_stage3": 3},
    },
}
SPLITS = {
    **{"available": True, "same_training": True, "gap": 0.12, "gap_low": 0.1, "gap_high": 0.14},
    "standard": {"accuracy": 0.9},
    "spatial": {"accuracy": 0.78, "low": 0.77, "high": 0.79},
    **{"drops": {"Forest": 0.37, "River": -0.13, "Highway": 0.0}, "lower": ["Forest"]},
}
CELLS = {  # what the cells give besides
    **{"given": {}, "environment": {"python": "3.11.7", "torch": "2.9.0", "cuda": ""}},
    **{"photographed": False, "synthetic": False, "location": "timm/eurosat-rgb@b4e2855"},
    **{"curve": [0.5, 0.8, 0.7], "confusions": handmade.EVALUATION.confusions()[:1]},
    "classes": [score.model_dump() for score in handmade.EVALUATION.per_class],
    "there": {"runs": True, "checkpoint": False, "config": True},
}


@functools.cache
def stored(profile: str) -> str:
    """Facts as JSON, as the cells of the notebooks keep them."""
    grid = handmade.GRID
    refined = RefinedGrid(trials=grid.trials[:3], epochs=3, origin="grid_search")
    results = [handmade.AUDIT, handmade.PIPELINE, handmade.OVERLAPS, handmade.BASELINES]
    results += [ARCHITECTURE, handmade.INITIAL_LOSS, handmade.OVERFIT, *CONTROLS]
    results += [handmade.LR_FINDER, grid, refined, handmade.FINALISTS, compare(grid)]
    results += [handmade.TRAINING, handmade.EVALUATION, handmade.ERRORS, handmade.ROBUSTNESS]
    results += [handmade.seeds(7, 8, 9), SplitComparison(absent="synthetic")]
    tree = {result.stage: result.facts() for result in results} | RECIPE | CELLS
    tree["config"] = load_config(ROOT / "configs" / "config.yaml", profile).model_dump(mode="json")
    tree["final_architecture"] = ARCHITECTURE.facts()
    tree["trials"] = csv_rows(grid.trials[:3])
    return json.dumps(tree, default=str)


def facts(changes: dict | None = None, profile: str = "full") -> dict:
    """Facts of a run, with ``changes`` by ``stage.key``."""
    tree = json.loads(stored(profile))
    for path, value in (changes or {}).items():
        *above, key = path.split(".")
        place = tree
        for name in above:
            place = place.setdefault(name, {})
        place[key] = value
    return tree
