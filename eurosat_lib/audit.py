"""The images themselves, all of them: counts, faults, exact copies, extremes, colours by class."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np
from scipy.stats import chi2_contingency
from scipy.stats.contingency import association

from eurosat_lib.data import SPLITS, EuroSAT, Split
from eurosat_lib.stages import Record

# MD5 of the file names of each split, joined by newlines: the lists that google-research
# (remote_sensing_representations) published and torchgeo uses.
PUBLISHED = {
    "train": "908f142e73d6acdf3f482c5e80d851b1",
    "validation": "95de90f2aa998f70a3b2416bfe0687b4",
    "test": "7ae5ab94471417b6e315763121e67c5f",
}
CENTRED = 0.2  # standard deviations: a small effect (Cohen 1988)
SHOWN = 6  # tiles of each extreme, for the gallery
BLOCK = 1024  # images looked at together: 12 MB of pixels
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601: what JPEG calls luminance
NODATA = 8  # of 255: at most this in the three channels; JPEG smears a zero by a few levels
CLIPPED = 255  # the value at which the sensor's range was cut
SATURATED = 0.01  # share of the values at 255 above which an image is called saturated
FAINT = 3.0  # of 255: standard deviation of the most contrasted channel of a faint image


class Tile(Record):
    """One image: where it is, and what it is said to show."""

    split: str  # "train", "validation" or "test"
    index: int  # position in its split
    name: str
    label: int


class Tiles:
    """All images of the three splits, one after the other."""

    def __init__(self, dataset: EuroSAT) -> None:
        """Line up train, validation, test."""
        self.splits = {name: getattr(dataset, name) for name in SPLITS}
        sizes = [len(split) for split in self.splits.values()]
        self.starts = np.concatenate([[0], np.cumsum(sizes)])
        self.labels = np.concatenate([split.labels for split in self.splits.values()])
        self.split_of = np.repeat(np.arange(len(SPLITS)), sizes)  # (N,), 0 for train

    def __len__(self) -> int:
        """Return the number of images."""
        return int(self.starts[-1])

    def __getitem__(self, position: int) -> Tile:
        """Name the image at a position of the whole line."""
        number = int(self.split_of[position])
        split, index = SPLITS[number], int(position - self.starts[number])
        name = self.splits[split].names[index]
        return Tile(split=split, index=index, name=name, label=int(self.labels[position]))

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield the images in order: uint8 (n, 3, H, W), at most ``BLOCK`` at a time."""
        for split in self.splits.values():
            for start in range(0, len(split), BLOCK):
                yield split.images[start : start + BLOCK]

    def images(self, positions: np.ndarray) -> np.ndarray:
        """Return the images at some positions, uint8 (n, 3, H, W)."""
        found = [self[int(p)] for p in positions]
        return np.stack([self.splits[tile.split].images[tile.index] for tile in found])


def luminance(images: np.ndarray) -> np.ndarray:
    """Weigh the three channels into one.

    Args:
        images: uint8 (N, 3, H, W).

    Returns:
        float32 (N, H, W), in [0, 255].
    """
    grey = images[:, 0] * np.float32(LUMA[0])
    grey += images[:, 1] * np.float32(LUMA[1])
    grey += images[:, 2] * np.float32(LUMA[2])
    return grey


@dataclass(frozen=True)
class Measures:
    """One row per image.

    Attributes:
        mean: float64 (N, 3), mean of each channel, 0-255.
        sd: float64 (N, 3), standard deviation of each channel, 0-255.
        darkest: uint8 (N,), the darkest pixel's brightest channel.
        nodata: float64 (N,), share of pixels at most ``NODATA`` in all channels.
        clipped: float64 (N,), share of values at 255.
        flat: bool (N,), a single colour.
        centre: float64 (N,), luminance of the middle (half the side) less that of the rest.
    """

    mean: np.ndarray
    sd: np.ndarray
    darkest: np.ndarray
    nodata: np.ndarray
    clipped: np.ndarray
    flat: np.ndarray
    centre: np.ndarray

    @property
    def black(self) -> np.ndarray:
        """Whether an image holds nothing but pixels without data; bool (N,)."""
        return self.nodata == 1

    @property
    def saturated(self) -> np.ndarray:
        """Whether more than ``SATURATED`` of the values are at 255; bool (N,)."""
        return self.clipped > SATURATED

    @property
    def faint(self) -> np.ndarray:
        """Whether no channel varies by more than ``FAINT``; bool (N,)."""
        return self.sd.max(1) < FAINT


