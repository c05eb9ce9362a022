"""The benchmark times two loops that do the same work, and says so in a line."""

import numpy as np
import pytest
import torch
import training as bench

from eurosat_lib.config import override
from eurosat_lib.transforms import get_preprocess_transforms


def test_both_loops_show_the_network_the_same_image(tiny, blobs):
    config = override(tiny, {"data.image_size": 64})
    usual, label = bench.PILDataset(blobs.train, bench.usual_transform(config, train=False))[3]
    ours = get_preprocess_transforms(config)(torch.from_numpy(blobs.train.images[3:4]))[0]
    assert label == blobs.train.labels[3]
    assert np.allclose(usual, ours, atol=1e-5)


@pytest.mark.parametrize("train", [True, False])
def test_both_loops_are_timed_round_by_round_and_told(tiny, blobs, train):
    pairs = bench.compare(tiny, blobs, blocks=2, train=train, steps=1, rounds=2)
    assert len(pairs) == 2 and all(seconds > 0 for pair in pairs for seconds in pair)
    text = bench.line("training", [(6e-3, 2e-3), (4e-3, 2e-3), (8e-3, 2e-3)])
    assert "6,000" in text and "ratio  3.00 (lowest  2.00, n = 3)" in text
