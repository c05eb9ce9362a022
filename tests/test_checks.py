import math

import pytest

from eurosat_lib.checks import check_initial_loss, overfit_small, test_model
from eurosat_lib.checks.initial_loss import InitialLoss
from eurosat_lib.config import load_config, override
from eurosat_lib.errors import UserError


def test_architecture_of_the_protocol(root):
    result = test_model(load_config(root / "configs/config.yaml", "full"))
    assert result.parameters == result.parameters_by_formula == 1149770
    assert result.tensors == 26
    assert result.input_shape == (3, 64, 64) and result.output_shape == (10,)
    sizes = {(v.blocks_per_stage, v.dilation_stage3): v.receptive_field for v in result.variants}
    assert sizes == {(2, 2): 48, (2, 3): 64, (3, 2): 70, (3, 3): 94}
    for v in result.variants:
        assert v.receptive_field == v.measured_field and v.energy_field < v.receptive_field
        assert v.parameters == v.parameters_by_formula
        assert (v.gflop_forward, v.gflop) == (v.gflop_forward_counted, v.gflop_counted)
    # 3.67 GFLOP for three passes, less the gradient of the image: 2 x 27 x 64 x 64 x 64
    assert result.facts()["gflop"] == pytest.approx(3 * 1.222120448 - 0.014155776)


def test_initial_loss_is_near_ln_k_and_reaches_every_tensor(tiny, blobs):
    result = check_initial_loss(tiny, blobs)
    facts = result.facts()
    assert result.batch_shape == (16, 3, 16, 16) and result.logits_shape == (16, 10)
    assert facts["theory"] == pytest.approx(math.log(10))
    assert abs(facts["gap"]) < 0.5
    assert facts["reached"] == facts["tensors"] == 26
    assert facts["n_seeds"] == len(result.losses) == 3
    total = math.sqrt(sum(gradient.norm**2 for gradient in result.gradients))
    assert result.grad_norm == pytest.approx(total, rel=1e-4)


def test_initial_loss_is_that_of_the_first_training_step(tiny, blobs, tmp_path):
    from eurosat_lib.training import Hyperparameters, Plan, fit

    point = Hyperparameters(lr=1e-3, weight_decay=0.0, blocks_per_stage=2, dilation_stage3=2)
    plan = Plan(point, epochs=1, max_steps=1)
    first = fit(tiny, blobs, plan, tmp_path / "work", tmp_path / "run").epochs[0]
    assert check_initial_loss(tiny, blobs).loss == pytest.approx(first.train_loss, rel=1e-6)


@pytest.mark.parametrize(("loss", "coherent"), [(2.35, True), (2.9, False), (1.5, False)])
def test_coherence_is_judged_by_the_spread_of_initialisations(tiny, blobs, loss, coherent):
    result = check_initial_loss(tiny, blobs)
    changed = result.model_dump() | {"loss": loss, "losses": (2.25, 2.3, 2.35, 2.4)}
    assert InitialLoss(**changed).coherent is coherent


def test_a_fault_shared_by_all_seeds_is_not_coherent(tiny, blobs):
    result = check_initial_loss(tiny, blobs)
    shifted = result.model_dump() | {"loss": 5.1, "losses": (5.0, 5.1, 5.2)}
    assert result.agrees and not InitialLoss(**shifted).agrees
    assert not InitialLoss(**shifted).unbiased
    assert not InitialLoss(**shifted).coherent


def test_overfit_divergence_is_the_users_to_mend(tiny, blobs, monkeypatch):
    from eurosat_lib.checks import overfit
    from eurosat_lib.training import Divergence

    def diverge(*_):
        raise Divergence(1, 10.0)

    monkeypatch.setattr(overfit, "train_epoch", diverge)
    with pytest.raises(UserError, match="lower overfit"):
        overfit_small(tiny, blobs)


def test_overfit_stops_at_its_target(tiny, blobs):
    config = override(tiny, {"overfit.epochs": 80, "overfit.target_loss": 0.1})
    result = overfit_small(config, blobs)
    assert result.reached
    assert result.losses[-1] < 0.1 <= min(result.losses[:-1])
    assert result.accuracies[-1] == 1.0
    assert result.facts()["epochs"] == len(result.losses) < 80


def test_overfit_says_when_it_fails(tiny, blobs):
    result = overfit_small(override(tiny, {"overfit.epochs": 2}), blobs)
    assert not result.reached
    assert len(result.losses) == 2
