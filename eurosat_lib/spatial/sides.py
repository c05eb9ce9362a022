"""What is set side by side: the scores on each split, and the images of each class."""

from __future__ import annotations

from eurosat_lib.evaluation import Evaluation, newcombe
from eurosat_lib.record import Record
from eurosat_lib.spatial.intervals import Bounds


class Side(Record):
    """One of the two splits: what was scored there."""

    n: int  # test images
    correct: int
    n_validation: int
    correct_validation: int
    macro_f1: float
    epoch: int  # of the checkpoint
    seed: int
    name: str  # of the hyperparameters
    parameters: int

    @property
    def accuracy(self) -> float:
        """Share of right answers on the test split."""
        return self.correct / self.n

    @property
    def val_accuracy(self) -> float:
        """Share of right answers on the validation split."""
        return self.correct_validation / self.n_validation

    @classmethod
    def of(cls, evaluation: Evaluation) -> Side:
        """Take what the comparison needs from an evaluation."""
        copied = {name: getattr(evaluation, name) for name in cls.model_fields if name != "name"}
        return cls(**copied, name=evaluation.hyperparameters.name)


class ClassPair(Record):
    """One class in both test splits: its images, those recognised, and those said to be of it."""

    name: str
    n_standard: int
    hits_standard: int
    n_spatial: int
    hits_spatial: int
    said_standard: int = 0  # images that the network puts into the class
    said_spatial: int = 0

    @property
    def complete(self) -> bool:
        """Tell whether both splits have images of the class."""
        return self.n_standard > 0 and self.n_spatial > 0

    def recalls(self) -> tuple[float, float]:
        """Return the recall in the standard and in the spatial test split."""
        return self.hits_standard / self.n_standard, self.hits_spatial / self.n_spatial

    def precisions(self) -> tuple[float, float]:
        """Return the precision on both test splits; 0 where no image is put into the class."""
        return (
            self.hits_standard / max(1, self.said_standard),
            self.hits_spatial / max(1, self.said_spatial),
        )

    def drop(self, level: float) -> tuple[float, Bounds]:
        """Return standard minus spatial recall, and its interval (Newcombe 1998, method 10)."""
        first, second = self.recalls()
        bounds = newcombe(
            self.hits_standard, self.n_standard, self.hits_spatial, self.n_spatial, level
        )
        return first - second, bounds
