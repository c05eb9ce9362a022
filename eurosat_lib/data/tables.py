"""Tables of images as `datasets` gives them: checked, and turned into splits to be decoded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from eurosat_lib.data.decode import RawSplit, encoded_split
from eurosat_lib.data.types import CLASSES, SPLITS
from eurosat_lib.errors import UserError

if TYPE_CHECKING:
    import pyarrow
    from datasets import Dataset


def table_splits(tables: Mapping[str, Dataset], where: str) -> dict[str, RawSplit]:
    """Turn tables with the columns ``image`` and ``label`` into splits to be decoded.

    Args:
        tables: split -> table; ``label`` is a ClassLabel, a class name, or an integer 0-9.
        where: folder or data set, for messages.

    Raises:
        UserError: a split is missing or empty, a column is missing, a class is unknown.
    """
    for split in SPLITS:
        if split not in tables:
            raise UserError(f"{where}: no {split} split; there must be {', '.join(SPLITS)}")
    return {split: _table_split(tables[split], f"{where}: {split}") for split in SPLITS}


@contextmanager
def quiet_datasets() -> Iterator[None]:
    """Keep Hugging Face silent for a while: our bars and messages tell the whole way."""
    import datasets
    from huggingface_hub import utils as hub

    loud = [lib for lib in (datasets, hub) if not lib.are_progress_bars_disabled()]
    verbosity = datasets.logging.get_verbosity()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)
    for library in loud:
        library.disable_progress_bars()
    try:
        yield
    finally:
        datasets.logging.set_verbosity(verbosity)
        for library in loud:
            library.enable_progress_bars()


def one_line(error: BaseException) -> str:
    """Return the kind of an error and its first line, at most 200 characters."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}"[:200] if lines else type(error).__name__


def _table_split(table: Dataset, where: str) -> RawSplit:
    from datasets import Image

    for column in ("image", "label"):
        if column not in table.column_names:
            there = ", ".join(table.column_names)
            raise UserError(f"{where}: no column '{column}'; the columns are {there}")
    if not len(table):
        raise UserError(f"{where}: the split is empty")
    try:
        images = table.cast_column("image", Image(decode=False)).data.column("image")
    except (TypeError, ValueError) as error:
        raise UserError(f"{where}: column 'image' holds no images ({one_line(error)})") from None
    names = _names(table, images)
    labels = _labels(table, names, where)
    return encoded_split(where, names, labels, partial(_read, where, names, images))


def _read(
    where: str, names: Sequence[str], images: pyarrow.ChunkedArray, start: int, stop: int
) -> list[pyarrow.Buffer]:
    import pyarrow.compute

    blobs = pyarrow.compute.struct_field(images.slice(start, stop - start), "bytes")
    for name, blob in zip(names[start:stop], blobs, strict=True):
        if not blob.is_valid:
            raise UserError(f"{where}/{name}: the table holds no bytes for this image")
    return [blob.as_buffer() for blob in blobs]


def _names(table: Dataset, images: pyarrow.ChunkedArray) -> list[str]:
    """Take the file name kept with the image, else ``image_id``, else the row number."""
    import pyarrow.compute

    paths = pyarrow.compute.struct_field(images, "path").to_pylist()
    if None in paths and "image_id" in table.column_names:
        identifiers = table.data.column("image_id").to_pylist()
        paths = [p or f"{i}.jpg" for p, i in zip(paths, identifiers, strict=True)]
    return [PurePosixPath(p).name if p else f"row_{i:05d}.jpg" for i, p in enumerate(paths)]


def _labels(table: Dataset, names: Sequence[str], where: str) -> np.ndarray:
    """Return the labels as positions in ``CLASSES``, int64 (N,)."""
    from datasets import ClassLabel

    values = table.data.column("label").to_pylist()
    feature = table.features["label"]
    known = feature.names if isinstance(feature, ClassLabel) else CLASSES
    for name in known:
        if name not in CLASSES:
            raise UserError(f"{where}: unknown class '{name}'; EuroSAT has {', '.join(CLASSES)}")
    meaning = {value: CLASSES.index(name) for value, name in enumerate(known)}
    meaning |= {name: index for index, name in enumerate(CLASSES)}
    for name, value in zip(names, values, strict=True):
        if value not in meaning:
            raise UserError(
                f"{where}/{name}: unknown class (label {value!r}; "
                f"there are {len(known)}, 0 to {len(known) - 1})"
            )
    return np.array([meaning[value] for value in values], np.int64)
