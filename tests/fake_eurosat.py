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

from eurosat_lib.config import Config, load_config
from eurosat_lib.data.types import CLASSES

ROOT = Path(__file__).parent.parent
COUNTS = {"train": 3, "validation": 1, "test": 2}  # images per class
LIST_NAMES = {"train": "train", "validation": "val", "test": "test"}
Row = tuple[str, bytes]  # file name, compressed image


def config_for(source: str, **values) -> Config:
    small = {"data.source": source, "data.synthetic_images": [30, 10, 20]}
    return load_config(ROOT / "configs/config.yaml", "full", small | values)


def pixels(seed: int, size: int = 64) -> np.ndarray:
    """A coarse random pattern, uint8 (size, size, 3)."""
    blocks = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    return np.asarray(Image.fromarray(blocks).resize((size, size), Image.Resampling.BILINEAR))


def jpeg(seed: int, size: int = 64, mode: str = "RGB") -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels(seed, size)).convert(mode).save(file, "JPEG")
    return file.getvalue()


def rows(split: str) -> list[Row]:
    """The images of a split, classes taking turns: Forest_2.jpg ... numbered across splits."""
    start = {"train": 1, "validation": 4, "test": 5}[split]
    numbers = range(start, start + COUNTS[split])
    return [
        (f"{name}_{number}.jpg", jpeg(100 * number + label))
        for number in numbers
        for label, name in enumerate(CLASSES)
    ]


def label_of(name: str) -> int:
    return CLASSES.index(name.rpartition("_")[0])


def write_table(path: Path, images: list[Row], labels: list | None = None, classes=CLASSES):
    """Write one shard as the Hub has it; ``classes=None`` leaves the labels without names."""
    labels = [label_of(name) for name, _ in images] if labels is None else labels
    table = pa.table(
        {
            "image": [{"bytes": data, "path": name} for name, data in images],
            "label": labels,
            "image_id": [Path(name).stem for name, _ in images],
        }
    )
    features = {"image": {"_type": "Image"}, "image_id": {"dtype": "string", "_type": "Value"}}
    if classes:
        features["label"] = {"names": list(classes), "_type": "ClassLabel"}
        features = {name: features[name] for name in table.column_names}
        info = {"huggingface": json.dumps({"info": {"features": features}})}
        table = table.replace_schema_metadata(info)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


def write_parquet(folder: Path, shards: int = 1, change=lambda split, images: images) -> Path:
    """Write the three splits, train in ``shards`` shards; ``change`` edits a split's images."""
    for split in COUNTS:
        images = change(split, rows(split))
        parts = np.array_split(np.arange(len(images)), shards if split == "train" else 1)
        for i, part in enumerate(parts):
            name = f"{split}-{i:05d}-of-{len(parts):05d}.parquet"
            write_table(folder / "data" / name, [images[j] for j in part])
    return folder


def write_images(folder: Path, place: str = ".") -> Path:
    """Write class folders below ``folder/place`` and the three lists."""
    for split in COUNTS:
        for name, data in rows(split):
            path = folder / place / name.rpartition("_")[0] / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        lines = [f"{name}\n" for name, _ in rows(split)]
        (folder / f"eurosat-{LIST_NAMES[split]}.txt").write_text("".join(lines))
    return folder


def write_spatial(folder: Path) -> dict[str, str]:
    """Write the spatial lists of these images, not the standard ones; return their SHA-256."""
    names = [name for split in COUNTS for name, _ in rows(split)]
    parts = {"train": names[:30], "validation": names[50:], "test": names[30:50]}
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    for split, listed in parts.items():
        content = "".join(f"{name}\n" for name in listed).encode()
        (folder / f"eurosat-spatial-{LIST_NAMES[split]}.txt").write_bytes(content)
        found[split] = hashlib.sha256(content).hexdigest()
    return found
