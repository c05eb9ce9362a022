import pytest
import torch
from torch import nn

from eurosat_lib.model import (
    DilatedCNN,
    GlobalAveragePool,
    build_model,
    count_parameters,
    count_parameters_by_formula,
    fold_batchnorm,
    layer_table,
    receptive_field,
)


@pytest.mark.parametrize(("blocks", "parameters", "tensors"), [(2, 1149770, 26), (3, 1925258, 38)])
def test_parameter_counts_of_the_protocol(blocks, parameters, tensors):
    model = DilatedCNN(blocks_per_stage=blocks)
    assert count_parameters(model) == parameters
    assert count_parameters_by_formula((64, 128, 256), blocks) == parameters
    assert len(list(model.parameters())) == tensors


@pytest.mark.parametrize(
    ("blocks", "dilation", "side"), [(2, 2, 48), (2, 3, 64), (3, 2, 70), (3, 3, 94)]
)
def test_receptive_field_formula_equals_gradient(blocks, dilation, side):
    assert receptive_field(blocks, dilation) == side
    model = DilatedCNN((2, 2, 2), blocks, dilation).double().eval()
    for stage in model.stages:  # let every pixel through: linear, averaging, positive weights
        for i, layer in enumerate(stage):
            if isinstance(layer, nn.Conv2d):
                nn.init.constant_(layer.weight, 0.1)
            elif isinstance(layer, nn.ReLU):
                stage[i] = nn.Identity()
            elif isinstance(layer, nn.MaxPool2d):
                stage[i] = nn.AvgPool2d(2)
    image = torch.rand(1, 3, 128, 128, dtype=torch.double, requires_grad=True)
    model.stages(image)[0, :, 16, 16].sum().backward()
    rows = (image.grad.abs().sum((0, 1, 3)) > 0).nonzero()[:, 0]
    assert int(rows.max() - rows.min()) + 1 == side


def test_shapes_stay_64_32_16_16():
    rows = layer_table(DilatedCNN(), (3, 64, 64))
    last = {row.name.split(".")[1]: row.output_shape for row in rows if "stages" in row.name}
    assert last == {"0": (64, 32, 32), "1": (128, 16, 16), "2": (256, 16, 16)}
    assert rows[-1].output_shape == (10,)
    assert sum(row.parameters for row in rows) == 1149770


def test_training_cost_is_3_67_gflop():
    macs = sum(row.macs for row in layer_table(DilatedCNN(), (3, 64, 64)))
    assert 3 * 2 * macs / 1e9 == pytest.approx(3.67, abs=0.005)


def test_dilation_changes_no_parameter_and_only_stage_three():
    two, three = DilatedCNN(dilation_stage3=2), DilatedCNN(dilation_stage3=3)
    assert count_parameters(two) == count_parameters(three)
    dilations = [m.dilation[0] for m in three.modules() if isinstance(m, torch.nn.Conv2d)]
    assert dilations == [1, 1, 1, 1, 3, 3]


def test_layer_table_leaves_the_model_as_it_was():
    model = DilatedCNN((4, 4, 4)).train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    layer_table(model, (3, 16, 16))
    assert model.training
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert not any(m._forward_hooks for m in model.modules())


def test_folded_network_gives_the_same_logits(tiny):
    torch.manual_seed(0)
    model = build_model(tiny)
    for _ in range(3):  # running statistics that are not 0 and 1
        model(2 + 3 * torch.randn(16, 3, 16, 16))
    folded = fold_batchnorm(model)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in folded.modules())
    assert any(isinstance(layer, nn.BatchNorm2d) for layer in model.modules())
    x = torch.randn(5, 3, 16, 16)
    torch.testing.assert_close(folded(x), model.eval()(x), rtol=1e-4, atol=1e-5)
    linear = nn.Linear(3, 2)
    assert torch.equal(fold_batchnorm(linear)(x[:, :, 0, 0]), linear(x[:, :, 0, 0]))


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
    for order in ((relu, pool), (pool, relu)):
        x = values.clone().requires_grad_()
        y = order[1](order[0](x * 1))
        y.backward(upstream)
        results.append((y, x.grad))
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_global_average_pool_is_the_mean_and_its_gradient_stays_channels_last():
    x = torch.randn(2, 5, 4, 6).contiguous(memory_format=torch.channels_last).requires_grad_()
    y = GlobalAveragePool()(x)
    torch.testing.assert_close(y, nn.AdaptiveAvgPool2d(1)(x).flatten(1))
    (gradient,) = torch.autograd.grad(y, x, torch.randn(2, 5))
    assert gradient.is_contiguous(memory_format=torch.channels_last)
