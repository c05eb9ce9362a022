"""Train one network as a configuration says, and go on after a kill; predict with it.

The protocol of the course is Adam at a constant rate, its weights those of the best epoch on
validation. A recipe is other values of the same sections: ``train``, ``augment`` …
"""

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from eurosat_lib.checkpoint import describe_task, load_checkpoint, save_checkpoint
from eurosat_lib.config import Config
from eurosat_lib.data import EuroSAT
from eurosat_lib.errors import UserError
from eurosat_lib.loaders import make_loader
from eurosat_lib.model import build_model, count_parameters, fold_batchnorm
from eurosat_lib.optimizers import ScheduledOptimizer
from eurosat_lib.progress import announce
from eurosat_lib.runtime import Runtime, set_seed
from eurosat_lib.schema import Train
from eurosat_lib.stages import Record
from eurosat_lib.tracking import LiveRun

Batches = Iterable[tuple[Tensor, Tensor]]
WEIGHTS, STATE = "best.ckpt", "last.ckpt"  # files of a training: what is kept, where it stands
SIDE_STEP = 4  # pixels: the network halves the side twice


class Hyperparameters(Record):
    """The four values that the searches vary."""

    lr: float  # per step
    weight_decay: float
    blocks_per_stage: int
    dilation_stage3: int

    @property
    def name(self) -> str:
        """Name of a run, for instance ``lr5e-4_wd1e-5_D2_B3``."""
        lr, decay = compact(self.lr), compact(self.weight_decay)
        return f"lr{lr}_wd{decay}_D{self.dilation_stage3}_B{self.blocks_per_stage}"


class EpochRecord(Record):
    """One epoch; means are over images."""

    epoch: int  # from 1
    side: int  # pixels of the training images
    train_loss: float  # nats, augmented images, smoothed labels, weights as they change
    train_accuracy: float  # in [0, 1]
    val_loss: float  # nats
    val_accuracy: float  # in [0, 1]
    lr: float  # of the last step
    grad_norm: float  # mean over steps of the L2 norm
    steps: int
    images: int  # trained on in this epoch
    seconds: float  # validation included


class Fit(Record):
    """One finished training."""

    hyperparameters: Hyperparameters
    seed: int
    train_images: int
    validation_images: int
    parameters: int
    epochs: tuple[EpochRecord, ...]  # none if the first diverged: no ``best``, no ``last``
    diverged: str = ""  # why it stopped; empty if it did not diverge

    @property
    def best(self) -> EpochRecord:
        """Return the first epoch with the best validation accuracy."""
        return max(self.epochs, key=lambda record: record.val_accuracy)

    @property
    def last(self) -> EpochRecord:
        """Return the last epoch."""
        return self.epochs[-1]

    @property
    def length(self) -> tuple[int, int]:
        """Epochs and images trained on: what two scores must share to compare."""
        return len(self.epochs), self.train_images

    @property
    def seconds(self) -> float:
        """Time of all epochs, validation included, in seconds."""
        return sum(record.seconds for record in self.epochs)

    @property
    def tail(self) -> tuple[EpochRecord, ...]:
        """Return the last two epochs of three or more, else the last one."""
        return self.epochs[-2 if len(self.epochs) > 2 else -1 :]

    @property
    def score(self) -> float:
        """Mean validation accuracy of the tail: less noisy than the best of all.

        0 for a diverged run.
        """
        tail = () if self.diverged else self.tail
        return sum(record.val_accuracy for record in tail) / len(tail) if tail else 0.0

    @property
    def val_accuracy(self) -> float:
        """Validation accuracy of the last weights, in [0, 1]; 0 for a diverged training."""
        return self.last.val_accuracy if self.epochs and not self.diverged else 0.0


def compact(value: float) -> str:
    """Write a number short: 0.0005 -> ``5e-4``, 0.05 -> ``5e-2``, 0 -> ``0``."""
    if value == 0:
        return "0"
    text = next(t for digits in range(17) if float(t := f"{value:.{digits}e}") == value)
    mantissa, exponent = text.split("e")
    return f"{mantissa}e{int(exponent)}"


