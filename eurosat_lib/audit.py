"""The images themselves, all of them: counts, faults, exact copies, extremes, colours by class."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar, NamedTuple

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
        self.places = [(name, i) for name, split in self.splits.items() for i in range(len(split))]

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.places)

    def __getitem__(self, position: int) -> Tile:
        """Name the image at a position of the whole line."""
        name, index = self.places[position]
        split = self.splits[name]
        label = int(split.labels[index])
        return Tile(split=name, index=index, name=split.names[index], label=label)

    def images(self, positions: Iterable[int]) -> np.ndarray:
        """Return the images at some positions, uint8 (n, 3, H, W)."""
        found = [self.places[int(position)] for position in positions]
        return np.stack([self.splits[name].images[index] for name, index in found])

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield the images in order: uint8 (n, 3, H, W), at most ``BLOCK`` at a time."""
        for split in self.splits.values():
            for start in range(0, len(split), BLOCK):
                yield split.images[start : start + BLOCK]


def luminance(images: np.ndarray) -> np.ndarray:
    """Weigh the channels of uint8 (N, 3, H, W) into one: float32 (N, H, W), in [0, 255]."""
    grey = images[:, 0] * np.float32(LUMA[0])
    grey += images[:, 1] * np.float32(LUMA[1])
    grey += images[:, 2] * np.float32(LUMA[2])
    return grey


class Measures(NamedTuple):
    """What the pixels say, one row per image; levels are 0-255."""

    mean: np.ndarray  # float64 (N, 3), of each channel
    sd: np.ndarray  # float64 (N, 3)
    darkest: np.ndarray  # uint8 (N,), brightest channel of the darkest pixel
    clipped: np.ndarray  # float64 (N,), share of values at 255
    centre: np.ndarray  # float64 (N,), luminance of the middle (half the side) less the rest's
    black: np.ndarray  # bool (N,), every pixel without data: no channel above NODATA
    nodata: np.ndarray  # bool (N,), at least one pixel without data
    flat: np.ndarray  # bool (N,), a single colour
    saturated: np.ndarray  # bool (N,), more than SATURATED of the values at 255
    faint: np.ndarray  # bool (N,), no channel varies by FAINT


def measure(tiles: Tiles) -> Measures:
    """Measure all images, in their order."""
    rows = map(_measure, tiles.blocks())
    return Measures(*(np.concatenate(column) for column in zip(*rows, strict=True)))


