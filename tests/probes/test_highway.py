"""The memory of a gated cell, measured: the direct path is the product of gates, the total is what really moves."""

import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unrolled.cells import GRUCell, GRUState, LSTMCell, LSTMState, RNNCell
from unrolled.device import stack_seeds
from unrolled.networks import unroll
from unrolled.probes import highway

F64 = torch.float64
P, m = 2, 4
CELLS = {"lstm": LSTMCell, "gru": GRUCell}


def _cell(name="lstm"):
    cell = CELLS[name](P, m, dtype=F64)
    with torch.no_grad():
        for weight in cell.parameters():
            weight.mul_(2)  # far from linear, so that no term is small enough to be missed
    return cell


def _state(name="lstm", B=3):
    parts = [torch.randn(B, m, dtype=F64) for _ in range(2 if name == "lstm" else 1)]
    return LSTMState(*parts) if name == "lstm" else GRUState(*parts)


@pytest.mark.parametrize("name", CELLS)
@given(T=st.integers(1, 6))
def test_the_direct_path_with_gates_held_is_the_product_of_forget_gates(name, T):
    cell, x, state = _cell(name), torch.randn(3, T, P, dtype=F64), _state(name)
    _, _, trace = unroll(cell, x, state)
    gate = trace["f" if name == "lstm" else "z"]
    direct = highway.direct_path(cell, x, state, method="autograd")
    assert direct.shape == (3, T + 1, m)
    for lag in range(T + 1):
        torch.testing.assert_close(direct[:, lag], gate[:, T - lag :].prod(dim=1), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(highway.direct_path(cell, x, state), direct, rtol=1e-12, atol=1e-12)


def _last_memory(cell, x, C, h):
    return unroll(cell, x, LSTMState(h, C))[1].C


def test_the_total_derivative_is_what_finite_differences_say():
    """C_t is nudged, h_t = o_t tanh(C_t) follows with o_t held, and the rest of the sequence is run again."""
    cell, x, state = _cell(), torch.randn(1, 5, P, dtype=F64), _state(B=1)
    total = highway.total_derivative(cell, x, state)[0]  # (T+1, m, m)
    _, _, trace = unroll(cell, x, state)
    for lag in range(1, 5):
        t = 5 - lag
        C_t, o_t, rest = trace["C"][:, t - 1], trace["o"][:, t - 1], x[:, t:]
        for j in range(m):
            nudge = torch.zeros(1, m, dtype=F64)
            nudge[0, j] = 1e-6
            up, down = (
                _last_memory(cell, rest, C_t + sign * nudge, o_t * torch.tanh(C_t + sign * nudge))
                for sign in (1, -1)
            )
            torch.testing.assert_close(total[lag, :, j], (up - down)[0] / 2e-6, rtol=1e-6, atol=1e-8)
    assert torch.equal(total[0], torch.eye(m, dtype=F64))


def test_the_total_derivative_is_the_product_of_the_formulas_matrices():
    r"""Of one step on (C, h): C_t moves by f_t dC + K_t dh and h_t by o_t (1 - tanh^2) dC_t + tanh(C_t) do_t."""
    cell, x, state = _cell(), torch.randn(1, 5, P, dtype=F64), _state(B=1)
    _, _, trace = unroll(cell, x, state)
    i, f, g, o, C = (
        {name: each[0] for name, each in trace.items()}[name] for name in ("i", "f", "g", "o", "C")
    )
    before = torch.cat([state.C, C[:-1]])  # C_{t-1}
    W_i, W_f, W_g, W_o = cell.W_h.detach().chunk(4)
    total = highway.total_derivative(cell, x, state)[0]
    slope = o * (1 - torch.tanh(C) ** 2)  # dh_t/dC_t, o_t held
    for lag in range(1, 5):
        dC = torch.eye(m, dtype=F64)
        dh = torch.diag(slope[4 - lag])
        for t in range(5 - lag, 5):
            d_i, d_f = (torch.diag(s * (1 - s)) @ W @ dh for s, W in ((i[t], W_i), (f[t], W_f)))
            d_g = torch.diag(1 - g[t] ** 2) @ W_g @ dh
            d_o = torch.diag(o[t] * (1 - o[t])) @ W_o @ dh
            rows = [each.unsqueeze(-1) for each in (f[t], before[t], i[t], g[t])]
            dC = rows[0] * dC + rows[1] * d_f + rows[2] * d_g + rows[3] * d_i
            dh = slope[t].unsqueeze(-1) * dC + torch.tanh(C[t]).unsqueeze(-1) * d_o
        torch.testing.assert_close(total[lag], dC, rtol=1e-10, atol=1e-12)


def test_without_recurrent_weights_the_total_is_the_direct_path_alone():
    """Nothing but the highway is left; with them, the two differ."""
    cell, x, state = _cell(), torch.randn(2, 6, P, dtype=F64), _state(B=2)
    direct = highway.direct_path(cell, x, state)
    assert (highway.total_derivative(cell, x, state) - torch.diag_embed(direct)).abs().max() > 0.1
    with torch.no_grad():
        cell.W_h.zero_()
    direct = highway.direct_path(cell, x, state)
    torch.testing.assert_close(
        highway.total_derivative(cell, x, state), torch.diag_embed(direct), rtol=1e-12, atol=1e-12
    )


def test_the_total_derivative_of_a_gru_is_that_of_its_state():
    cell, x, state = _cell("gru"), torch.randn(1, 4, P, dtype=F64), _state("gru", B=1)
    total = highway.total_derivative(cell, x, state)[0]
    whole = torch.autograd.functional.jacobian(lambda h: unroll(cell, x, GRUState(h))[1].h[0], state.h)[:, 0]
    torch.testing.assert_close(total[4], whole, rtol=1e-10, atol=1e-12)


def test_stacked_seeds_are_measured_each_on_its_own():
    cells, x = stack_seeds(lambda: _cell(), [1, 2]), torch.randn(3, 4, P, dtype=F64)
    for measure in (highway.direct_path, highway.total_derivative):
        together = measure(cells, x)
        for s, seed in enumerate((1, 2)):
            torch.manual_seed(seed)
            torch.testing.assert_close(together[s], measure(_cell(), x), rtol=1e-10, atol=1e-12)


def test_gate_statistics_count_what_is_closed_and_open():
    gates = {"f": torch.tensor([0.05, 0.5, 0.95, 0.99]), "g": torch.tensor([-1.0]), "C": torch.tensor([9.0])}
    (statistics,) = highway.gate_statistics(gates).items()
    assert statistics[0] == "f"
    assert statistics[1] == pytest.approx((0.6225, 0.25, 0.5), abs=1e-6)
    assert highway.gate_statistics(gates, closed=0.6, open=0.97)["f"][1:] == (0.5, 0.25)
    _, _, trace = unroll(_cell("gru"), torch.zeros(1, 2, P, dtype=F64))
    assert list(highway.gate_statistics(trace)) == ["r", "z"]


CASES = {
    "no memory": (
        lambda: highway.direct_path(RNNCell(P, m), torch.zeros(1, 3, P)),
        TypeError,
        "cell: expected an LSTMCell or a GRUCell, got RNNCell",
    ),
    "rank": (
        lambda: highway.total_derivative(LSTMCell(P, m), torch.zeros(3)),
        ValueError,
        "x: expected shape (B, T, P=2), got shape (3,)",
    ),
    "state": (
        lambda: highway.total_derivative(LSTMCell(P, m), torch.zeros(1, 3, P), GRUState(torch.zeros(1, m))),
        TypeError,
        "state: expected LSTMState(h, C), got GRUState",
    ),
    "method": (
        lambda: highway.direct_path(LSTMCell(P, m), torch.zeros(1, 3, P), method="guess"),
        ValueError,
        "method: expected one of 'product', 'autograd', got 'guess'",
    ),
    "limits": (
        lambda: highway.gate_statistics({}, closed=0.9, open=0.1),
        ValueError,
        "closed, open: expected 0 < closed < open < 1, got 0.9 and 0.1",
    ),
    "no gates": (
        lambda: highway.gate_statistics({"h": torch.zeros(2)}),
        ValueError,
        "trace: expected the gates of an LSTM or a GRU, got h",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_errors_name_the_argument(case, plain_errors):
    call, error, message = CASES[case]
    with pytest.raises(error, match=re.escape(message)):
        call()