class Divergence(Exception):
    """A loss or the gradient is not finite; of those of a whole epoch, its last step is named."""

    def __init__(self, step: int) -> None:
        """Say at which step, counted from 1 within its epoch."""
        super().__init__(f"loss not finite at step {step} of the epoch")


@dataclass(frozen=True)
class EpochMeans:
    """Means over the images of an epoch: each image counts once, whatever its batch."""

    loss: float  # nats
    accuracy: float  # in [0, 1]
    grad_norm: float  # mean over steps of the gradient's L2 norm
    steps: int
    images: int


class TrainStep:
    """One forward, backward and update of all weights; on CUDA the network is compiled."""

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer | ScheduledOptimizer,
        runtime: Runtime,
        label_smoothing: float = 0.0,
    ) -> None:
        """Take a network, its optimiser, device and precision; smoothing is a share in [0, 1)."""
        self.model, self.optimizer, self.runtime = model, optimizer, runtime
        self.label_smoothing = label_smoothing
        self.forward = model
        if runtime.device.type == "cuda":  # where launches of small kernels would dominate
            torch.compiler.reset()  # what was compiled before must not change a bit
            self.forward = torch.compile(model, mode="reduce-overhead", dynamic=False)

    @property
    def lr(self) -> float:
        """Learning rate of the last step."""
        own = self.optimizer
        return own.lr if isinstance(own, ScheduledOptimizer) else own.param_groups[0]["lr"]

    def __call__(self, images: Tensor, labels: Tensor) -> Tensor:
        """Do one step; nothing waits for the device.

        Args:
            images: float32 (B, 3, S, S), normalised; the network is in training mode.
            labels: int64 (B,).

        Returns:
            float32 (3,), on the device: loss before the update, in nats; number of right answers;
            L2 norm of the gradient.
        """
        with self.runtime.autocast():
            logits = self.forward(images)
        loss = F.cross_entropy(logits.float(), labels, label_smoothing=self.label_smoothing)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.get_total_norm([p.grad for p in self.model.parameters()])
        self.optimizer.step()
        right = (logits.detach().argmax(1) == labels).sum()
        return torch.stack([loss.detach(), right.float(), norm])


def train_epoch(
    step: TrainStep,
    batches: Batches,
    on_batch: Callable[[int], None] = lambda images: None,
    max_steps: int | None = None,
) -> EpochMeans:
    """Train for one pass over the batches, or ``max_steps`` of them.

    Args:
        step: of the network, which is trained in place.
        batches: normalised images and labels, on the device; one at least.
        on_batch: called after each step with the number of its images.
        max_steps: stop after this many steps.

    Raises:
        Divergence: a loss was not finite; on a GPU that is seen at the end of the epoch.
    """
    step.model.train()
    measures, sizes = [], []
    for images, labels in islice(batches, max_steps):
        measures.append(step(images, labels))
        sizes.append(len(labels))
        on_batch(len(labels))
        if step.runtime.device.type == "cpu" and not measures[-1][0].isfinite():
            break
    losses, rights, norms = torch.stack(measures).cpu().double().unbind(1)  # MPS has no float64
    if not losses.isfinite().all():
        raise Divergence(int((~losses.isfinite()).nonzero()[0, 0]) + 1)
    total = sum(sizes)
    weights = torch.tensor(sizes, dtype=torch.float64) / total
    return EpochMeans(
        loss=float((losses * weights).sum()),
        accuracy=float(rights.sum()) / total,
        grad_norm=float(norms.mean()),
        steps=len(sizes),
        images=total,
    )


def predict(model: nn.Module, batches: Batches, runtime: Runtime) -> tuple[Tensor, Tensor]:
    """Run the network over all batches, its BatchNorms folded into the convolutions.

    At least one batch; the network is left in evaluation mode.

    Returns:
        logits float32 (N, K) and labels int64 (N,), on the CPU.
    """
    model.eval()
    folded = runtime.place(fold_batchnorm(model))
    logits, truth = [], []
    with torch.inference_mode():
        for images, labels in batches:
            with runtime.autocast():
                logits.append(folded(images).float())
            truth.append(labels)
    return torch.cat(logits).cpu(), torch.cat(truth).cpu()


