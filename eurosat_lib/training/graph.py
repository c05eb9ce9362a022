"""A training step recorded once as a CUDA graph and replayed: one launch instead of hundreds.

At 64 small images a step, a GPU waits for the CPU to launch its kernels; a replay does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

WARM_UP = 3  # steps before the recording, in which libraries choose and allocate


class GraphedStep:
    """A step on batches of one shape; its inputs and results stay at fixed addresses."""

    def __init__(
        self,
        step: Callable[[Tensor, Tensor], Tensor],
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        images: Tensor,
        labels: Tensor,
    ) -> None:
        """Record a step, leaving network and optimiser as they are.

        Args:
            step: does one optimisation step and returns measures, without waiting for the device.
            model: what the step trains, on a CUDA device.
            optimizer: of its parameters, ``capturable``.
            images: any batch of the shape, type and layout to come.
            labels: likewise.
        """
        self.images, self.labels = images.clone(), labels.clone()
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side), unchanged(model, optimizer):
            for _ in range(WARM_UP):
                step(self.images, self.labels)
        torch.cuda.current_stream().wait_stream(side)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.measures = step(self.images, self.labels)

    def fits(self, images: Tensor) -> bool:
        """Tell whether a batch has the recorded shape."""
        return images.shape == self.images.shape

    def __call__(self, images: Tensor, labels: Tensor) -> Tensor:
        """Do one step; return its measures."""
        self.images.copy_(images)
        self.labels.copy_(labels)
        self.graph.replay()
        return self.measures.clone()


@contextmanager
def unchanged(model: nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Give network and optimiser back the values they had, at the same addresses.

    Moments that the optimiser first makes inside are set to zero, where Adam starts.
    """
    tensors = [*model.parameters(), *model.buffers()]
    kept = [tensor.detach().clone() for tensor in tensors]
    moments = {id(value): value.clone() for value in _moments(optimizer)}
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, value in zip(tensors, kept, strict=True):
                tensor.copy_(value)
            for value in _moments(optimizer):
                value.copy_(moments.get(id(value), torch.zeros_like(value)))


def _moments(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    states = optimizer.state.values()
    return [value for state in states for value in state.values() if torch.is_tensor(value)]
