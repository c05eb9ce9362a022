"""Command line: ``python -m eurosat_lib STAGE --config configs/config.yaml [--set key=value]``."""

try:
    import sys

    from eurosat_lib.errors import UserError, did_you_mean, exit_code, hear_signals, stop_at_once

    if __name__ == "__main__":  # imports follow
        stop_at_once()
except KeyboardInterrupt:  # within the first 0.1 s
    raise SystemExit(130) from None

import argparse
import json

from eurosat_lib.config import CONFIG, PARAMETERS, load_config, parse_override, parse_value
from eurosat_lib.files import is_frozen
from eurosat_lib.progress import announce
from eurosat_lib.protocol import STAGE_NAMES
from eurosat_lib.schema import Config
from eurosat_lib.stages import STAGES

# Section of the configuration whose values are flags of a stage: --epochs is overfit.epochs.
SECTIONS = {"lr_finder": "lr_finder", "train": "train", "evaluate": "evaluate"}
SECTIONS |= {"overfit_small": "overfit", "grid_search": "grid"}
SECTIONS |= {"refined_grid_search": "refined_grid", "compare_finalists": "finalists"}
RECIPE = {"recipe": "recipe.name"}
COMMON = {  # flags of every stage
    "config": f"YAML file, by default {CONFIG}",
    "profile": "auto, quick, standard or full",
    "name": "results under artifacts/NAME and runs/NAME",
    "data": "auto, synthetic, timm/eurosat-rgb or a folder",
    "seed": "of weights, order and augmentation",
    "set": "KEY=VALUE, a value of the file; may be repeated",
}
WHOLE = "compute"  # these, in order; compare_splits evaluates on the spatial split where it can
ASIDE = ("evaluate_spatial", "ablate_recipe", "train_recipe")
EVERY = [name for name in STAGE_NAMES if name not in ASIDE]
ABOUT = f"Run a stage, or {WHOLE}: all of them; work STAGE shares it with other processes."


def flags(stage: str) -> dict[str, str]:
    """Return the flags of a stage: the values of its section, and their names in notebooks."""
    if stage.endswith("_recipe"):
        return RECIPE | ({"epochs": "recipe.ablation_epochs"} if stage == "ablate_recipe" else {})
    section = SECTIONS.get(stage)
    fields = Config.model_fields[section].annotation.model_fields if section else ()
    names = {name: key for name, key in PARAMETERS.items() if key.startswith(f"{section}.")}
    return {name: f"{section}.{name}" for name in fields} | names


def make_parser(stage: str) -> argparse.ArgumentParser:
    """Build the parser of a stage's flags; its help lists the stages."""
    parser = argparse.ArgumentParser(
        prog=f"python -m eurosat_lib {stage}",
        description=ABOUT,
        epilog=f"stages: {', '.join(STAGE_NAMES)}",
        allow_abbrev=False,
        exit_on_error=False,
    )
    for flag, what in (COMMON | flags(stage)).items():
        parser.add_argument(f"--{flag}", help=what, action="append" if flag == "set" else "store")
    parser.set_defaults(config=CONFIG, profile="auto", set=[])
    return parser


def run(words: list[str]) -> None:
    """Run the stages that a command line asks for, print their facts; UserError if it is wrong."""
    hear_signals()
    work = words[:1] == ["work"]
    stage, *options = (words[1:] if work else words) or [""]
    if stage in ("-h", "--help"):
        make_parser("STAGE").print_help()
        return
    if stage not in (*STAGE_NAMES, WHOLE):
        what = f"unknown stage {stage}{did_you_mean(stage, STAGE_NAMES)}"
        raise UserError(what if stage else "which stage? python -m eurosat_lib --help lists them")
    try:
        given, unknown = make_parser(stage).parse_known_args(options)
    except argparse.ArgumentError as error:
        raise UserError(f"{stage}: {error}; see --help") from None
    if unknown:
        flag = unknown[0].split("=")[0]
        known = [f"--{name}" for name in COMMON | flags(stage)]
        raise UserError(f"{stage}: unknown option {flag}{did_you_mean(flag, known)}")
    values = {"compute.engine": "work"} if work else {}
    keys = {flag: PARAMETERS[flag] for flag in ("name", "data", "seed")} | flags(stage)
    for flag, key in keys.items():
        if (text := getattr(given, flag)) is not None:
            values[key] = parse_value(flag, text)
    values |= dict(parse_override(text) for text in given.set)
    own = values | ({} if given.profile == "auto" else {"profile": given.profile})
    if is_frozen() and (more := sorted(own.keys() - {"paths.name"})):
        raise UserError(f"FROZEN=1: the run is taken as it is; leave out {', '.join(more)}")
    config = load_config(given.config, given.profile, values)
    for name in EVERY if stage == WHOLE else (stage,):
        found = STAGES[name](config)
        facts = found.facts() if found else None
        print(json.dumps({name: facts}, ensure_ascii=False, indent=1), flush=True)
    announce(f"results: {config.paths.artifacts}")


def main(arguments: list[str] | None = None) -> int:
    """Run a command line; return its exit code, see docs/RERUNS.md."""
    words = sys.argv[1:] if arguments is None else arguments
    return exit_code(lambda: run(words))


if __name__ == "__main__":
    sys.exit(main())
