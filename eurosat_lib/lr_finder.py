"""Learning-rate finder: geometric sweeps on the training path, and the rules that read them."""

import math
import statistics
from collections.abc import Callable
from itertools import count, zip_longest
from typing import Any

import numpy as np
import torch
from scipy.signal import lfilter

from eurosat_lib.config import Config
from eurosat_lib.data import load_dataset
from eurosat_lib.loaders import make_loader
from eurosat_lib.model import build_model
from eurosat_lib.optimizers import make_optimizer, set_lr
from eurosat_lib.progress import progress
from eurosat_lib.runtime import Runtime
from eurosat_lib.stages import Record, stage
from eurosat_lib.tracking import Run
from eurosat_lib.train import TrainStep
from eurosat_lib.trainings import BATCHES, TRAINING

FLAT = 0.05  # a smoothed loss that falls by less than this share has nothing to say
START = 0.1  # first share of the sweep, averages of few batches: a fall is measured from there
SKIP_END = 5  # last points, after which a sweep stops: most often diverging


class Sweep(Record):
    """One sweep: learning rate of each step, its loss, and the smoothed loss, in nats."""

    seed: int
    lr: tuple[float, ...]
    loss: tuple[float, ...]
    smoothed: tuple[float, ...]
    ended: bool  # went to its last rate, instead of stopping at a divergence
    suggestions: dict[str, float]  # rule -> learning rate; empty if there is a fault
    fault: str  # why there is no suggestion: see :func:`suggest`


class LRFinder(Record, stage="lr_finder"):
    """Sweeps over several seeds and the choice they support."""

    sweeps: tuple[Sweep, ...]
    weight_decay: float
    batch_size: int
    min_lr: float
    max_lr: float
    smoothing: float
    iterations: int

    @property
    def suggestions(self) -> list[float]:
        """All suggestions, over rules and seeds; empty if a curve supports none."""
        mute = any(sweep.fault for sweep in self.sweeps)
        return [] if mute else [lr for s in self.sweeps for lr in s.suggestions.values()]

    @property
    def choice(self) -> float | None:
        """Median of all suggestions, to two digits; ``None`` without any."""
        return round_digits(statistics.median(self.suggestions)) if self.suggestions else None

    @property
    def median(self) -> tuple[tuple[float, ...], np.ndarray]:
        """Rates, and the median smoothed loss (nats), while at least half of the sweeps run."""
        end = statistics.median_high(len(sweep.lr) for sweep in self.sweeps)
        steps = zip_longest(*(sweep.smoothed for sweep in self.sweeps), fillvalue=np.nan)
        rates = max((sweep.lr for sweep in self.sweeps), key=len)
        return rates[:end], np.nanmedian([*steps][:end], axis=1)

    @property
    def window(self) -> tuple[float, float] | None:
        """Range in which the median loss falls: 5 % below its start, to its minimum."""
        if not self.suggestions:
            return None
        rates, curve = self.median
        start = np.median(curve[: _plateau(curve) + 1])
        first, last = int((curve < (1 - FLAT) * start).argmax()), int(curve.argmin())
        return round_digits(rates[first]), round_digits(rates[last])

    def facts(self) -> dict[str, Any]:
        """Return the choice and what it rests on; the curves stay out."""
        low, high = self.window or (None, None)
        return self.model_dump(exclude={"sweeps"}) | {
            "choice": self.choice,
            "reliable": self.choice is not None,
            "faults": {sweep.seed: sweep.fault for sweep in self.sweeps if sweep.fault},
            "window_low": low,
            "window_high": high,
            "lowest": min(self.suggestions, default=None),
            "highest": max(self.suggestions, default=None),
            "n_seeds": len(self.sweeps),
        }

    def files(self) -> dict[str, list[dict[str, Any]]]:
        """Publish every step of every sweep."""
        rows = [
            {"seed": s.seed, "step": step, "lr": lr, "loss": loss, "smoothed": smoothed}
            for s in self.sweeps
            for step, lr, loss, smoothed in zip(count(1), s.lr, s.loss, s.smoothed, strict=False)
        ]
        return {f"{self.stage}.csv": rows}

    def tensorboard_runs(self) -> dict[str, Run]:
        """Publish a run per sweep."""
        tags = {"lr_finder/lr": "lr", "lr_finder/loss": "loss", "lr_finder/smoothed": "smoothed"}
        return {
            f"seed{sweep.seed}": Run({tag: getattr(sweep, name) for tag, name in tags.items()})
            for sweep in self.sweeps
        }


class FinalSweep(LRFinder, stage="check_lr"):
    """The same sweeps of the network that is trained in the end, where that is another one."""


