import pytest
import torch

from eurosat_lib.config import override
from eurosat_lib.data.loaders import make_loader
from eurosat_lib.model import build_model
from eurosat_lib.runtime import Runtime, set_seed
from eurosat_lib.training.graph import unchanged
from eurosat_lib.training.steps import TrainStep, make_optimizer, set_lr, train_epoch

cuda = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


def trained(config, dataset, steps, rehearse=0, eager=False):
    """Train a fresh network; ``rehearse`` steps are done and undone before."""
    runtime = Runtime.of(config)
    set_seed(1)
    model = runtime.place(build_model(config)).train()
    step = TrainStep(model, make_optimizer(model, 1e-3, 1e-4), runtime)
    if eager:
        step._graph = type("Never", (), {"fits": lambda self, images: False})()
    batches = list(make_loader(config, dataset.train, augment=True).epoch(0))
    train_epoch(step, batches[:2])
    address = next(model.parameters()).data_ptr()
    with unchanged(model, step.optimizer):
        for images, labels in batches[:rehearse]:
            step(images, labels)
    assert next(model.parameters()).data_ptr() == address
    means = train_epoch(step, batches[2 : 2 + steps])
    return means, {name: value.cpu() for name, value in model.state_dict().items()}


def equal(a, b):
    return a[0] == b[0] and all(torch.equal(a[1][name], b[1][name]) for name in a[1])


def test_rehearsed_steps_leave_no_trace(tiny, blobs):
    assert equal(trained(tiny, blobs, 3), trained(tiny, blobs, 3, rehearse=3))
    assert not equal(trained(tiny, blobs, 3), trained(tiny, blobs, 2))


def test_rehearsal_before_the_first_step_leaves_fresh_moments(tiny, blobs):
    runtime, results = Runtime.of(tiny), []
    for rehearse in (False, True):
        set_seed(1)
        model = build_model(tiny).train()
        step = TrainStep(model, make_optimizer(model, 1e-3, 1e-4), runtime)
        batches = list(make_loader(tiny, blobs.train).epoch(0))
        if rehearse:
            with unchanged(model, step.optimizer):
                step(*batches[0])
        results.append((train_epoch(step, batches), model.state_dict()))
    assert equal(*results)


def test_learning_rate_can_be_changed(tiny):
    model = build_model(tiny)
    optimizer = make_optimizer(model, 1e-3, 0.0)
    set_lr(optimizer, 0.5)
    assert TrainStep(model, optimizer, Runtime.of(tiny)).lr == 0.5


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("mark", [pytest.param(None, marks=cuda)])
def test_replayed_steps_equal_launched_ones(tiny, blobs, precision, mark):
    """The epoch of 96 images ends with a batch of another size, which is not replayed."""
    settings = {"compute.device": "cuda", "compute.precision": precision, "data.batch_size": 36}
    config = override(tiny, settings)
    replayed, again = trained(config, blobs, 3), trained(config, blobs, 3)
    launched = trained(config, blobs, 3, eager=True)
    assert equal(replayed, again)
    assert replayed[0].loss == pytest.approx(launched[0].loss, rel=1e-3)
    for name, value in replayed[1].items():
        torch.testing.assert_close(value, launched[1][name], rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("mark", [pytest.param(None, marks=cuda)])
def test_the_recorded_step_reads_the_learning_rate_anew(tiny, blobs, mark):
    config = override(tiny, {"compute.device": "cuda"})
    runtime = Runtime.of(config)
    model = runtime.place(build_model(config)).train()
    step = TrainStep(model, make_optimizer(model, 1e-3, 0.0), runtime)
    batch = next(iter(make_loader(config, blobs.train).epoch(0)))
    step(*batch)
    weight = next(model.parameters())
    set_lr(step.optimizer, 0.0)
    before = weight.clone()
    step(*batch)
    assert torch.equal(weight, before)
    set_lr(step.optimizer, 1e-2)
    step(*batch)
    assert not torch.equal(weight, before)


@pytest.mark.parametrize("mark", [pytest.param(None, marks=cuda)])
def test_an_epoch_never_waits_for_the_gpu(tiny, blobs, mark):
    config = override(tiny, {"compute.device": "cuda"})
    runtime = Runtime.of(config)
    model = runtime.place(build_model(config))
    step = TrainStep(model, make_optimizer(model, 1e-3, 0.0), runtime)
    loader = make_loader(config, blobs.train, augment=True)
    train_epoch(step, loader.epoch(0))
    step.model.train()
    batches = loader.epoch(1)
    first = next(batches)  # the epoch's draws are sent here
    torch.cuda.set_sync_debug_mode("error")
    try:
        measures = [step(*batch) for batch in (first, *batches)]
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert torch.stack(measures).isfinite().all()
