"""Facts of all stages, from small results made by hand, as the notebooks give them to answers."""

import functools
import json
from pathlib import Path

import handmade

from eurosat_lib.config import load_config
from eurosat_lib.search import RefinedGrid, compare
from eurosat_lib.trainings import SplitComparison, csv_rows

ROOT = Path(__file__).resolve().parent.parent
NETWORK = {
    **{"input_shape": [3, 64, 64], "output_shape": [10], "channels": [64, 128, 256]},
    **{"blocks_per_stage": 2, "dilation_stage3": 2, "tensors": 26, "parameters": 1149770},
    **{"receptive_field": 48, "variants": [{"receptive_field": 48}, {"receptive_field": 70}]},
}
LEARNT = {"true_accuracy": 0.4, "shuffled_accuracy": 0.1, "shuffled_known": 1.0}
SANE = {"validation_images": 500, "repeatable": True, "uses_images": True}
RECIPE = {"name": "best", "count": 1, "low": 0.98, "high": 0.99, "epochs": 24, "steps": ["Muon"]}
BESIDE = {"gain": 0.02, "low": 0.01, "high": 0.03, "same_network": True}
STAGES = {
    **{"test_model": NETWORK, "final_architecture": NETWORK},
    "shuffled_labels": LEARNT | {"informative": True},
    "check_training": SANE | {"blind_accuracy": 0.1, "seen_accuracy": 0.5},
    "train_recipe": RECIPE | {"accuracy": {"mean": 0.9885}, "val_accuracy": {"mean": 0.988}},
    "beside": BESIDE | {"blocks_per_stage": 3, "dilation_stage3": 3},
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
    "confusions": handmade.EVALUATION.confusions(),
    "classes": handmade.EVALUATION.per_class,
    "there": {"runs": True, "checkpoint": False, "config": True},
}


@functools.cache
def stored(profile: str) -> str:
    """Facts as JSON, as the cells of the notebooks keep them."""
    grid = handmade.GRID
    refined = RefinedGrid(trials=grid.trials[:3], epochs=3, origin="grid_search")
    results = [handmade.AUDIT, handmade.PIPELINE, handmade.OVERLAPS, handmade.BASELINES]
    results += [
        handmade.INITIAL_LOSS,
        handmade.OVERFIT,
        handmade.LR_FINDER,
        grid,
        refined,
        handmade.FINALISTS,
        compare(grid),
    ]
    results += [handmade.TRAINING, handmade.EVALUATION, handmade.ERRORS, handmade.ROBUSTNESS]
    results += [handmade.seeds(7, 8, 9), SplitComparison(absent="synthetic")]
    tree = {result.stage: result.facts() for result in results} | STAGES | CELLS
    tree["config"] = load_config(ROOT / "configs" / "config.yaml", profile).model_dump(mode="json")
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
