"""Near-duplicates: the same place twice, whichever way it is turned, and a little shifted.

Two steps. A perceptual hash proposes pairs, many of them by chance: on still water the hash reads
noise, or a bright corner. The correlation of the pair's fine structure then decides.
"""

from __future__ import annotations

from collections import Counter
from typing import ClassVar

import numpy as np

from eurosat_lib.data.audit.alignment import details, overlay
from eurosat_lib.data.audit.perceptual import BITS, compare, perceptual_hashes, view
from eurosat_lib.data.audit.tiles import Tile, Tiles, luminance
from eurosat_lib.data.types import EuroSAT
from eurosat_lib.record import Record

RADIUS = 10  # bits of 63 within which a pair is looked at closely
SAME = 0.8  # correlation from which a pair shows the same place
RELIEF = 2.0  # of 255: standard deviation of the luminance below which a hash reads noise
MOST = 50_000  # pairs looked at closely; the closest ones, if there are more
SHOWN = 4  # pairs on either side of the threshold, for the figure


class Pair(Record):
    """Two images that look alike to the hash."""

    first: Tile
    second: Tile
    distance: int  # bits
    view: int  # of the second that looks like the first, 0 (as it is) to 7
    correlation: float  # of the fine structure, at the best shift


class Duplicates(Record):
    """What the search for near-duplicates found."""

    stage: ClassVar[str] = "find_duplicates"

    images: int  # of the whole set
    hashed: int  # with enough relief to be compared
    bits: int
    radius: int
    same: float
    nearest: tuple[int, ...]  # images by distance to their nearest other, from 0 bits on
    distances: tuple[int, ...]  # of the pairs looked at closely, sorted
    correlations: tuple[float, ...]  # of these pairs, in the same order
    capped: bool  # more pairs lay within the radius than were looked at
    pairs: tuple[Pair, ...]  # that show the same place, best correlation first
    rejected: tuple[Pair, ...]  # the others of best correlation; none of the test split

    @property
    def across(self) -> int:
        """Near-duplicates whose images are in two splits."""
        return sum(p.first.split != p.second.split for p in self.pairs)

    def _leaked(self) -> set[int]:
        """Return the test images that show a place of another split, by their position."""
        found = set()
        for pair in self.pairs:
            if pair.first.split != pair.second.split:
                found |= {t.index for t in (pair.first, pair.second) if t.split == "test"}
        return found

    def facts(self) -> dict:
        """Return counts and thresholds."""
        heard = {"nearest", "distances", "correlations", "pairs", "rejected"}
        between = Counter(f"{p.first.split}/{p.second.split}" for p in self.pairs)
        labels = [(p.first.label, p.second.label) for p in self.pairs]
        return self.model_dump(mode="json", exclude=heard) | {
            "candidates": len(self.distances),
            "near": len(self.pairs),
            "across": self.across,
            "between": dict(between),
            "test_images": len(self._leaked()),
            "turned": sum(p.view != 0 for p in self.pairs),
            "relabelled": sum(a != b for a, b in labels),
            "weakest": min((p.correlation for p in self.pairs), default=0.0),
            "strongest_rejected": max(
                (c for c in self.correlations if c < self.same), default=0.0
            ),
            "shown_pairs": [f"{p.first.name} / {p.second.name}" for p in self.pairs[:SHOWN]],
        }


def find_duplicates(dataset: EuroSAT) -> Duplicates:
    """Search all three splits for pairs of images of the same place."""
    tiles = Tiles(dataset)
    kept, hashes = _hash(tiles)
    nearest, found = compare(hashes, RADIUS, MOST + 1)
    capped, found = len(found) > MOST, found[:MOST]
    found[:, :2] = kept[found[:, :2]]  # positions in the whole line
    correlations = _correlate(tiles, found)
    best = np.argsort(-correlations, kind="stable")
    same = [i for i in best if correlations[i] >= SAME]
    shown = [i for i in best if correlations[i] < SAME and _may_be_shown(tiles, found[i])]
    return Duplicates(
        images=len(tiles),
        hashed=len(kept),
        bits=BITS,
        radius=RADIUS,
        same=SAME,
        nearest=tuple(np.bincount(nearest[nearest <= BITS], minlength=BITS + 1).tolist()),
        distances=tuple(found[:, 2].tolist()),
        correlations=tuple(np.round(correlations, 4).tolist()),
        capped=capped,
        pairs=tuple(_pair(tiles, found[i], correlations[i]) for i in same),
        rejected=tuple(_pair(tiles, found[i], correlations[i]) for i in shown[:SHOWN]),
    )


def _hash(tiles: Tiles) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions (n,) of the images with relief, and their hashes (8, n)."""
    deviations, hashes = [], []
    for block in tiles.blocks():
        grey = luminance(block)
        deviations.append(grey.std((1, 2)))
        hashes.append(perceptual_hashes(grey))
    kept = np.flatnonzero(np.concatenate(deviations) >= RELIEF)
    return kept, np.concatenate(hashes, axis=1)[:, kept]


def _correlate(tiles: Tiles, pairs: np.ndarray) -> np.ndarray:
    """Lay the second image of each pair over the first; float (P,)."""
    found = np.zeros(len(pairs))
    used, place = np.unique(pairs[:, :2], return_inverse=True)
    if not len(used):
        return found
    place = place.reshape(-1, 2)
    parts = np.array_split(used, max(1, len(used) // 1024))
    fine = np.concatenate([details(luminance(tiles.images(part))) for part in parts])
    for number in range(8):
        rows = np.flatnonzero(pairs[:, 3] == number)
        for part in np.array_split(rows, max(1, len(rows) // 512)):
            second = view(fine[place[part, 1]], number)
            found[part] = overlay(fine[place[part, 0]], second)
    return found


def _may_be_shown(tiles: Tiles, pair: np.ndarray) -> bool:
    return "test" not in (tiles[pair[0]].split, tiles[pair[1]].split)


def _pair(tiles: Tiles, row: np.ndarray, correlation: float) -> Pair:
    return Pair(
        first=tiles[row[0]],
        second=tiles[row[1]],
        distance=int(row[2]),
        view=int(row[3]),
        correlation=float(correlation),
    )
