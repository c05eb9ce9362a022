import pytest
import torch
from torch import nn

from eurosat_lib import model as room
from eurosat_lib.model import DilatedCNN


def test_folded_network_gives_the_same_logits(tiny):
    torch.manual_seed(0)
    model = room.build_model(tiny)
    for _ in range(3):  # running statistics that are not 0 and 1
        model(2 + 3 * torch.randn(16, 3, 16, 16))
    folded = room.fold_batchnorm(model)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in folded.modules())
    assert any(isinstance(layer, nn.BatchNorm2d) for layer in model.modules())
    x = torch.randn(5, 3, 16, 16)
    torch.testing.assert_close(folded(x), model.eval()(x), rtol=1e-4, atol=1e-5)
    linear = nn.Linear(3, 2)
    assert torch.equal(room.fold_batchnorm(linear)(x[:, :, 0, 0]), linear(x[:, :, 0, 0]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_pool_before_relu_changes_no_bit(dtype):
    """Ties and negative windows included: values come from a coarse grid."""
    torch.manual_seed(0)
    stage = DilatedCNN().stages[0]
    relu, pool = stage[-2:]
    assert stage.train().as_run()[-2:] == [pool, relu]
    assert stage.eval().as_run() == list(stage)
    values = torch.randint(-3, 4, (8, 4, 16, 16)).to(dtype) / 2
    upstream = torch.randn(8, 4, 8, 8).to(dtype)
    results = []
    for first, second in ((relu, pool), (pool, relu)):
        x = values.clone().requires_grad_()
        y = second(first(x * 1))
        y.backward(upstream)
        results.append((y, x.grad))
    assert all(torch.equal(*pair) for pair in zip(*results, strict=True))


def test_global_average_pool_is_the_mean_and_its_gradient_stays_channels_last():
    x = torch.randn(2, 5, 4, 6).contiguous(memory_format=torch.channels_last).requires_grad_()
    y = room.GlobalAveragePool()(x)
    torch.testing.assert_close(y, nn.AdaptiveAvgPool2d(1)(x).flatten(1))
    (gradient,) = torch.autograd.grad(y, x, torch.randn(2, 5))
    assert gradient.is_contiguous(memory_format=torch.channels_last)
