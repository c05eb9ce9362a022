"""A tiny EuroSAT in each layout, drawn on the spot: never real images."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from settings import ROOT

from eurosat_lib.config import Config, load_config
from eurosat_lib.data import CLASSES

NUMBERS = {"train": (1, 2, 3), "validation": (4,), "test": (5, 6)}  # Forest_1.jpg ...
Row = tuple[str, bytes]  # file name, compressed image


def config_for(source: str | Path, **values) -> Config:
    small = {"data.source": str(source), "data.synthetic_images": [30, 10, 20]}
    return load_config(ROOT / "configs/config.yaml", "full", small | values)


def jpeg(seed: int, size: int = 64, mode: str = "RGB") -> bytes:
    blocks = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(blocks).resize((size, size)).convert(mode).save(file, "JPEG")
    return file.getvalue()


def rows(split: str) -> list[Row]:
    """The images of a split, classes taking turns."""
    pairs = [(number, label) for number in NUMBERS[split] for label in range(10)]
    return [(f"{CLASSES[i]}_{number}.jpg", jpeg(100 * number + i)) for number, i in pairs]


def names(split: str) -> list[str]:
    return [name for name, _ in rows(split)]


def write_table(path: Path, images: list[Row], labels=None, classes=CLASSES, **columns):
    """Write one shard as the Hub has it; ``classes=None`` leaves the labels without names."""
    labels = labels or [CLASSES.index(name.rpartition("_")[0]) for name, _ in images]
    content = [{"bytes": data, "path": name} for name, data in images]
    table = pa.table({"image": content, "label": labels} | columns)
    if classes:
        label = {"names": list(classes), "_type": "ClassLabel"}
        info = {"info": {"features": {"image": {"_type": "Image"}, "label": label}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(info)})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


def write_parquet(folder: Path, change=lambda split, images: images) -> Path:
    """Write the three splits, train in two shards; ``change`` edits a split's images."""
    for split in NUMBERS:
        images, count = change(split, rows(split)), 1 + (split == "train")
        for i in range(count):
            part = images[i * len(images) // count : (i + 1) * len(images) // count]
            write_table(folder / f"data/{split}-{i:05d}-of-{count:05d}.parquet", part)
    return folder


def write_lists(folder: Path, prefix: str, *parts: list[str]) -> dict[str, str]:
    """Write a list per split; return their SHA-256 by file name."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{prefix}{short}.txt" for short in ("train", "val", "test")]
    for path, part in zip(paths, parts, strict=True):
        path.write_text("".join(f"{name}\n" for name in part))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def write_images(folder: Path, lists: bool = True, place=lambda split: "") -> Path:
    """Write class folders, in the ``place`` of their split, and perhaps the lists beside them."""
    for split in NUMBERS:
        for name, data in rows(split):
            path = folder / place(split) / name.rpartition("_")[0] / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    if lists:
        write_lists(folder, "eurosat-", *map(names, NUMBERS))
    return folder
