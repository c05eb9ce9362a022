"""Checkpoints: written atomically, read without running code, refused with a clear line."""

from __future__ import annotations

import hashlib
import io
import os
import warnings
from collections.abc import Iterator, Mapping
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
    """Read a checkpoint to the CPU, with ``weights_only=True``; nothing in it has changed.

    Raises:
        UserError: the file is missing, damaged, changed, or not one of ours.
    """
    if not path.is_file():
        hint = "train first: python -m eurosat_lib train, or notebook 06_train"
        raise UserError(f"{path}: no such checkpoint; {hint}")
    kept = (path.parent / "result.json").is_file()  # among the results of stages
    again = f"delete {'its folder' if kept else 'it'} and train again"
    try:
        with warnings.catch_warnings():  # torch says its part of what the error says
            warnings.simplefilter("ignore")
            with ZipFile(path) as archive:
                if archive.testzip():
                    raise ValueError("CRC-32")
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever it meets
        kind = f"damaged, cut short, or not a checkpoint ({type(error).__name__})"
        raise UserError(f"{path}: {kind}; {again}") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise UserError(f"{path}: a checkpoint of another program; expected format {FORMAT}")
    own = {name: value for name, value in content.items() if name not in ("format", "sha256")}
    digest = _digest(own)
    if content.get("sha256", digest) != digest:  # older files have none
        raise UserError(f"{path}: its content is not what was written (SHA-256); {again}")
    weights = own.get("model")
    found = weights.values() if isinstance(weights, Mapping) else ()
    if any(torch.is_tensor(value) and not value.isfinite().all() for value in found):
        raise UserError(f"{path}: weights that are no numbers; {again}")
    return content


def _digest(content: Any) -> str:
    """Return the SHA-256 of tensors and plain values, however they lie in memory."""
    total = hashlib.sha256()
    for part in _parts(content):
        total.update(part)
    return total.hexdigest()


def _parts(content: Any) -> Iterator[Any]:
    if isinstance(content, Mapping):
        for key in sorted(content, key=str):
            yield f"{key}:".encode()
            yield from _parts(content[key])
    elif isinstance(content, list | tuple):
        yield f"[{len(content)}".encode()
        for one in content:
            yield from _parts(one)
    elif torch.is_tensor(content):
        yield f"{content.dtype} {tuple(content.shape)}".encode()
        yield content.detach().cpu().reshape(-1).contiguous().view(torch.uint8).numpy()
    else:
        yield f"{content!r};".encode()


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