def evaluate(model: nn.Module, batches: Batches, runtime: Runtime) -> tuple[float, float]:
    """Return mean loss, in nats, and accuracy, in [0, 1], over all images; see `predict`."""
    logits, labels = predict(model, batches, runtime)
    loss = float(F.cross_entropy(logits.double(), labels))
    return loss, float((logits.argmax(1) == labels).double().mean())


def fit(
    config: Config,
    dataset: EuroSAT,
    folder: Path,
    run_folder: Path,
    on_batch: Callable[[int], None] = lambda images: None,
    on_epoch: Callable[[EpochRecord], None] = lambda record: None,
) -> Fit:
    """Train as a configuration says; a killed training goes on after its last whole epoch.

    The random generators of the process are seeded anew.

    Args:
        config: data, network, ``train`` with its four hyperparameters given (null in the files:
            `eurosat_lib.trainings.training_config` gives them), seed, device.
        dataset: its train and validation splits are used.
        folder: of this training alone: ``last.ckpt``, the state after each epoch, where the next
            call goes on, whatever made it; at the end ``best.ckpt``, if one is kept.
        run_folder: of this training alone: emptied, then TensorBoard events, a point per epoch.
        on_batch: called with the number of images of each step, or of an epoch done before a kill.
        on_epoch: called after each epoch trained now.

    Returns:
        The epochs done, and why training stopped if it diverged.
    """
    trainer, diverged = _Trainer(config, dataset, folder), ""
    trainer.resume()
    with LiveRun(run_folder) as run:
        for record in trainer.records:
            run.epoch(record.model_dump())
            on_batch(record.images)
        try:
            while trainer.goes_on():
                record = trainer.epoch(on_batch)
                run.epoch(record.model_dump())
                on_epoch(record)
        except Divergence as error:
            good = len(trainer.records)
            diverged = f"epoch {good + 1}: {error}; last good epoch: {good or 'none'}"
    return trainer.finish(diverged)