@stage(LRFinder, "lr_finder", *TRAINING.rooms, reads=(*BATCHES, "model", "lr_finder"))
def find_lr(config: Config) -> LRFinder:
    """Sweep the learning rate once per seed (Smith 2017, arXiv:1506.01186).

    The random generators are left as they were.
    """
    settings = config.lr_finder
    total = len(settings.seeds) * settings.iterations
    with progress("Balayage du LR", total=total, unit="pas") as bar:
        sweeps = [_sweep(config, seed, bar.update) for seed in settings.seeds]
    own = settings.model_dump(include={*LRFinder.model_fields})
    return LRFinder(sweeps=sweeps, batch_size=config.data.batch_size, **own)


def _sweep(config: Config, seed: int, on_step: Callable[[], None]) -> Sweep:
    """Train a fresh network, the learning rate growing at each step, until the loss diverges."""
    settings, runtime = config.lr_finder, Runtime.of(config)
    rates = np.geomspace(settings.min_lr, settings.max_lr, settings.iterations)
    with torch.random.fork_rng(devices=[]):  # weights are drawn on the CPU
        torch.default_generator.manual_seed(seed)
        model = runtime.place(build_model(config)).train()
    optimizer = make_optimizer(model, settings.min_lr, settings.weight_decay)
    step = TrainStep(model, optimizer, runtime)
    images, limit = load_dataset(config).train, config.data.train_limit
    loader = make_loader(config, images, limit, augment=True, seed=seed)
    batches = (batch for epoch in count() for batch in loader.epoch(epoch))
    losses, smoothed, ended = [], np.empty(0), False
    for lr, (images, labels) in zip(rates, batches, strict=False):
        set_lr(optimizer, float(lr))
        loss = float(step(images, labels)[0])
        on_step()
        if not math.isfinite(loss):
            break
        losses.append(loss)
        smoothed = smooth(np.array(losses), settings.smoothing)
        if smoothed[-1] > settings.stop_factor * smoothed.min():
            break
    else:
        ended = True
    lr = rates[: len(losses)]
    suggestions, fault = suggest(lr, smoothed, ended)
    curves = {"lr": lr.tolist(), "loss": losses, "smoothed": smoothed.tolist()}
    return Sweep(seed=seed, ended=ended, suggestions=suggestions, fault=fault, **curves)


def round_digits(value: float) -> float:
    """Round to two significant digits."""
    return float(f"{value:.1e}")


def smooth(losses: np.ndarray, factor: float) -> np.ndarray:
    """Exponential moving average, corrected for its start as Adam's moments are.

    ``losses`` float64 (n,), ``factor`` the weight of the past in [0, 1); returns float64 (n,).
    """
    steps = np.arange(1, len(losses) + 1)
    return lfilter([1 - factor], [1, -factor], losses) / (1 - factor**steps)


def suggest(lr: np.ndarray, smoothed: np.ndarray, ended: bool) -> tuple[dict[str, float], str]:
    """Read a curve (float64 (n,): rates in geometric order, nats) by three rules.

    - ``steepest`` (as in fastai): where the smoothed loss falls fastest per decade of learning
      rate; the first tenth of the sweep, whose average is that of few batches, is left out.
    - ``valley``: two thirds of the way, in log-lr, along the longest fall, small rises skipped. A
      definition of ours: the rule of that name in fastai reads another point of the same fall.
    - ``minimum/10`` (as in fastai): a tenth of the learning rate at the lowest loss.

    Of more than 20 points the last five, most often diverging, are cut first.

    Returns rule -> learning rate; or none, and a fault. ``short``: fewer than three points.
    ``flat``: the loss never falls by 5 % below its median over the first tenth of the sweep.
    ``start``, ``end``: its minimum, or what a rule reads, is at that edge of the sweep.
    """
    if len(smoothed) > 4 * SKIP_END:
        lr, smoothed = lr[:-SKIP_END], smoothed[:-SKIP_END]
    if len(smoothed) < 3:
        return {}, "short"
    first, bottom = _plateau(smoothed), int(smoothed.argmin())
    if smoothed[bottom] > (1 - FLAT) * np.median(smoothed[: first + 1]):
        return {}, "flat"
    if bottom <= first:
        return {}, "start"
    if ended and bottom == len(smoothed) - 1:
        return {}, "end"
    slope = np.gradient(smoothed, np.log10(lr))
    start, end = _longest_fall(smoothed)
    rates = {
        "steepest": float(lr[first + int(slope[first : bottom + 1].argmin())]),
        "valley": float(lr[start + 2 * (end - start) // 3]),
        "minimum/10": float(lr[bottom] / 10),
    }
    return ({}, "start") if min(rates.values()) <= lr[first] else (rates, "")


def _plateau(smoothed: np.ndarray) -> int:
    return max(2, round(START * len(smoothed)))


def _longest_fall(values: np.ndarray) -> tuple[int, int]:
    """Return first and last index of the longest decreasing subsequence."""
    length, origin = np.ones(len(values), dtype=int), np.arange(len(values))
    for i in range(1, len(values)):
        above = np.flatnonzero(values[:i] > values[i])
        if len(above):
            j = above[length[above].argmax()]
            length[i], origin[i] = length[j] + 1, origin[j]
    end = int(length.argmax())
    return int(origin[end]), end
