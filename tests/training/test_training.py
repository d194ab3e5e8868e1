"""Updates, clipping and both loops, against torch's own pieces and against each seed alone."""

import math

import pytest
import torch
from torch.nn import functional as F

from unrolled.data import Vocabulary, moving_dot, stream_chunks
from unrolled.device import stack_seeds
from unrolled.models import CharacterModel, ManyToOne
from unrolled.training import Config, clip_gradient, cross_entropy, evaluate, fit, train

TEXT = "the same matrix at every step, and again at every step "


def _loss(model, x, y):
    return cross_entropy(model(x), y)


def test_cross_entropy_is_torchs_mean():
    logits, targets = torch.randn(3, 4, 5), torch.randint(5, (3, 4))
    torch.testing.assert_close(
        cross_entropy(logits, targets), F.cross_entropy(logits.flatten(0, 1), targets.flatten())
    )
    stacked = torch.randn(2, 3, 4, 5)
    per_seed = torch.stack([cross_entropy(part, targets) for part in stacked])
    torch.testing.assert_close(cross_entropy(stacked, targets), per_seed)


@pytest.mark.parametrize("max_norm", [0.01, 1e6, None])
def test_clipping_is_torchs(max_norm):
    model, twin = ManyToOne(8, 6, 2), ManyToOne(8, 6, 2)
    twin.load_state_dict(model.state_dict())
    for net in (model, twin):
        _loss(net, *moving_dot(4, generator=torch.Generator().manual_seed(0))).backward()
    norm = clip_gradient(model, max_norm)
    theirs = torch.nn.utils.clip_grad_norm_(twin.parameters(), math.inf if max_norm is None else max_norm)
    torch.testing.assert_close(norm, theirs)
    for a, b in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-9)


def test_seeds_trained_side_by_side_equal_each_alone():
    """Clipping at a small norm would show any mixing of one seed's gradient with another's."""
    config = Config(updates=12, clip_norm=0.05, learning_rate=0.05)
    batches = [moving_dot(16, generator=torch.Generator().manual_seed(i)) for i in range(3)]

    def build():
        return ManyToOne(8, 6, 2).double()

    batches = [(x.double(), y) for x, y in batches]
    together = stack_seeds(build, [5, 6, 7])
    history = fit(together, batches, _loss, config)
    for s, seed in enumerate([5, 6, 7]):
        torch.manual_seed(seed)
        alone = build()
        by_itself = fit(alone, batches, _loss, config)
        for one, many in zip(alone.parameters(), together.parameters(), strict=True):
            torch.testing.assert_close(many[s].reshape(one.shape), one, rtol=1e-9, atol=1e-9)
        assert [row[s] for row in history.loss] == pytest.approx(by_itself.loss, rel=1e-9)
        assert [row[s] for row in history.gradient_norm] == pytest.approx(by_itself.gradient_norm, rel=1e-9)