class _Trainer:
    """A training between two epochs: network, optimiser, records."""

    def __init__(self, config: Config, dataset: EuroSAT, folder: Path) -> None:
        self.config, self.dataset, self.folder, self.own = config, dataset, folder, config.train
        self.runtime = Runtime.of(config)
        self.train = make_loader(config, dataset.train, config.data.train_limit, augment=True)
        self.validation = make_loader(config, dataset.validation, config.data.validation_limit)
        self._start()

    def _start(self) -> None:
        """Draw the network from the seed; nothing is trained yet."""
        own, self.records, self.kept = self.own, [], {}
        set_seed(self.config.seed)
        model = build_model(self.config, own.blocks_per_stage, own.dilation_stage3)
        self.model = self.runtime.place(model)
        total = min(own.max_epochs * len(self.train), own.max_steps or math.inf)
        self.optimizer = ScheduledOptimizer(self.model, own, int(total))
        self.step = TrainStep(self.model, self.optimizer, self.runtime, own.label_smoothing)

    def resume(self) -> None:
        """Go on from the state that a killed training left, if there is a sound one."""
        path = self.folder / STATE
        if not path.is_file():
            return
        try:
            self._restore(load_checkpoint(path))
        except (UserError, RuntimeError, KeyError, ValueError, TypeError, AttributeError) as error:
            reason = " ".join(str(error).removeprefix(f"{path}: ").split())[:120]
            announce(f"{path.name} refusé ({reason})\u00a0: l’entraînement recommence")
            path.unlink()
            self._start()
        else:
            announce(f"Reprise après l’époque {len(self.records)} sur {self.own.max_epochs}.")

    def _restore(self, content: dict) -> None:
        """Take back what ``_keep`` wrote; any error means that it is no sound state."""
        self.model.load_state_dict(content["model"])
        records = [EpochRecord(**row) for row in content["epochs"]]
        self.optimizer.restore(content["optimizers"], sum(record.steps for record in records))
        self.records, self.kept = records, content["kept"]

    def goes_on(self) -> bool:
        """Tell whether another epoch is due."""
        return len(self.records) < self.own.max_epochs and self._steps_left() != 0

    def epoch(self, on_batch: Callable[[int], None]) -> EpochRecord:
        """Train once through the images, validate, keep the state.

        Raises:
            Divergence: a loss, the gradient or the validation is not finite.
        """
        start, number = time.perf_counter(), len(self.records)
        side = side_at(self.own, number, self.config.data.image_size)
        loader = replace(self.train, preprocess=replace(self.train.preprocess, size=side))
        means = train_epoch(self.step, loader.epoch(number), on_batch, self._steps_left())
        val_loss, val_accuracy = evaluate(self.model, self.validation, self.runtime)
        if not (math.isfinite(val_loss) and math.isfinite(means.grad_norm)):
            raise Divergence(means.steps)
        record = EpochRecord(
            epoch=number + 1,
            side=side,
            train_loss=means.loss,
            train_accuracy=means.accuracy,
            val_loss=val_loss,
            val_accuracy=val_accuracy,
            lr=self.step.lr,
            grad_norm=means.grad_norm,
            steps=means.steps,
            images=means.images,
            seconds=time.perf_counter() - start,
        )
        self._keep(record)
        return record

    def finish(self, diverged: str) -> Fit:
        """Write the weights that are asked for, of the best or the last epoch or none; sum up."""
        if self.kept:
            save_checkpoint(self.folder / WEIGHTS, self.kept)
        names = Hyperparameters.model_fields
        return Fit(
            hyperparameters=Hyperparameters(**{name: getattr(self.own, name) for name in names}),
            seed=self.config.seed,
            train_images=self.train.num_images,
            validation_images=self.validation.num_images,
            parameters=count_parameters(self.model),
            epochs=tuple(self.records),
            diverged=diverged,
        )

    def _steps_left(self) -> int | None:
        if self.own.max_steps is None:
            return None
        return self.own.max_steps - sum(record.steps for record in self.records)

    def _keep(self, record: EpochRecord) -> None:
        """Write the state after an epoch, with the weights that are to be kept so far."""
        best = max((r.val_accuracy for r in self.records), default=-1.0)
        self.records.append(record)
        if self.own.keep == "last" or (self.own.keep == "best" and record.val_accuracy > best):
            self.kept = self._weights(record)
        state = {
            "model": self.model.state_dict(),
            "optimizers": self.optimizer.state(),
            "epochs": [r.model_dump() for r in self.records],
            "kept": self.kept,
        }
        save_checkpoint(self.folder / STATE, state)

    def _weights(self, record: EpochRecord) -> dict[str, Any]:
        """Return the content of ``best.ckpt``."""
        return {
            "model": {n: v.to("cpu", copy=True) for n, v in self.model.state_dict().items()},
            "task": describe_task(self.config, self.dataset.classes),
            "hyperparameters": {n: getattr(self.own, n) for n in Hyperparameters.model_fields},
            "data_fingerprint": self.dataset.fingerprint,
            "seed": self.config.seed,
            "epoch": record.epoch,
            "val_accuracy": record.val_accuracy,
        }


def side_at(own: Train, epoch: int, full: int) -> int:
    """Return the side of the training images of an epoch, in pixels.

    Args:
        own: ``sides`` tells the share of the full side from which share of the epochs on.
        epoch: counted from 0.
        full: side of the images that the network is judged on, in pixels.

    Returns:
        ``full``, or a multiple of 4, at least 16 and below ``full``.
    """
    share = [side for start, side in own.sides if start * own.max_epochs <= epoch][-1]
    if share == 1:
        return full
    return min(full, max(16, SIDE_STEP * round(share * full / SIDE_STEP)))
