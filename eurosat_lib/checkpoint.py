"""Checkpoints: written atomically, read without running code, refused with a clear line."""

from __future__ import annotations

import hashlib
import io
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import torch

from eurosat_lib.config import Config
from eurosat_lib.errors import UserError
from eurosat_lib.files import replacing
from eurosat_lib.transforms import get_preprocess_transforms

FORMAT = "eurosat_lib/1"


def save_checkpoint(path: Path, content: Mapping[str, Any]) -> None:
    """Write tensors and plain values with their digest; the file is whole or absent."""
    buffer = io.BytesIO()  # torch hides what the system says of a full disk
    torch.save({"format": FORMAT, "sha256": _digest(content), **content}, buffer)
    with replacing(path) as partial, open(partial, "wb") as file:
        file.write(buffer.getbuffer())
        file.flush()
        os.fsync(file.fileno())


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint to the CPU, ``weights_only``; UserError if it is not as it was written."""
    if not path.is_file():
        hint = "train first: python -m eurosat_lib train, or notebook 06_train"
        if (path.parent / "result.json").is_file():  # among the results of stages
            hint = "delete its folder and train again"
        raise UserError(f"{path}: no such checkpoint; {hint}")
    try:
        with warnings.catch_warnings():  # torch says its part of what the error says
            warnings.simplefilter("ignore")
            with ZipFile(path) as archive:
                if archive.testzip():
                    raise ValueError("CRC-32")
            content = torch.load(path, map_location="cpu", weights_only=True)
        ours = isinstance(content, dict) and content.get("format") == FORMAT
        fault = _fault(content) if ours else ""
    except Exception as error:  # torch raises whatever it meets
        fault = f"damaged, cut short, or not a checkpoint ({type(error).__name__})"
    else:
        if not ours:
            raise UserError(f"{path}: a checkpoint of another program; expected format {FORMAT}")
    if fault:
        kept = (path.parent / "result.json").is_file()  # among the results of stages
        which = "its folder" if kept else "it"
        raise UserError(f"{path}: {fault}; delete {which} and train again")
    return content


def _fault(content: Mapping[str, Any]) -> str:
    own = {name: value for name, value in content.items() if name not in ("format", "sha256")}
    digest = _digest(own)
    if content.get("sha256", digest) != digest:  # older files have none
        return "its content is not what was written (SHA-256)"
    weights = own.get("model")
    found = weights.values() if isinstance(weights, Mapping) else ()
    finite = all(value.isfinite().all() for value in found if torch.is_tensor(value))
    return "" if finite else "weights that are no numbers"


def _digest(content: Any) -> str:
    """Return the SHA-256 of tensors and plain values, however they lie in memory."""
    total = hashlib.sha256()

    def add(part: Any) -> None:
        """Hash a part, and what is in it."""
        if isinstance(part, Mapping):
            for key in sorted(part, key=str):
                total.update(f"{key}:".encode())
                add(part[key])
        elif isinstance(part, list | tuple):
            total.update(f"[{len(part)}".encode())
            for one in part:
                add(one)
        elif torch.is_tensor(part):
            total.update(f"{part.dtype} {tuple(part.shape)}".encode())
            total.update(part.detach().cpu().reshape(-1).contiguous().view(torch.uint8).numpy())
        else:
            total.update(f"{part!r};".encode())

    add(content)
    return total.hexdigest()


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
    """Refuse an incomplete checkpoint, or one of another network or inputs, and say why."""
    missing = {"hyperparameters", "data_fingerprint"} - set(content)
    missing |= {name for name in ("epoch", "seed") if not isinstance(content.get(name), int)}
    if missing:
        raise UserError(f"{path}: incomplete checkpoint, without {', '.join(sorted(missing))}")
    task = content["task"] if isinstance(content.get("task"), Mapping) else {}
    others = [
        f"{key} is {task.get(key)} there and {value} here"
        for key, value in expected.items()
        if task.get(key) != value
    ]
    if others:
        raise UserError(f"{path}: made for another configuration: {'; '.join(others)}")