def _measure(images: np.ndarray) -> Measures:
    pixels = images.reshape(len(images), images.shape[1], -1)  # (n, 3, H * W)
    values = pixels.astype(np.float32)
    mean = pixels.mean(2)
    squares = np.einsum("ncp,ncp->nc", values, values, dtype=np.float64) / pixels.shape[2]
    sd = np.sqrt(np.maximum(squares - mean**2, 0))
    lightest = pixels.max(1)  # (n, H * W): the brightest channel of each pixel
    clipped = (pixels == CLIPPED).mean((1, 2))
    grey, (height, width) = luminance(images), images.shape[2:]
    middle = np.zeros((height, width), bool)
    middle[height // 4 : height - height // 4, width // 4 : width - width // 4] = True
    return Measures(
        mean=mean,
        sd=sd,
        darkest=lightest.min(1),
        clipped=clipped,
        centre=grey[:, middle].mean(1, dtype=float) - grey[:, ~middle].mean(1, dtype=float),
        black=(lightest <= NODATA).all(1),
        nodata=(lightest <= NODATA).any(1),
        flat=(pixels.max(2) == pixels.min(2)).all(1),
        saturated=clipped > SATURATED,
        faint=sd.max(1) < FAINT,
    )


class Colours(Record):
    """Moments of the [0, 1] values of one set of images, per channel."""

    mean: tuple[float, ...]
    sd: tuple[float, ...]  # over all pixels of all images


def _pooled(found: Measures, rows: np.ndarray | slice) -> Colours:
    """Return the moments over all pixels of some images, of equal size; 0 without images."""
    mean, sd = found.mean[rows], found.sd[rows]
    if not len(mean):
        return Colours(mean=(0.0,) * mean.shape[1], sd=(0.0,) * mean.shape[1])
    center = mean.mean(0)
    spread = np.sqrt((sd**2 + (mean - center) ** 2).mean(0))  # law of total variance
    return Colours(mean=tuple((center / 255).tolist()), sd=tuple((spread / 255).tolist()))


def explained(mean: np.ndarray, labels: np.ndarray) -> tuple[float, ...]:
    """Return the share of the variance of mean colours (N, 3) that labels (N,) explain, in [0, 1].

    The correlation ratio (eta squared) of a one-way analysis of variance: between-class sum of
    squares over the total (Fisher 1925); 0 where nothing varies.
    """
    total = ((mean - mean.mean(0)) ** 2).sum(0)
    between = np.zeros_like(total)
    for label in np.unique(labels):
        members = mean[labels == label]
        between += len(members) * (members.mean(0) - mean.mean(0)) ** 2
    return tuple(np.divide(between, total, out=np.zeros_like(total), where=total > 0).tolist())


def standardised(differences: np.ndarray) -> float:
    """Return Cohen's d of paired differences (n,): mean over deviation, 0 without a spread."""
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

    def facts(self) -> dict[str, Any]:
        """Return the fields and what follows from them."""
        train, total = self.counts["train"], sum(self.sizes.values())
        pairs = zip(self.classes, self.centring, strict=True)
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
            "centred_classes": [name for name, effect in pairs if abs(effect) >= CENTRED],
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
    found, splits = measure(tiles), tiles.splits
    labels, count = dataset.train.labels, len(dataset.classes)
    train = Measures(*(column[: len(labels)] for column in found))
    members = [labels == k for k in range(count)]
    whole, every = _pooled(train, slice(None)), np.concatenate([s.labels for s in splits.values()])
    counts = {name: _by_class(split.labels, count) for name, split in splits.items()}
    lists = {name: "\n".join(split.names).encode() for name, split in splits.items()}
    digests = {k: hashlib.md5(v, usedforsecurity=False).hexdigest() for k, v in lists.items()}
    faults = ("black", "nodata", "flat", "saturated", "faint")
    return Audit(
        source_kind=dataset.source.kind,
        source_location=dataset.source.location,
        source_revision=dataset.source.revision,
        fingerprint=dataset.fingerprint,
        published_lists=digests == PUBLISHED,
        classes=dataset.classes,
        counts=counts,
        balance=balance(list(counts.values())),
        image_shape=dataset.train.images.shape[1:],
        **_copies(tiles),
        **{name: int(getattr(found, name).sum()) for name in faults},
        darkest=int(found.darkest.min()),
        saturated_by_class=_by_class(every[found.saturated], count),
        faint_by_class=_by_class(every[found.faint], count),
        extremes=_extremes(tiles, found),
        channel_mean=whole.mean,
        channel_sd=whole.sd,
        colours=tuple(_pooled(train, rows) for rows in members),
        explained=explained(train.mean, labels),
        centring=tuple(standardised(train.centre[rows]) for rows in members),
    )


def _by_class(labels: np.ndarray, count: int) -> tuple[int, ...]:
    return tuple(np.bincount(labels, minlength=count).tolist())


def _copies(tiles: Tiles) -> dict[str, int]:
    holders: dict[bytes, set[str]] = {}
    for name, split in tiles.splits.items():
        for image in split.images:
            digest = hashlib.blake2b(image.tobytes(), digest_size=16).digest()
            holders.setdefault(digest, set()).add(name)
    across = sum(len(names) > 1 for names in holders.values())
    return {"duplicates": len(tiles) - len(holders), "duplicates_across": across}


def _extremes(tiles: Tiles, found: Measures) -> dict[str, tuple[Extreme, ...]]:
    """Take the ends of three scales, among train and validation: the test is not looked at."""
    shown = np.array([p for p, (split, _) in enumerate(tiles.places) if split != "test"])
    scales = {"faint": found.sd.max(1), "light": -found.mean.mean(1), "clipped": -found.clipped}
    ends = {k: shown[np.argsort(s[shown], kind="stable")[:SHOWN]] for k, s in scales.items()}
    return {
        kind: tuple(Extreme(tile=tiles[p], value=abs(float(scales[kind][p]))) for p in rows)
        for kind, rows in ends.items()
    }
