"""Checkpoints: written atomically, read without running code, refused with a clear line."""

from __future__ import annotations

import hashlib
import os
import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from eurosat_lib.config import Config
from eurosat_lib.errors import UserError
from eurosat_lib.files import replacing
from eurosat_lib.transforms import get_preprocess_transforms

FORMAT = "eurosat_lib/1"


def save_checkpoint(path: Path, content: Mapping[str, Any]) -> None:
    """Write tensors and plain values; the file is whole or absent, never half-written."""
    with replacing(path) as partial, open(partial, "wb") as file:
        torch.save({"format": FORMAT, **content}, file)
        file.flush()
        os.fsync(file.fileno())


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint to the CPU, with ``weights_only=True``.

    Raises:
        UserError: the file is missing, damaged, or not one of ours.
    """
    if not path.is_file():
        hint = "train first: python -m eurosat_lib train, or notebook 06_train"
        raise UserError(f"{path}: no such checkpoint; {hint}")
    try:
        with warnings.catch_warnings():  # torch says its part of what the error says
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (
        RuntimeError,
        EOFError,
        OSError,
        ValueError,
        KeyError,
        pickle.UnpicklingError,
    ) as error:
        kind = type(error).__name__
        raise UserError(f"{path}: cut short, or not a checkpoint ({kind}); train again") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise UserError(f"{path}: a checkpoint of another program; expected format {FORMAT}")
    return content


def describe_task(config: Config, classes: tuple[str, ...]) -> dict[str, Any]:
    """Return what a network must share with the configuration to be evaluated under it."""
    preprocess = get_preprocess_transforms(config)
    return {
        "model.channels": list(config.model.channels),
        "data.image_size": config.data.image_size,
        "preprocess.mean": list(preprocess.mean),
        "preprocess.std": list(preprocess.std),
        "classes": list(classes),
    }


def check_task(path: Path, content: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Refuse a checkpoint trained for another network or other inputs.

    Raises:
        UserError: names each value that differs.
    """
    found = content.get("task") or {}
    differences = [
        f"{key} is {found.get(key)} there and {value} here"
        for key, value in expected.items()
        if found.get(key) != value
    ]
    if differences:
        raise UserError(f"{path}: made for another configuration: {'; '.join(differences)}")


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