def measure(tiles: Tiles) -> Measures:
    """Measure all images."""
    rows = [_measure(block) for block in tiles.blocks()]
    columns = (np.concatenate([getattr(row, f.name) for row in rows]) for f in fields(Measures))
    return Measures(*columns)


def _measure(images: np.ndarray) -> Measures:
    pixels = images.reshape(len(images), images.shape[1], -1)  # (n, 3, H * W)
    values = pixels.astype(np.float32)
    mean = pixels.mean(2)
    squares = np.einsum("ncp,ncp->nc", values, values, dtype=np.float64) / pixels.shape[2]
    lightest = pixels.max(1)  # (n, H * W): the brightest channel of each pixel
    return Measures(
        mean=mean,
        sd=np.sqrt(np.maximum(squares - mean**2, 0)),
        darkest=lightest.min(1),
        nodata=(lightest <= NODATA).mean(1),
        clipped=(pixels == CLIPPED).mean((1, 2)),
        flat=(pixels.max(2) == pixels.min(2)).all(1),
        centre=_centre(luminance(images)),
    )


def _centre(grey: np.ndarray) -> np.ndarray:
    """Return how much lighter the middle is than the rest: grey is float32 (n, H, W)."""
    height, width = grey.shape[1:]
    middle = np.zeros((height, width), bool)
    middle[height // 4 : height - height // 4, width // 4 : width - width // 4] = True
    return grey[:, middle].mean(1, dtype=float) - grey[:, ~middle].mean(1, dtype=float)


class Colours(Record):
    """Moments of the [0, 1] values of one set of images, per channel."""

    mean: tuple[float, ...]
    sd: tuple[float, ...]  # over all pixels of all images


def pooled(mean: np.ndarray, sd: np.ndarray) -> Colours:
    """Return the moments over all pixels of images of equal size.

    Args:
        mean: float (N, 3), of each image, 0-255; N may be 0, the moments are then 0.
        sd: float (N, 3), of each image, 0-255.
    """
    if not len(mean):
        return Colours(mean=(0.0,) * mean.shape[1], sd=(0.0,) * mean.shape[1])
    center = mean.mean(0)
    spread = np.sqrt((sd**2 + (mean - center) ** 2).mean(0))  # law of total variance
    return Colours(mean=tuple((center / 255).tolist()), sd=tuple((spread / 255).tolist()))


def explained(mean: np.ndarray, labels: np.ndarray) -> tuple[float, ...]:
    """Return the share of the variance of images' mean colours that their class explains.

    The correlation ratio (eta squared) of a one-way analysis of variance: between-class sum of
    squares over the total (Fisher 1925); 0 where nothing varies.

    Args:
        mean: float (N, 3).
        labels: int (N,).

    Returns:
        One share in [0, 1] per channel.
    """
    total = ((mean - mean.mean(0)) ** 2).sum(0)
    between = np.zeros_like(total)
    for label in np.unique(labels):
        members = mean[labels == label]
        between += len(members) * (members.mean(0) - mean.mean(0)) ** 2
    return tuple(np.divide(between, total, out=np.zeros_like(total), where=total > 0).tolist())


def standardised(differences: np.ndarray) -> float:
    """Return a mean difference over its standard deviation (Cohen's d of paired values).

    Args:
        differences: float (n,); 0 comes back where they are fewer than two or do not vary.
    """
    deviation = differences.std(ddof=1) if len(differences) > 1 else 0.0
    return float(differences.mean() / deviation) if deviation else 0.0


def mean_images(split: Split, classes: int) -> np.ndarray:
    """Average the images of each class, pixel by pixel.

    Returns:
        float32 (K, 3, H, W), 0-255; NaN for a class without images.
    """
    sums = np.zeros((classes, *split.images.shape[1:]), np.int64)
    for label in range(classes):
        members = np.flatnonzero(split.labels == label)
        for part in np.array_split(members, max(1, len(members) // 512)):
            sums[label] += split.images[part].sum(0, dtype=np.int64)
    counts = np.bincount(split.labels, minlength=classes)
    with np.errstate(invalid="ignore"):
        return (sums / counts[:, None, None, None]).astype(np.float32)


class Balance(Record):
    """A chi-square test of independence between split and class."""

    statistic: float
    degrees: int  # of freedom
    p_value: float  # of a larger statistic, were the splits drawn without regard to the class
    cramers_v: float  # size of the effect, 0 (same shares) to 1
    smallest_expected: float  # count of a cell; the approximation wants 5


def balance(counts: Sequence[Sequence[int]]) -> Balance | None:
    """Test whether the shares of the classes differ between splits.

    Args:
        counts: images per split (rows) and class (columns); classes without images are left out.

    Returns:
        The test, or ``None`` where there are fewer than two classes to compare.
    """
    table = np.array(counts)
    table = table[:, table.sum(0) > 0]
    if table.shape[1] < 2:
        return None
    test = chi2_contingency(table, correction=False)
    return Balance(
        statistic=float(test.statistic),
        degrees=int(test.dof),
        p_value=float(test.pvalue),
        cramers_v=float(association(table, method="cramer")),
        smallest_expected=float(test.expected_freq.min()),
    )


class Extreme(Record):
    """A tile at one end of the whole set, and its value there."""

    tile: Tile
    value: float  # mean (0-255), standard deviation (0-255), share of values at 255


class Audit(Record):
    """Counts and findings over all images of the three splits."""

    stage: ClassVar[str] = "explore_dataset"

    source_kind: str  # "hub", "folder" or "synthetic"
    source_location: str
    source_revision: str | None
    fingerprint: str  # sha256 of pixels, labels and names
    published_lists: bool  # the three splits are those of google-research, in that order
    classes: tuple[str, ...]
    counts: dict[str, tuple[int, ...]]  # split -> images per class, in the order of classes
    balance: Balance | None  # of the classes over the splits
    image_shape: tuple[int, ...]  # of every image: decoding refuses another size or mode
    duplicates: int  # images whose pixels already occurred
    duplicates_across: int  # groups of equal images that span two splits
    black: int  # every pixel without data
    nodata: int  # at least one pixel without data: no channel above NODATA
    flat: int  # a single colour
    saturated: int  # more than 1 % of the values at 255
    faint: int  # no channel varies by more than FAINT
    darkest: int  # brightest channel of the darkest pixel of all
    saturated_by_class: tuple[int, ...]
    faint_by_class: tuple[int, ...]
    extremes: dict[str, tuple[Extreme, ...]]  # "faint", "light", "clipped"; never of the test
    channel_mean: tuple[float, ...]  # train, of [0, 1] values
    channel_sd: tuple[float, ...]
    colours: tuple[Colours, ...]  # train, class by class
    explained: tuple[float, ...]  # of the variance of train images' mean colour, by the class
    centring: tuple[float, ...]  # train, class by class: middle less rest, over its deviation

    @property
    def sizes(self) -> dict[str, int]:
        """Images per split."""
        return {split: sum(counts) for split, counts in self.counts.items()}

    def facts(self) -> dict:
        """Return the fields and what follows from them."""
        train = self.counts["train"]
        total = sum(self.sizes.values())
        return self.model_dump(mode="json", exclude={"extremes"}) | {
            **{f"n_{split}": size for split, size in self.sizes.items()},
            "total": total,
            "shares": {split: size / total for split, size in self.sizes.items()},
            "num_classes": len(self.classes),
            "largest_class": self.classes[int(np.argmax(train))],
            "largest_count": max(train),
            "smallest_class": self.classes[int(np.argmin(train))],
            "smallest_count": min(train),
            "imbalance": max(train) / min(train),
            "synthetic": self.source_kind == "synthetic",
            "saturated_class": self.classes[int(np.argmax(self.saturated_by_class))],
            "faint_classes": self._faint_classes(),
            "centred_classes": [
                name
                for name, effect in zip(self.classes, self.centring, strict=True)
                if abs(effect) >= CENTRED
            ],
        }

    def _faint_classes(self) -> list[str]:
        """Name the classes that together hold nine faint images in ten, most first."""
        order = np.argsort(self.faint_by_class, kind="stable")[::-1]
        reached = np.cumsum(np.array(self.faint_by_class)[order])
        needed = int(np.searchsorted(reached, 0.9 * self.faint)) + 1 if self.faint else 0
        return [self.classes[i] for i in order[:needed]]


def explore_dataset(dataset: EuroSAT) -> Audit:
    """Count classes and faults over all images; limits of the configuration do not apply."""
    tiles = Tiles(dataset)
    found = measure(tiles)
    train, count = slice(len(dataset.train)), len(dataset.classes)
    labels = dataset.train.labels
    whole = pooled(found.mean[train], found.sd[train])
    counts = {
        name: tuple(np.bincount(split.labels, minlength=count).tolist())
        for name, split in tiles.splits.items()
    }
    return Audit(
        source_kind=dataset.source.kind,
        source_location=dataset.source.location,
        source_revision=dataset.source.revision,
        fingerprint=dataset.fingerprint,
        published_lists=all(_is_published(name, s) for name, s in tiles.splits.items()),
        classes=dataset.classes,
        counts=counts,
        balance=balance(list(counts.values())),
        image_shape=dataset.train.images.shape[1:],
        **_copies(tiles),
        **_faults(tiles, found, count),
        extremes=_extremes(tiles, found),
        channel_mean=whole.mean,
        channel_sd=whole.sd,
        colours=tuple(
            pooled(found.mean[train][labels == k], found.sd[train][labels == k])
            for k in range(count)
        ),
        explained=explained(found.mean[train], labels),
        centring=tuple(standardised(found.centre[train][labels == k]) for k in range(count)),
    )


def _is_published(name: str, split: Split) -> bool:
    names = "\n".join(split.names).encode()
    return hashlib.md5(names, usedforsecurity=False).hexdigest() == PUBLISHED[name]


def _copies(tiles: Tiles) -> dict[str, int]:
    holders: dict[bytes, set[str]] = {}
    for name, split in tiles.splits.items():
        for image in split.images:
            digest = hashlib.blake2b(image.tobytes(), digest_size=16).digest()
            holders.setdefault(digest, set()).add(name)
    across = sum(len(names) > 1 for names in holders.values())
    return {"duplicates": len(tiles) - len(holders), "duplicates_across": across}


def _faults(tiles: Tiles, found: Measures, count: int) -> dict:
    by_class = {
        f"{kind}_by_class": tuple(np.bincount(tiles.labels[rows], minlength=count).tolist())
        for kind, rows in (("saturated", found.saturated), ("faint", found.faint))
    }
    return by_class | {
        "black": int(found.black.sum()),
        "nodata": int((found.nodata > 0).sum()),
        "flat": int(found.flat.sum()),
        "saturated": int(found.saturated.sum()),
        "faint": int(found.faint.sum()),
        "darkest": int(found.darkest.min()),
    }


def _extremes(tiles: Tiles, found: Measures) -> dict[str, tuple[Extreme, ...]]:
    """Take the ends of three scales, among train and validation: the test is not looked at."""
    shown = np.flatnonzero(tiles.split_of != SPLITS.index("test"))
    scales = {
        "faint": found.sd.max(1),
        "light": -found.mean.mean(1),
        "clipped": -found.clipped,
    }
    return {
        kind: tuple(
            Extreme(tile=tiles[p], value=abs(float(scale[p])))
            for p in shown[np.argsort(scale[shown], kind="stable")[:SHOWN]]
        )
        for kind, scale in scales.items()
    }
