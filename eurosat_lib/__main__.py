"""Command line: ``python -m eurosat_lib STAGE --config configs/config.yaml [--set key=value]``."""

from __future__ import annotations

import os
import signal
import sys

STOPPED = "interrupted; the same command goes on from here"


def _stop_at_once(*_: object) -> None:
    os.write(2, f"{STOPPED}\n".encode())
    os._exit(130)


if __name__ == "__main__" and signal.getsignal(signal.SIGINT) != signal.SIG_IGN:  # imports follow
    signal.signal(signal.SIGINT, _stop_at_once)

import argparse
import json
from collections.abc import Mapping
from typing import Any, NoReturn

from eurosat_lib.config import PARAMETERS, load_config, parse_literal, parse_override
from eurosat_lib.errors import UserError, did_you_mean, of_system
from eurosat_lib.progress import announce
from eurosat_lib.protocol import ON_DEMAND, STAGE_NAMES
from eurosat_lib.schema import Config
from eurosat_lib.stages import STAGES

# Section of the configuration whose values are flags of a stage: --epochs is overfit.epochs.
SECTIONS = {
    "overfit_small": "overfit",
    "lr_finder": "lr_finder",
    "grid_search": "grid",
    "refined_grid_search": "refined_grid",
    "compare_finalists": "finalists",
    "train": "train",
    "evaluate": "evaluate",
}
RECIPE = {"recipe": "recipe.name", "epochs": "recipe.ablation_epochs"}
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


def flags(stage: str) -> Mapping[str, str]:
    """Return the flags of a stage: the values of its section, and their names in notebooks."""
    if stage.endswith("_recipe"):
        return RECIPE
    section = SECTIONS.get(stage)
    if section is None:
        return {}
    fields = Config.model_fields[section].annotation.model_fields
    own = {name: f"{section}.{name}" for name in fields}
    return own | {n: key for n, key in PARAMETERS.items() if key.startswith(f"{section}.")}


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
        command.add_argument("--seed", help="of weights, order and augmentation")
        command.add_argument(
            "--set", action="append", default=[], metavar="KEY=VALUE", help="a value of the file"
        )
        for flag, key in flags(stage).items():
            command.add_argument(f"--{flag}", help=key)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run one stage, print its facts as JSON; return the exit code."""
    try:
        arguments = sys.argv[1:] if arguments is None else arguments
        engine = ["--set", "compute.engine=work"] if arguments[:1] == ["work"] else []
        arguments = [*arguments[1:], *engine] if engine else arguments
        _check_stage(arguments)
        options, unknown = make_parser().parse_known_args(arguments)
        _check_flags(options.stage, unknown)
        run(options)
    except (UserError, OSError, MemoryError) as error:
        own = error if isinstance(error, UserError) else of_system(error)
        return _end(f"error: {' '.join(str(own).splitlines())}", 2)
    except KeyboardInterrupt:
        return _end(STOPPED, 130)
    return 0


def _end(line: str, code: int) -> int:
    """Say the last line, where there is a console that takes it."""
    for stream, text in ((sys.stdout, ""), (sys.stderr, f"{line}\n")):
        try:
            print(text, end="", file=stream, flush=True)
        except OSError:  # full, or closed: Python would say so once more at its end
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return code


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
        found = STAGES[name](config)
        facts = found.facts() if found else None
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
        known = [f"--{name}" for name in (*COMMON, *flags(stage))]
        raise UserError(f"{stage}: unknown option {flag}{did_you_mean(flag, known)}")


def _overrides(options: argparse.Namespace) -> dict[str, Any]:
    texts = {"paths.name": options.name, "data.source": options.data}
    typed = [(key, getattr(options, flag)) for flag, key in flags(options.stage).items()]
    typed += [("seed", options.seed)]
    values = {key: parse_literal(text) for key, text in typed if text is not None}
    values |= {key: text for key, text in texts.items() if text is not None}
    return values | dict(parse_override(text) for text in options.set)


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # as nohup sets it
            signal.signal(number, signal.default_int_handler)
    sys.exit(main())
