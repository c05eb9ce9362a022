"""The images themselves, all of them: counts, faults, copies, colours, and shared ground.

Two tiles cut from one scene may share some of their pixels. Key points that look the same in two
tiles propose a shift, and the correlation of the shared rectangle decides.
"""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePath
from typing import Any

import numpy as np
import pandas as pd
from scipy.fft import dctn
from scipy.ndimage import maximum_filter, uniform_filter
from scipy.stats import chi2_contingency

from eurosat_lib.data import SPLITS, EuroSAT
from eurosat_lib.sources import PUBLISHED, STANDARD
from eurosat_lib.stages import Record

BLOCK = 1024  # images looked at together: 12 MB of pixels
NODATA = 8  # of 255: at most this in the three channels; JPEG smears a zero by a few levels
SATURATED = 0.01  # share of the values at 255 above which an image is called saturated
FAINT = 3.0  # of 255: standard deviation of the most contrasted channel of a faint image
FLAGS = ("black", "nodata", "flat", "saturated", "faint")  # see measure

SMALLEST = 0.1  # share of the tile that two tiles must have in common
SAME = 0.9  # correlation of the shared rectangle from which it shows the same ground
BACKGROUND = 9  # pixels: what is wider belongs to the background
PER_TILE = 6  # strongest points kept
HALF = 8  # pixels: the surroundings of a point are 2 HALF x 2 HALF
APART = 7  # pixels: side of the square in which a point is the strongest
STRONG = 4.0  # of 255: difference of the two blurs below which a point is noise
RADIUS = 3  # bits of 63 by which the surroundings of two points may differ: one less than chunks
COMMON = 400  # points that share a chunk of 16 bits beyond which it tells nothing


class Audit(Record, stage="explore_dataset"):
    """Counts and findings over all images of the three splits; see :func:`measure`."""

    synthetic: bool  # drawn images
    source_location: str
    published_lists: bool  # the three splits are those of google-research, in that order
    classes: tuple[str, ...]
    counts: dict[str, tuple[int, ...]]  # split -> images per class, in the order of classes
    # p-value of a chi-square test of split against class; of drawn images none
    balance: dict[str, float] | None
    image_shape: tuple[int, ...]  # of every image: decoding refuses another size or mode
    duplicates: int  # images whose pixels already occurred
    duplicates_across: int  # groups of equal images that span two splits
    black: int
    nodata: int
    flat: int
    saturated: int
    faint: int
    faint_by_class: tuple[int, ...]
    channel_mean: tuple[float, ...]  # train, of [0, 1] values
    channel_sd: tuple[float, ...]

    @property
    def sizes(self) -> dict[str, int]:
        """Images per split."""
        return {split: sum(counts) for split, counts in self.counts.items()}

    def facts(self) -> dict[str, Any]:
        """Return the fields and what follows from them."""
        train, total = pd.Series(self.counts["train"], self.classes), sum(self.sizes.values())
        faint = pd.Series(self.faint_by_class, self.classes).nlargest(len(self.classes))
        most = faint[faint.cumsum() - faint < 0.9 * self.faint]  # nine faint images in ten
        return self.model_dump(mode="json") | {
            **{f"n_{split}": size for split, size in self.sizes.items()},
            "total": total,
            "shares": {split: size / total for split, size in self.sizes.items()},
            "largest_class": train.idxmax(),
            "largest_count": int(train.max()),
            "smallest_class": train.idxmin(),
            "smallest_count": int(train.min()),
            "imbalance": float(train.max() / max(train.min(), 1)),
            "faint_classes": list(most.index),
        }


def explore_dataset(dataset: EuroSAT) -> Audit:
    """Count classes and faults over all images; limits of the configuration do not apply."""
    splits, count = [getattr(dataset, name) for name in SPLITS], len(dataset.classes)
    measures = [measure(split.images) for split in splits]
    found = {flag: np.concatenate([m[flag] for m in measures]) for flag in FLAGS}
    labels = np.concatenate([split.labels for split in splits])
    counts = np.stack([np.bincount(split.labels, minlength=count) for split in splits])
    test = None if dataset.source.synthetic else chi2_contingency(counts, correction=False)
    names = ["\n".join(f"{PurePath(n).stem}.jpg" for n in split.names) for split in splits]
    lists = [hashlib.sha256(text.encode()).hexdigest() for text in names]
    mean, sd = measures[0]["mean"], measures[0]["sd"]
    center = mean.mean(0)
    spread = np.sqrt((sd**2 + (mean - center) ** 2).mean(0))  # law of total variance
    pixels = [hashlib.blake2b(image).digest() for split in splits for image in split.images]
    copies = pd.DataFrame({"split": np.repeat(SPLITS, counts.sum(1)), "pixels": pixels})
    return Audit(
        synthetic=dataset.source.synthetic,
        source_location=dataset.source.location,
        published_lists=lists == [PUBLISHED[name] for name in STANDARD],
        classes=dataset.classes,
        counts=dict(zip(SPLITS, counts.tolist(), strict=True)),
        balance={"p_value": float(test.pvalue)} if test else None,
        image_shape=dataset.train.images.shape[1:],
        duplicates=int(copies["pixels"].duplicated().sum()),
        duplicates_across=int((copies.groupby("pixels")["split"].nunique() > 1).sum()),
        **{flag: int(rows.sum()) for flag, rows in found.items()},
        faint_by_class=np.bincount(labels[found["faint"]], minlength=count).tolist(),
        channel_mean=(center / 255).tolist(),
        channel_sd=(spread / 255).tolist(),
    )