def test_train_is_the_loop_written_out():
    """Truncated BPTT against eight plain lines: carried state, cut history, clipping, Adam."""
    vocabulary = Vocabulary(TEXT)
    ids = vocabulary.encode(TEXT * 3)
    config = Config(updates=15, batch_size=2, num_steps=7, clip_norm=0.1)
    ours, plain = CharacterModel(vocabulary, 6), CharacterModel(vocabulary, 6)
    plain.load_state_dict(ours.state_dict())
    history = train(ours, ids, config)
    optimizer = torch.optim.Adam(plain.parameters(), lr=config.learning_rate)
    losses: list[float] = []
    while len(losses) < 15:
        h = None
        for x, y in stream_chunks(ids, 2, 7):
            if len(losses) == 15:
                break
            logits, (state,) = plain(x, h)
            h = (type(state)(state.h.detach()),)
            loss = F.cross_entropy(logits.flatten(0, 1), y.flatten())
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(plain.parameters(), 0.1)
            optimizer.step()
            losses.append(loss.item())
    assert history.loss == pytest.approx(losses, rel=1e-5)
    for a, b in zip(ours.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_evaluate_does_not_depend_on_how_much_is_read_at_once():
    vocabulary = Vocabulary(TEXT)
    ids = vocabulary.encode(TEXT)
    model = CharacterModel(vocabulary, 6).double()
    logits, _ = model(ids[:-1].unsqueeze(0))
    whole = cross_entropy(logits, ids[1:].unsqueeze(0)).item()
    for num_steps in (1, 7, 1000):
        assert evaluate(model, ids, num_steps=num_steps) == pytest.approx(whole, rel=1e-12)
    assert all(weight.grad is None for weight in model.parameters())


@pytest.mark.parametrize("window", [1, 7, 54, 1000])
@pytest.mark.parametrize("batch_size", [1, 4])
def test_fresh_windows_begin_from_zeros_and_score_every_character_but_the_first(window, batch_size):
    """Character by character: what stands before it in its own window, and nothing else."""
    vocabulary = Vocabulary(TEXT)
    ids = vocabulary.encode(TEXT)
    model = CharacterModel(vocabulary, 6).double()
    each = []
    for t in range(1, len(ids)):
        start = (t - 1) // window * window
        assert 1 <= t - start <= window
        logits, _ = model(ids[None, start:t])
        each.append(F.cross_entropy(logits[:, -1], ids[None, t]).item())
    found = evaluate(model, ids, batch_size=batch_size, window=window)
    assert found == pytest.approx(sum(each) / len(each), rel=1e-12)
    if window >= len(ids) - 1:
        assert found == pytest.approx(evaluate(model, ids), rel=1e-12)


@pytest.mark.parametrize("window", [None, 3])
def test_too_short_a_text_is_named_and_leaves_the_model_training(window):
    model = CharacterModel(Vocabulary(TEXT), 6, dropout=0.5)
    with pytest.raises(ValueError, match="ids: expected at least .* characters, got 1"):
        evaluate(model, torch.tensor([0]), window=window)
    assert model.training
    with pytest.raises(ValueError, match="batch_size: expected a whole number of at least 1, got 0"):
        evaluate(model, torch.tensor([0, 1, 2]), window=window, batch_size=0)


def test_fit_learns_and_writes_down_every_update():
    model = ManyToOne(8, 12, 2)
    generator = torch.Generator().manual_seed(0)
    history = fit(model, lambda: moving_dot(32, generator=generator), _loss, Config(updates=150))
    assert len(history.loss) == len(history.gradient_norm) == 150
    assert sum(history.loss[-10:]) < 0.25 * sum(history.loss[:10])


def test_a_loss_that_is_not_a_number_stops_with_advice(plain_errors):
    model = ManyToOne(8, 4, 2)
    x, y = moving_dot(4)
    before = [weight.clone() for weight in model.parameters()]
    with pytest.raises(
        FloatingPointError, match=r"update 1: the loss is nan .* try a smaller learning_rate than 0\.01"
    ):
        fit(model, [(x * math.nan, y)], _loss, Config(updates=3))
    for a, b in zip(model.parameters(), before, strict=True):
        assert torch.equal(a, b)  # the weights are those before the bad update


@pytest.mark.parametrize("progress", [True, False])
def test_progress_bar_shows_only_when_asked(progress, capfd):
    fit(ManyToOne(8, 4, 2), [moving_dot(4)], _loss, Config(updates=3), progress=progress)
    assert bool(capfd.readouterr().err) == progress


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
def test_a_gradient_without_a_finite_norm_is_not_clipped(value):
    model = torch.nn.Linear(2, 1, bias=False)
    model.weight.grad = torch.tensor([[value, 1.0]])
    with pytest.raises(FloatingPointError, match="model: expected a gradient of finite norm, got (nan|inf)"):
        clip_gradient(model, 1.0)
    assert torch.equal(model.weight.grad[:, 1], torch.ones(1))
