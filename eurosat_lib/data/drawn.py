"""The built-in images as a source: what stands for them, and how they are drawn when asked for."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

import numpy as np

from eurosat_lib.data.decode import RawSplit, array_split
from eurosat_lib.data.types import SPLITS, Source


@dataclass(frozen=True)
class Synthetic:
    """The built-in set.

    Attributes:
        counts: images of train, validation and test.
        because: why it stands in for the real images; empty when it was asked for.
    """

    counts: tuple[int, int, int]
    because: str = ""
    source: ClassVar[Source] = Source("synthetic", "synthetic")

    @property
    def origin(self) -> str:
        """What stays the same when the drawing changes."""
        return f"synthetic:{','.join(map(str, self.counts))}"

    @property
    def signature(self) -> str:
        """A text that changes with the counts and with the code that draws."""
        spec = find_spec("eurosat_lib.synthetic")
        folders = spec.submodule_search_locations
        files = sorted(Path(folders[0]).glob("*.py")) if folders else [Path(spec.origin)]
        digest = hashlib.sha256(b"\n".join(path.read_bytes() for path in files))
        return f"{self.origin}:{digest.hexdigest()}"

    def read(self, scratch: Path) -> dict[str, RawSplit]:
        """Draw the images; ``scratch`` is not needed."""
        from eurosat_lib.progress import progress
        from eurosat_lib.synthetic import generate

        splits = {}
        with progress("Drawing the synthetic images", sum(self.counts), "images") as bar:
            for split, count in zip(SPLITS, self.counts, strict=True):
                images, labels = generate(split, count)
                names = [f"synthetic_{split}_{i:05d}" for i in range(1, count + 1)]
                splits[split] = array_split(names, labels.astype(np.int64), images)
                bar.advance(count)
        return splits