def measure(images: np.ndarray) -> dict[str, np.ndarray]:
    """Say what the pixels of images, uint8 (N, 3, H, W), are; levels are 0-255.

    Returns:
        ``mean``, ``sd``: float64 (N, 3), of each channel. bool (N,): ``black``, no pixel has data;
        ``nodata``, one pixel or more has none; ``flat``, a single colour; ``saturated``, more than
        ``SATURATED`` of the values at 255; ``faint``, no channel varies by ``FAINT``.
    """
    parts = []
    for block in np.array_split(images, range(BLOCK, len(images), BLOCK)):
        pixels = block.reshape(len(block), block.shape[1], -1)  # (n, 3, H * W)
        values = pixels.astype(np.float32)
        mean = pixels.mean(2)
        squares = np.einsum("ncp,ncp->nc", values, values, dtype=np.float64) / pixels.shape[2]
        sd = np.sqrt(np.maximum(squares - mean**2, 0))
        empty = pixels.max(1) <= NODATA  # (n, H * W): pixels without data
        found = {"mean": mean, "sd": sd, "black": empty.all(1), "nodata": empty.any(1)}
        found["flat"] = (pixels.max(2) == pixels.min(2)).all(1)
        found["saturated"] = (pixels == 255).mean((1, 2)) > SATURATED
        parts.append(found | {"faint": sd.max(1) < FAINT})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


class Tile(Record):
    """One image: where it is, and what it is said to show."""

    split: str  # "train", "validation" or "test"
    index: int  # position in its split
    name: str
    label: int


class Overlap(Record):
    """Two tiles, laid over each other."""

    first: Tile
    second: Tile
    down: int  # pixels by which the second tile lies below the first
    right: int  # pixels by which it lies to the right
    share: float  # of a tile's area, in common
    correlation: float  # of the fine structure of the shared rectangle


class Overlaps(Record, stage="find_overlaps"):
    """Tiles that share ground with another tile."""

    pairs: tuple[Overlap, ...]  # of correlation ``SAME`` or more, largest share first

    def facts(self) -> dict[str, Any]:
        """Return counts, and what is at stake for the test."""
        across = [p for p in self.pairs if p.first.split != p.second.split]
        tiles = [tile for pair in across for tile in (pair.first, pair.second)]
        return {
            "found": len(self.pairs),
            "across": len(across),
            "test_images": len({tile.index for tile in tiles if tile.split == "test"}),
            "relabelled": sum(p.first.label != p.second.label for p in self.pairs),
        }

    def files(self) -> dict[str, list[dict[str, Any]]]:
        """Return a row per pair, for whoever wants to leave these tiles out."""
        table = pd.json_normalize([pair.model_dump() for pair in self.pairs], sep="_").round(4)
        return {"overlaps.csv": table.to_dict("records")}


def find_overlaps(dataset: EuroSAT) -> Overlaps:
    """Search all three splits for tiles that share ground, as they lie: not turned."""
    tiles, parts = [], []
    for name in SPLITS:
        split = getattr(dataset, name)
        for i, (file, label) in enumerate(zip(split.names, split.labels.tolist(), strict=True)):
            tiles.append(Tile(split=name, index=i, name=file, label=label))
        parts += np.array_split(split.images, range(BLOCK, len(split), BLOCK))
    with ThreadPoolExecutor() as pool:  # of each part, from its first position in ``tiles`` on
        found = list(pool.map(_keypoints, parts, np.cumsum([0, *map(len, parts[:-1])])))
    tile, place, hashes = map(np.concatenate, zip(*found, strict=True))
    pairs = match_keypoints(tile, hashes)
    shifts = place[pairs[:, 0]] - place[pairs[:, 1]]
    proposed = np.unique(np.c_[tile[pairs], shifts], axis=0)
    fine = {}
    for position in np.unique(proposed[:, :2]):
        one = tiles[position]
        (grey,) = _luminance(getattr(dataset, one.split).images[[one.index]])
        fine[position] = grey - uniform_filter(grey, BACKGROUND)
    found = [shared(fine[a], fine[b], down, right) for a, b, down, right in proposed]
    kept = pd.DataFrame(proposed, columns=["first", "second", "down", "right"])
    kept[["correlation", "share"]] = np.reshape(found, (-1, 2))
    kept = kept[kept["share"] >= SMALLEST].sort_values("correlation", ascending=False)
    kept = kept.drop_duplicates(["first", "second"]).query(f"correlation >= {SAME}")
    kept = kept.sort_values(["share", "correlation"], ascending=False).to_dict("records")
    rows = [row | {end: tiles[row[end]] for end in ("first", "second")} for row in kept]
    return Overlaps(pairs=rows)


