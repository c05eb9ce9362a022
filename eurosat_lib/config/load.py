"""Read the configuration from YAML, a profile and overrides; explain what is wrong with it.

Order, the last wins: ``configs/config.yaml``, ``configs/profiles/<profile>.yaml``, overrides
(``--set a.b=c`` on the command line, parameters in a notebook).
"""

from __future__ import annotations

import ast
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from eurosat_lib.config.schema import Config
from eurosat_lib.config.tree import check_keys, merge, nest, read_yaml, validate
from eurosat_lib.errors import UserError, did_you_mean

# Notebook parameters: name -> key of the configuration.
PARAMETERS: dict[str, str] = {
    "seed": "seed",
    "data": "data.source",
    "name": "paths.name",
    "batch_size": "data.batch_size",
    "overfit_size": "overfit.size",
    "overfit_epochs": "overfit.epochs",
    "overfit_lr": "overfit.lr",
    "min_lr": "lr_finder.min_lr",
    "max_lr": "lr_finder.max_lr",
    "lr_iterations": "lr_finder.iterations",
    "lr_seeds": "lr_finder.seeds",
    "lr_resets": "lr_finder.reset_rates",
    "grid_lr": "grid.lr",
    "grid_epochs": "grid.epochs",
    "grid_seeds": "grid.seeds",
    "refined_epochs": "refined_grid.epochs",
    "lr": "train.lr",
    "weight_decay": "train.weight_decay",
    "blocks_per_stage": "train.blocks_per_stage",
    "dilation_stage3": "train.dilation_stage3",
    "max_epochs": "train.max_epochs",
    "max_steps": "train.max_steps",
    "train_seeds": "train.seeds",
    "checkpoint": "evaluate.checkpoint",
}


def find_config(path: str | Path = "configs/config.yaml") -> Path:
    """Find the configuration from here or from a parent folder (notebooks run one level down)."""
    path = Path(path).expanduser()
    candidates = [path] if path.is_absolute() else [d / path for d in _here_and_above()]
    for candidate in candidates:
        if candidate.is_file():
            return candidate.resolve()
    raise UserError(f"{path}: no such configuration file, from {Path.cwd()} upwards")


def load_config(
    path: str | Path = "configs/config.yaml",
    profile: str = "auto",
    overrides: Mapping[str, Any] | None = None,
) -> Config:
    """Read the configuration.

    Args:
        path: YAML file. The project's root is the nearest folder above that holds ``configs/``.
        profile: name of an overlay in ``profiles/`` beside it; ``auto`` is ``full`` with CUDA,
            else ``quick``. A file without that folder, such as the one stored with a result,
            is taken as it is.
        overrides: dotted key -> value, applied last.

    Raises:
        UserError: unknown key or profile, wrong type, value out of range.
    """
    path = find_config(path)
    tree = read_yaml(path)
    if not isinstance(tree.get("paths", {}), dict):
        raise UserError(f"{path}: paths: expected a section")
    tree["paths"] = {"root": str(_project_root(path))} | tree.get("paths", {})
    check_keys(tree, Config, str(path))
    where = f"{path.parent.name}/{path.name}"
    if (path.parent / "profiles").is_dir():  # a stored config.yaml is whole without one
        overlay = _profile_path(path, profile)
        layer = read_yaml(overlay)
        check_keys(layer, Config, str(overlay))
        tree, where = merge(tree, layer), f"{where} + {overlay.parent.name}/{overlay.name}"
    if overrides:
        layer = nest(overrides)
        check_keys(layer, Config, "override")
        tree = merge(tree, layer)
    return validate(tree, where)


def configure(
    config_path: str = "configs/config.yaml", profile: str = "auto", **parameters: Any
) -> Config:
    """Build the configuration of a notebook from its parameters; ``None`` keeps the file's value.

    Raises:
        UserError: a parameter is unknown, or its value has the wrong type or range.
    """
    overrides = {}
    for name, value in parameters.items():
        if name not in PARAMETERS:
            raise UserError(f"unknown parameter {name}{did_you_mean(name, PARAMETERS)}")
        if value is not None:
            overrides[PARAMETERS[name]] = value
    return load_config(config_path, profile, overrides)


def override(config: Config, values: Mapping[str, Any]) -> Config:
    """Return a checked copy with other values, given by dotted key (``{"train.lr": 1e-3}``)."""
    layer = nest(values)
    check_keys(layer, Config, "override")
    return validate(merge(config.model_dump(mode="json"), layer), "override")


def parse_override(text: str) -> tuple[str, Any]:
    """Split ``a.b=value``; the value is a Python literal, ``null``/``true``/``false``, or text."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UserError(f"--set {text}: expected key=value, for instance train.max_epochs=3")
    return key.strip(), parse_literal(value.strip())


def parse_literal(text: str) -> Any:
    """Read a number, list, ``true``/``false``/``null`` (any case of None, True, False) or text."""
    words = {"null": None, "none": None, "true": True, "false": False}
    if text.lower() in words:
        return words[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def cuda_is_available() -> bool:
    """Tell whether PyTorch sees a CUDA device; does not import PyTorch where there is none."""
    if (
        os.name == "posix"
        and not Path("/dev/nvidiactl").exists()
        and not Path("/dev/dxg").exists()
    ):
        return False
    import torch

    return torch.cuda.is_available()


def stored_parameters(config: Config) -> dict[str, Any]:
    """Return the notebook parameters that the run was given (``artifacts/[NAME/]params.yaml``)."""
    path = config.paths.artifacts / "params.yaml"
    return read_yaml(path) if path.is_file() else {}


def save_config_snapshot(config: Config, directory: str | Path) -> Path:
    """Write the resolved configuration as ``config.yaml`` in a folder; return its path."""
    target = Path(directory) / "config.yaml"
    target.parent.mkdir(parents=True, exist_ok=True)
    tree = config.model_dump(mode="json", exclude={"paths": {"root"}})
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    partial.write_text(yaml.safe_dump(tree, sort_keys=False, allow_unicode=True), encoding="utf-8")
    os.replace(partial, target)
    return target


def _here_and_above() -> list[Path]:
    here = Path.cwd()
    return [here, *here.parents]


def _project_root(path: Path) -> Path:
    above = (folder for folder in path.parents if (folder / "configs/config.yaml").is_file())
    return next(above, path.parent.parent)


def _profile_path(config_path: Path, profile: str) -> Path:
    if profile == "auto":
        profile = "full" if cuda_is_available() else "quick"
    folder = config_path.parent / "profiles"
    known = sorted(p.stem for p in folder.glob("*.yaml"))
    if profile not in known:
        hint = did_you_mean(profile, known)
        raise UserError(
            f"profile {profile!r} is unknown{hint}; there are auto, {', '.join(known)}"
        )
    return folder / f"{profile}.yaml"
