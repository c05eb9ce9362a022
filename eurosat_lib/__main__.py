"""Command line: ``python -m eurosat_lib STAGE --config configs/config.yaml [--set key=value]``."""

from __future__ import annotations

try:
    import os
    import signal
    import sys
except KeyboardInterrupt:  # within the first 0.1 s
    raise SystemExit(130) from None

STOPPED = "interrupted; the same command goes on from here"


def _stop_at_once(*_: object) -> None:
    os.write(2, f"{STOPPED}\n".encode())
    os._exit(130)


if __name__ == "__main__" and signal.getsignal(signal.SIGINT) != signal.SIG_IGN:  # imports follow
    signal.signal(signal.SIGINT, _stop_at_once)

import argparse
import json
from typing import Any, NoReturn

from eurosat_lib.config import PARAMETERS, load_config, parse_literal, parse_override
from eurosat_lib.errors import UserError, did_you_mean, hear_signals, of_system, stop_code
from eurosat_lib.progress import announce
from eurosat_lib.protocol import ON_DEMAND, STAGE_NAMES
from eurosat_lib.schema import Config
from eurosat_lib.stages import STAGES

# Section of the configuration whose values are flags of a stage: --epochs is overfit.epochs.
SECTIONS = {
    **{name: name for name in ("lr_finder", "train", "evaluate")},
    **{"overfit_small": "overfit", "grid_search": "grid", "refined_grid_search": "refined_grid"},
    **{"compare_finalists": "finalists"},
}
RECIPE = {"recipe": "recipe.name", "epochs": "recipe.ablation_epochs"}
COMMON = {  # flags of every stage
    "config": "YAML file, by default configs/config.yaml",
    "profile": "auto, quick, standard or full",
    "name": "results under artifacts/NAME and runs/NAME",
    "data": "auto, synthetic, timm/eurosat-rgb or a folder",
    "seed": "of weights, order and augmentation",
    "set": "KEY=VALUE, a value of the file; may be repeated",
}
WHOLE = "compute"  # all stages, in order


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line and exit code 2."""

    def error(self, message: str) -> NoReturn:
        """Raise the error, without the usage."""
        raise UserError(f"{message}; see {self.prog} --help")


def flags(stage: str) -> dict[str, str]:
    """Return the flags of a stage: the values of its section, and their names in notebooks."""
    if stage.endswith("_recipe"):
        return RECIPE
    section = SECTIONS.get(stage)
    fields = Config.model_fields[section].annotation.model_fields if section else ()
    names = {name: key for name, key in PARAMETERS.items() if key.startswith(f"{section}.")}
    return {name: f"{section}.{name}" for name in fields} | names


def make_parser() -> Parser:
    """Build the parser: one sub-command per stage, and ``compute`` for all of them."""
    about = "Run a stage, or compute: all of them; work STAGE shares it with other processes."
    parser = Parser(prog="python -m eurosat_lib", description=about)
    commands = parser.add_subparsers(dest="stage", metavar="STAGE", parser_class=Parser)
    for stage in (*STAGE_NAMES, WHOLE):
        command = commands.add_parser(stage, help=stage.replace("_", " "), allow_abbrev=False)
        for flag, what in (COMMON | flags(stage)).items():
            action = "append" if flag == "set" else "store"
            command.add_argument(f"--{flag}", help=what, action=action)
        command.set_defaults(config="configs/config.yaml", profile="auto", set=[])
    return parser


def run(words: list[str]) -> None:
    """Run the stages that a command line asks for, print their facts; UserError if it is wrong."""
    work = words[:1] == ["work"]
    words = words[work:]
    if not words:
        raise UserError("which stage? python -m eurosat_lib --help lists them")
    stage = words[0]
    if stage not in (*STAGE_NAMES, WHOLE, "-h", "--help"):
        raise UserError(f"unknown stage {stage}{did_you_mean(stage, STAGE_NAMES)}")
    options, unknown = make_parser().parse_known_args(words)
    if unknown:
        flag = unknown[0].split("=")[0]
        known = [f"--{name}" for name in COMMON | flags(stage)]
        raise UserError(f"{stage}: unknown option {flag}{did_you_mean(flag, known)}")
    values = {"compute.engine": "work"} if work else {}
    config = load_config(options.config, options.profile, values | _overrides(options))
    for name in STAGE_NAMES if stage == WHOLE else (stage,):
        if stage == WHOLE and name in ("evaluate_spatial", *ON_DEMAND):
            continue  # compare_splits evaluates where there are lists
        found = STAGES[name](config)
        facts = found.facts() if found else None
        print(json.dumps({name: facts}, ensure_ascii=False, indent=1), flush=True)
    announce(f"results: {config.paths.artifacts}")


def _overrides(options: argparse.Namespace) -> dict[str, Any]:
    texts = {"paths.name": options.name, "data.source": options.data}
    typed = [(key, getattr(options, flag)) for flag, key in flags(options.stage).items()]
    typed += [("seed", options.seed)]  # several flags may be of one key
    values = {key: text for key, text in texts.items() if text is not None}
    values |= {key: parse_literal(text) for key, text in typed if text is not None}
    return values | dict(parse_override(text) for text in options.set)


def main(arguments: list[str] | None = None) -> int:
    """Run a command line; return the exit code."""
    try:
        run(sys.argv[1:] if arguments is None else arguments)
    except (UserError, OSError, MemoryError) as error:
        own = error if isinstance(error, UserError) else of_system(error)
        return _end(f"error: {' '.join(str(own).splitlines())}", 2)
    except KeyboardInterrupt as stop:
        return _end(STOPPED, stop_code(stop))
    return 0


def _end(line: str, code: int) -> int:
    """Say the last line, where there is a console that takes it."""
    for stream, text in ((sys.stdout, ""), (sys.stderr, f"{line}\n")):
        try:
            print(text, end="", file=stream, flush=True)
        except OSError:  # full, or closed: Python would say so once more at its end
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return code


if __name__ == "__main__":
    hear_signals()
    sys.exit(main())
