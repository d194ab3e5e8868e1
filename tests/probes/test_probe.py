"""What is measured equals what the mathematics says it is."""

import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unrolled.bptt import rnn_through_time
from unrolled.cells import RNNCell, RNNState
from unrolled.device import stack_seeds
from unrolled.networks import unroll
from unrolled.probes import gradients as probe

F64 = torch.float64


def _cell(P=2, m=4, nonlinearity="tanh"):
    return RNNCell(P, m, nonlinearity=nonlinearity, dtype=F64)


def _loss(h):
    return (h * torch.linspace(-1, 1, h.numel(), dtype=h.dtype).view(h.shape)).sum()


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu", "linear"])
@given(T=st.integers(1, 6), s=st.integers(0, 6), t=st.integers(0, 6))
def test_product_of_step_jacobians_is_autograds_jacobian(nonlinearity, T, s, t):
    s, t = sorted((min(s, T), min(t, T)))
    cell, x = _cell(nonlinearity=nonlinearity), torch.randn(3, T, 2, dtype=F64)
    state = RNNState(torch.randn(3, 4, dtype=F64))
    by_product = probe.jacobian(cell, x, s, t, state, method="product")
    torch.testing.assert_close(by_product, probe.jacobian(cell, x, s, t, state), rtol=1e-10, atol=1e-12)


def test_jacobian_is_what_finite_differences_say():
    cell, x = _cell(), torch.randn(1, 5, 2, dtype=F64)
    h_0 = torch.randn(1, 4, dtype=F64)
    J = probe.jacobian(cell, x, 0, 5, RNNState(h_0))[0]
    for j in range(4):
        nudge = torch.zeros(1, 4, dtype=F64)
        nudge[0, j] = 1e-6
        up, down = (unroll(cell, x, RNNState(h_0 + sign * nudge))[1].h[0] for sign in (1, -1))
        torch.testing.assert_close(J[:, j], (up - down) / 2e-6, rtol=1e-6, atol=1e-9)


def test_influence_is_the_spectral_norm_of_the_jacobian_and_within_its_bound():
    cell, x = _cell(), torch.randn(3, 6, 2, dtype=F64)
    norms = probe.influence(cell, x)
    assert norms.shape == (3, 7) and (norms[:, 0] == 1).all()
    sigma = probe.largest_singular_value(cell.W_hh)
    for lag in range(7):
        J = probe.jacobian(cell, x, 6 - lag, 6)
        torch.testing.assert_close(norms[:, lag], torch.linalg.svdvals(J)[:, 0], rtol=1e-10, atol=1e-12)
        assert (norms[:, lag] <= sigma**lag * (1 + 1e-12)).all()


def test_influence_of_stacked_seeds_is_each_ones_own():
    cells = stack_seeds(_cell, [1, 2, 3])
    x = torch.randn(2, 5, 2, dtype=F64)
    together = probe.influence(cells, x)
    for s, seed in enumerate([1, 2, 3]):
        torch.manual_seed(seed)
        torch.testing.assert_close(together[s], probe.influence(_cell(), x), rtol=1e-10, atol=1e-12)


def test_matrix_measures():
    W = torch.diag(torch.tensor([0.5, -2.0, 1.0], dtype=F64))
    assert float(probe.spectral_radius(W)) == 2 == float(probe.largest_singular_value(W))
    nilpotent = torch.tensor([[0.0, 3.0], [0.0, 0.0]], dtype=F64)
    assert (
        float(probe.spectral_radius(nilpotent)) == 0 and float(probe.largest_singular_value(nilpotent)) == 3
    )
    rotation = torch.tensor([[0.0, -1.5], [1.5, 0.0]], dtype=F64)
    assert float(probe.spectral_radius(torch.stack([rotation, nilpotent]))[0]) == pytest.approx(1.5)


def test_saturated_share_counts_both_signs():
    assert float(probe.saturated_share(torch.tensor([3.5, -3.5, 3.0, 0.0]))) == 0.5
    assert float(probe.saturated_share(torch.tensor([3.5, -3.5, 3.0, 0.0]), limit=2.0)) == 0.75


