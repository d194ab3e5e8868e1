"""The five shapes: what goes in, what comes out, and what each output may depend on."""

import pytest
import torch

from unrolled.data import one_hot
from unrolled.models import FEEDS, EncoderDecoder, ManyToMany, ManyToOne, OneToMany, OneToOne

B, T, P, m, G, U = 3, 6, 2, 8, 5, 4


def _influence(y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Which times of x move this output at all, (T,)."""
    (gradient,) = torch.autograd.grad(y.sum(), x, retain_graph=True)
    return gradient.abs().sum(dim=(0, 2)) > 0


def test_shapes():
    x = torch.randn(B, T, P)
    assert OneToOne(P, m, G)(x[:, 0]).shape == (B, G)
    assert ManyToOne(P, m, G)(x).shape == (B, G)
    assert ManyToMany(P, m, G)(x).shape == (B, T, G)
    assert ManyToMany(P, m, G, bidirectional=True)(x).shape == (B, T, G)
    assert EncoderDecoder(P, m, G)(x, U).shape == (B, U, G)
    for feed in FEEDS:
        assert OneToMany(P, m, G, feed=feed)(x[:, 0], U).shape == (B, U, G)


def test_many_to_one_depends_on_every_input():
    x = torch.randn(B, T, P, requires_grad=True)
    assert _influence(ManyToOne(P, m, G)(x), x).all()


def test_aligned_outputs_see_the_past_only_and_both_directions_see_everything():
    x = torch.randn(B, T, P, requires_grad=True)
    for t in range(T):
        forward = _influence(ManyToMany(P, m, G)(x)[:, t], x)
        assert forward[: t + 1].all() and not forward[t + 1 :].any()
        assert _influence(ManyToMany(P, m, G, bidirectional=True)(x)[:, t], x).all()


def test_feeding_nothing_and_feeding_the_input_differ_after_step_one():
    x = torch.randn(B, P)
    nothing = OneToMany(P, m, G, feed="nothing")
    again = OneToMany(P, m, G, feed="input")
    again.load_state_dict(nothing.state_dict())
    a, b = nothing(x, U), again(x, U)
    assert torch.equal(a[:, 0], b[:, 0]) and not torch.allclose(a[:, 1], b[:, 1])


@pytest.mark.parametrize("which", ["one to many", "encoder-decoder"])
def test_teacher_forcing_with_its_own_choices_is_free_running(which):
    if which == "one to many":
        model, x = OneToMany(P, m, G, feed="output").double(), torch.randn(B, P).double()
    else:
        model, x = EncoderDecoder(P, m, G).double(), torch.randn(B, T, P).double()
    free = model(x, U)
    forced = model(x, U, free.argmax(dim=-1))
    torch.testing.assert_close(forced, free, rtol=0, atol=1e-12)
    others = (free.argmax(dim=-1) + 1) % G
    assert not torch.allclose(model(x, U, others), free)


def test_forced_targets_enter_one_step_late():
    model, x = EncoderDecoder(P, m, G), torch.randn(B, T, P)
    targets = torch.randint(G, (B, U))
    changed = targets.clone()
    changed[:, 1] = (changed[:, 1] + 1) % G
    a, b = model(x, U, targets), model(x, U, changed)
    assert torch.equal(a[:, :2], b[:, :2]) and not torch.allclose(a[:, 2:], b[:, 2:])


def test_decoder_starts_from_the_encoders_last_state():
    model, x = EncoderDecoder(P, m, G), torch.randn(B, T, P)
    _, state = model.encoder(x)
    h, _ = model.decoder(torch.zeros(B, 1, G), state)
    torch.testing.assert_close(model(x, 1)[:, 0], model.readout(h[:, 0]))


def test_one_hot_of_the_choice_is_what_is_fed():
    model, x = EncoderDecoder(P, m, G), torch.randn(B, T, P)
    y = model(x, 2)
    _, state = model.encoder(x)
    fed = torch.stack([torch.zeros(B, G), one_hot(y[:, 0].argmax(dim=-1), G)], dim=1)
    torch.testing.assert_close(model.readout(model.decoder(fed, state)[0]), y)
