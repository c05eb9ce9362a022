"""A tiny EuroSAT in each layout, drawn on the spot: never real images."""

import io
import json
from base64 import b64decode
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from settings import ROOT

from eurosat_lib import sources
from eurosat_lib.config import load_config
from eurosat_lib.data import CLASSES

# A PNG file of one pixel with 16 bits per channel, which Pillow cuts without a word.
DEEP = b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABEAIAAADA54+dAAAAC0lEQVR4nGNgAAMAAAcAAbKGrPQAAAAASUVORK5CYII="
)
NUMBERS = {"train": (1, 2, 3), "validation": (4,), "test": (5, 6)}  # Forest_1.jpg ...


def config_for(source, **values):
    sources.folder_source.cache_clear()  # as in a new process
    small = {"data.source": str(source), "data.synthetic_images": [30, 10, 20]}
    return load_config(ROOT / "configs/config.yaml", "full", small | values)


def jpeg(seed, size=64, mode="RGB", form="JPEG"):
    blocks = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(blocks).resize((size, size)).convert(mode).save(file, form)
    return file.getvalue()


def rows(split):
    """File names and compressed images of a split, classes taking turns."""
    pairs = [(number, label) for number in NUMBERS[split] for label in range(10)]
    return [(f"{CLASSES[i]}_{number}.jpg", jpeg(100 * number + i)) for number, i in pairs]


def names(split):
    return [name for name, _ in rows(split)]


def write_table(path, images, labels=None, classes=CLASSES, **columns):
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


def write_lists(folder: Path, prefix: str, *parts: list[str]) -> None:
    """Write a list per split."""
    folder.mkdir(parents=True, exist_ok=True)
    for short, part in zip(("train", "val", "test"), parts, strict=True):
        (folder / f"{prefix}{short}.txt").write_text("".join(f"{name}\n" for name in part))


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