def test_gradient_by_time_and_weight_terms_are_those_of_the_derivation():
    cell, x = _cell(), torch.randn(3, 5, 2, dtype=F64)
    h_0 = torch.randn(3, 4, dtype=F64)
    state = RNNState(h_0)
    d_h = probe.gradient_by_time(cell, x, _loss, state)
    terms = probe.weight_gradient_terms(cell, x, _loss, state)
    h, _, _ = unroll(cell, x, state)
    before = torch.cat([h_0.unsqueeze(1), h[:, :-1]], dim=1)
    delta = d_h * (1 - h**2)
    torch.testing.assert_close(terms, torch.einsum("bti,btj->tij", delta, before), rtol=1e-10, atol=1e-12)
    hand, _ = rnn_through_time(x.transpose(0, 1), h_0, cell.W_xh, cell.W_hh, cell.b_h)
    (whole,) = torch.autograd.grad(_loss(hand.transpose(0, 1)), cell.W_hh)
    torch.testing.assert_close(terms.sum(dim=0), whole, rtol=1e-10, atol=1e-12)
    on_inputs = probe.weight_gradient_terms(cell, x, _loss, state, weight="W_xh")
    torch.testing.assert_close(on_inputs, torch.einsum("bti,btp->tip", delta, x), rtol=1e-10, atol=1e-12)


def test_gradient_by_time_of_a_frozen_cell_is_the_same():
    cell, x = _cell(), torch.randn(3, 5, 2, dtype=F64)
    free = probe.gradient_by_time(cell, x, _loss)
    cell.requires_grad_(False)
    torch.testing.assert_close(probe.gradient_by_time(cell, x, _loss), free, rtol=1e-12, atol=1e-12)


def test_cosine_is_one_for_the_whole_and_for_one_step_that_of_a_cut_history():
    cell, x = _cell(), torch.randn(3, 6, 2, dtype=F64)
    cosines = probe.cosine_to_full(cell, x, _loss, [1, 2, 6, 9])
    assert float(cosines[2]) == pytest.approx(1, abs=1e-12) == float(cosines[3])
    state, parts = cell.initial_state(3), []
    for x_t in x.unbind(1):
        h_t, state = cell(x_t, RNNState(state.h.detach()))
        parts.append(h_t)
    cut = torch.autograd.grad(_loss(torch.stack(parts, dim=1)), list(cell.parameters()))
    full = torch.autograd.grad(_loss(unroll(cell, x)[0]), list(cell.parameters()))
    a, b = (torch.cat([g.flatten() for g in gradients]) for gradients in (cut, full))
    assert float(cosines[0]) == pytest.approx(float(a @ b / a.norm() / b.norm()), abs=1e-12)
    assert float(cosines[0]) < 0.9999


CASES = {
    "times": (
        lambda: probe.jacobian(_cell(), torch.zeros(1, 3, 2).double(), 2, 4),
        "s, t: expected s <= t <= T = 3, got s = 2 and t = 4",
    ),
    "order": (lambda: probe.jacobian(_cell(), torch.zeros(1, 3, 2).double(), 2, 1), "got s = 2 and t = 1"),
    "method": (
        lambda: probe.jacobian(_cell(), torch.zeros(1, 3, 2).double(), 0, 1, method="guess"),
        "method: expected one of 'product', 'autograd', got 'guess'",
    ),
    "square": (
        lambda: probe.spectral_radius(torch.zeros(2, 3)),
        "W: expected shape (m=3, m=3), got shape (2, 3)",
    ),
    "limit": (lambda: probe.saturated_share(torch.zeros(2), 0), "limit: expected a number above 0, got 0"),
    "weight": (
        lambda: probe.weight_gradient_terms(_cell(), torch.zeros(1, 3, 2).double(), _loss, weight="W_hy"),
        "weight: expected one of 'W_xh', 'W_hh', 'b_h', got 'W_hy'",
    ),
    "window": (
        lambda: probe.cosine_to_full(_cell(), torch.zeros(1, 3, 2).double(), _loss, [0]),
        "windows: expected a whole number of at least 1, got 0",
    ),
    "no windows": (
        lambda: probe.cosine_to_full(_cell(), torch.zeros(1, 3, 2).double(), _loss, []),
        "windows: expected at least one length, got none",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_errors_name_the_argument(case, plain_errors):
    call, message = CASES[case]
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


def test_the_formula_is_the_vanilla_cells_own(plain_errors):
    with pytest.raises(TypeError, match="cell: expected an RNNCell, got Linear"):
        probe.step_jacobians(torch.nn.Linear(2, 2), torch.zeros(1, 3, 2))
