"""Checkpoints: written atomically, read without running code, refused with a clear line."""

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
    which = "its folder" if (path.parent / "result.json").is_file() else "it"  # of a kept training
    again = f"move {which} away and train again"
    if not path.is_file():
        first = "train first: python -m eurosat_lib train, or notebook 06_train"
        raise UserError(f"{path}: no such checkpoint; {first if which == 'it' else again}")
    try:
        return _read(path)
    except UserError as error:
        fault = str(error)
    except Exception as error:  # torch raises whatever it meets
        fault = f"damaged, cut short, or not a checkpoint ({type(error).__name__})"
    raise UserError(f"{path}: {fault}; {again}")


def _read(path: Path) -> dict[str, Any]:
    """Read what ``save_checkpoint`` wrote; UserError says why it is not that."""
    # torch warns of its part of what the error says
    quiet = warnings.catch_warnings(action="ignore", category=UserWarning)
    with quiet, ZipFile(path) as archive:
        if archive.testzip():
            raise UserError("damaged (CRC-32)")
        content = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise UserError(f"a checkpoint of another program (format {FORMAT} is expected)")
    own = {name: value for name, value in content.items() if name not in ("format", "sha256")}
    digest, weights = _digest(own), own.get("model")
    if content.get("sha256") != digest:
        raise UserError("its content is not what was written (SHA-256)")
    found = weights.values() if isinstance(weights, Mapping) else ()
    if not all(value.isfinite().all() for value in found if torch.is_tensor(value)):
        raise UserError("weights that are no numbers")
    return content


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