def _keypoints(images: np.ndarray, start: int) -> tuple[np.ndarray, ...]:
    """Find the strongest points of some images: extrema of the difference of two blurs.

    Their surroundings are hashed to the signs of the 63 lowest frequencies of a cosine transform,
    the mean brightness left out: after pHash (Zauner 2010), with 0 as the threshold.

    Returns:
        For n points: int64 (n,) position of the image, counted from ``start``; int64 (n, 2) row
        and column; uint64 (n,) hash.
    """
    grey = _luminance(images)
    strength = np.abs(uniform_filter(grey, (0, 3, 3)) - uniform_filter(grey, (0, 7, 7)))
    peak = np.where(strength == maximum_filter(strength, (1, APART, APART)), strength, 0)
    margin = (HALF, HALF - 1)  # the surroundings lie within the image
    inside = np.pad(peak[:, HALF : 1 - HALF, HALF : 1 - HALF], ((0, 0), margin, margin))
    flat = inside.reshape(len(grey), -1)
    best = np.argpartition(-flat, PER_TILE, axis=1)[:, :PER_TILE]
    values = np.take_along_axis(flat, best, axis=1)
    tile, column = np.nonzero(values >= STRONG)
    rows, columns = np.divmod(best[tile, column], grey.shape[2])
    windows = np.lib.stride_tricks.sliding_window_view(grey, (2 * HALF, 2 * HALF), axis=(1, 2))
    spectra = dctn(windows[tile, rows - HALF, columns - HALF], axes=(1, 2), norm="ortho")
    bits = spectra[:, :8, :8].reshape(len(tile), 64)[:, 1:] > 0
    hashes = np.packbits(bits, axis=1).view(np.uint64)[:, 0]
    return start + tile, np.stack([rows, columns], axis=1), hashes


def _luminance(images: np.ndarray) -> np.ndarray:
    """Weigh the channels of uint8 (N, 3, H, W) as JPEG does (ITU-R BT.601): float32 (N, H, W)."""
    red, green, blue = np.float32([0.299, 0.587, 0.114])
    return images[:, 0] * red + images[:, 1] * green + images[:, 2] * blue


def match_keypoints(tile: np.ndarray, hashes: np.ndarray) -> np.ndarray:
    """List pairs of points of two images whose hashes differ in ``RADIUS`` bits or less.

    Such a pair shares one of the four chunks of its hash (Norouzi, Punjani & Fleet, « Fast search
    in Hamming space with multi-index hashing », CVPR 2012): only points that share one are
    compared. ``tile``, int64 (n,), is the image of each point, in order; ``hashes`` uint64 (n,).
    Returns int64 (m, 2), positions of points, the earlier image first.
    """
    found = []
    for chunk in hashes.view(np.uint16).reshape(-1, 4).T:
        points = pd.DataFrame({"chunk": chunk, "point": np.arange(len(hashes))})
        points = points[points.groupby("chunk")["point"].transform("size") <= COMMON]
        pairs = points.merge(points, on="chunk")[["point_x", "point_y"]].to_numpy()
        first, second = pairs.T
        close = np.bitwise_count(hashes[first] ^ hashes[second]) <= RADIUS
        found.append(pairs[close & (tile[first] < tile[second])])
    return np.unique(np.concatenate(found), axis=0)


def shared(first: np.ndarray, second: np.ndarray, down: int, right: int) -> tuple[float, float]:
    """Correlate the rectangle that two tiles, float (H, W), share.

    The second lies ``down`` pixels below the first and ``right`` to its right. Return Pearson's
    correlation in [-1, 1] (0 where nothing varies), and the share of the area.
    """
    height, width = first.shape
    a = first[max(0, down) : height + min(0, down), max(0, right) : width + min(0, right)]
    b = second[max(0, -down) : height - max(0, down), max(0, -right) : width - max(0, right)]
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return (float((a * b).sum()) / norm if norm else 0.0), a.size / first.size
