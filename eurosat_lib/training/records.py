"""What a training leaves behind: hyperparameters, one record per epoch, the verdict."""

from __future__ import annotations

from eurosat_lib.record import Record


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
    train_loss: float  # nats, augmented images, weights as they change
    train_accuracy: float  # in [0, 1]
    val_loss: float  # nats
    val_accuracy: float  # in [0, 1]
    lr: float
    grad_norm: float  # mean over steps of the L2 norm
    steps: int
    images: int  # trained on in this epoch
    seconds: float


class Fit(Record):
    """One finished training."""

    hyperparameters: Hyperparameters
    seed: int
    train_images: int
    validation_images: int  # judged on after each epoch
    parameters: int
    epochs: tuple[EpochRecord, ...]
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
    def score(self) -> float:
        """Mean validation accuracy of the last two epochs: less noisy than the best of all.

        0 for a diverged run.
        """
        if self.diverged or not self.epochs:
            return 0.0
        tail = self.epochs[-2:]
        return sum(record.val_accuracy for record in tail) / len(tail)


def compact(value: float) -> str:
    """Write a number short: 0.0005 -> ``5e-4``, 0.05 -> ``5e-2``, 0 -> ``0``."""
    if value == 0:
        return "0"
    text = next(t for digits in range(17) if float(t := f"{value:.{digits}e}") == value)
    mantissa, exponent = text.split("e")
    return f"{mantissa}e{int(exponent)}"
