"""Command line: ``python -m eurosat_lib STAGE --config configs/config.yaml [--set key=value]``."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any, NoReturn

from eurosat_lib.config import load_config, parse_override
from eurosat_lib.errors import UserError, did_you_mean
from eurosat_lib.progress import announce
from eurosat_lib.protocol import ON_DEMAND, STAGE_NAMES, STAGES

# Flags of the course's commands: stage -> flag -> key of the configuration.
FLAGS: dict[str, dict[str, str]] = {
    "overfit_small": {
        "overfit_size": "overfit.size",
        "epochs": "overfit.epochs",
        "lr": "overfit.lr",
        "weight_decay": "overfit.weight_decay",
    },
    "lr_finder": {
        "min_lr": "lr_finder.min_lr",
        "max_lr": "lr_finder.max_lr",
        "iterations": "lr_finder.iterations",
    },
    "grid_search": {"epochs": "grid.epochs"},
    "refined_grid_search": {"epochs": "refined_grid.epochs"},
    "compare_finalists": {"seeds": "finalists.seeds"},
    "train": {
        "max_epochs": "train.max_epochs",
        "max_steps": "train.max_steps",
        "lr": "train.lr",
        "weight_decay": "train.weight_decay",
        "blocks_per_stage": "train.blocks_per_stage",
        "dilation_stage3": "train.dilation_stage3",
    },
    "ablate_recipe": {"recipe": "recipe.name", "epochs": "recipe.ablation_epochs"},
    "train_recipe": {"recipe": "recipe.name"},
    "validate_recipe": {"recipe": "recipe.name"},
    "evaluate": {"checkpoint": "evaluate.checkpoint"},
}
TEXTS = {"checkpoint", "recipe"}
INTEGERS = {"overfit_size", "epochs", "iterations", "max_epochs", "max_steps", "seeds"} | {
    "blocks_per_stage",
    "dilation_stage3",
}
COMMON = ("config", "profile", "name", "data", "seed", "set")
PARTS = ("train_spatial", "evaluate_spatial")  # compare_splits runs them where there are lists


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line and exit code 2; flags are written in full."""

    def __init__(self, **options: Any) -> None:
        """Refuse abbreviated flags."""
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        """Raise the error, without the usage.

        Raises:
            UserError: always.
        """
        raise UserError(f"{message}; see {self.prog} --help")


def make_parser() -> Parser:
    """Build the parser: one sub-command per stage, and ``compute`` for all of them."""
    parser = Parser(prog="python -m eurosat_lib", description=__doc__)
    commands = parser.add_subparsers(dest="stage", metavar="STAGE", parser_class=Parser)
    for stage in (*STAGE_NAMES, "compute"):
        text = "all stages, in order" if stage == "compute" else stage.replace("_", " ")
        command = commands.add_parser(stage, help=text, description=f"Run {text}.")
        command.add_argument("--config", default="configs/config.yaml", help="YAML file")
        command.add_argument("--profile", default="auto", help="auto, quick, standard or full")
        command.add_argument("--name", help="results under artifacts/NAME and runs/NAME")
        command.add_argument("--data", help="auto, synthetic, timm/eurosat-rgb or a folder")
        command.add_argument("--seed", type=int, help="of weights, order and augmentation")
        command.add_argument(
            "--set", action="append", default=[], metavar="KEY=VALUE", help="a value of the file"
        )
        for flag, key in FLAGS.get(stage, {}).items():
            kind = str if flag in TEXTS else int if flag in INTEGERS else float
            command.add_argument(f"--{flag}", type=kind, help=key)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run one stage, print its facts as JSON; return the exit code."""
    try:
        arguments = sys.argv[1:] if arguments is None else arguments
        _check_stage(arguments)
        options, unknown = make_parser().parse_known_args(arguments)
        _check_flags(options.stage, unknown)
        run(options)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


def run(options: argparse.Namespace) -> None:
    """Run the stages that the options ask for.

    Raises:
        UserError: the input is wrong.
    """
    config = load_config(options.config, options.profile, _overrides(options))
    names = (options.stage,)
    if options.stage == "compute":
        names = tuple(name for name in STAGE_NAMES if name not in (*PARTS, *ON_DEMAND))
    for name in names:
        facts = STAGES[name](config).facts()
        print(json.dumps({name: facts}, ensure_ascii=False, indent=1), flush=True)
    announce(f"results: {config.paths.artifacts}")


def _check_stage(arguments: list[str]) -> None:
    if not arguments:
        raise UserError("which stage? python -m eurosat_lib --help lists them")
    stage = arguments[0]
    if stage not in (*STAGE_NAMES, "compute", "-h", "--help"):
        raise UserError(f"unknown stage {stage}{did_you_mean(stage, STAGE_NAMES)}")


def _check_flags(stage: str, unknown: list[str]) -> None:
    if unknown:
        flag = unknown[0].split("=")[0]
        known = [f"--{name}" for name in (*COMMON, *FLAGS.get(stage, {}))]
        raise UserError(f"{stage}: unknown option {flag}{did_you_mean(flag, known)}")


def _overrides(options: argparse.Namespace) -> dict[str, Any]:
    keys = {"seed": "seed", "name": "paths.name", "data": "data.source"}
    keys |= FLAGS.get(options.stage, {})
    given = {key: getattr(options, flag) for flag, key in keys.items()}
    overrides = {key: value for key, value in given.items() if value is not None}
    return overrides | dict(parse_override(text) for text in options.set)


if __name__ == "__main__":
    sys.exit(main())
