"""The league is fair: equal parameters, one set of rules, and no model moves another."""

import dataclasses

import pytest
import torch

from unrolled.data import delayed_recall, one_hot
from unrolled.device import stack_seeds
from unrolled.probes import CONTENDERS, TASKS, Rules, build, compete, equal_sizes, league
from unrolled.training import clip_gradient, cross_entropy

SHORT = Rules(updates=6, batch_size=8, check_every=3, validation=40, held_out=200)


@pytest.mark.parametrize("task", TASKS)
def test_parameters_agree_within_two_per_cent(task):
    sizes = equal_sizes(task, 24)
    assert sizes.keys() == CONTENDERS.keys() and sizes["LSTM"][0] == 24
    for cell, (m, parameters) in sizes.items():
        assert parameters == sum(weight.numel() for weight in build(task, cell, m).parameters())
        assert abs(parameters / sizes["LSTM"][1] - 1) <= 0.02, cell
        for other in (m - 1, m + 1):  # no other size is nearer
            count = sum(weight.numel() for weight in build(task, cell, other).parameters())
            assert abs(count - sizes["LSTM"][1]) >= abs(parameters - sizes["LSTM"][1])


def test_a_parameter_count_is_the_sum_of_its_formula():
    P, G = TASKS["adding"].input_size, TASKS["adding"].output_size
    for cell, (m, parameters) in equal_sizes("adding", 24).items():
        gates = {"RNN": 1, "RNN, orthogonal": 1, "GRU": 3}.get(cell, 3 if "without" in cell else 4)
        extra = m if cell == "GRU" else 0  # its candidate has a second bias
        assert parameters == gates * m * (P + m + 1) + extra + G * (m + 1)


@pytest.mark.parametrize("cell", CONTENDERS)
def test_a_model_is_the_same_alone_and_among_others(cell):
    together = compete("adding", cell, 4, 5, [0, 1, 2], [0.01, 0.03, 0.001], SHORT)
    for s, rate in enumerate([0.01, 0.03, 0.001]):
        alone = compete("adding", cell, 4, 5, [s], rate, SHORT)
        assert alone.score == pytest.approx(together.score[s : s + 1], abs=2e-4)
        assert alone.updates == together.updates[s : s + 1] == [6]
    assert len(set(together.score)) == 3 and together.seconds > 0


@pytest.fixture
def trained(monkeypatch):
    """The stacked models that `compete` trained, in order."""
    kept = []
    monkeypatch.setattr(league, "stack_seeds", lambda *a: kept.append(stack_seeds(*a)) or kept[-1])
    return kept


def test_training_is_clipping_and_adam_at_each_models_own_rate(trained):
    rates, seeds, lag = [0.003, 0.03], [4, 5], 3
    rules = dataclasses.replace(SHORT, clip_norm=0.05)  # so small that every gradient is clipped
    outcome = compete("delayed recall", "LSTM", lag, 5, seeds, rates, rules)
    x_held, y_held = delayed_recall(rules.held_out, lag, torch.Generator().manual_seed(1))
    for s, (seed, rate) in enumerate(zip(seeds, rates, strict=True)):
        torch.manual_seed(seed)
        model = build("delayed recall", "LSTM", 5, lag)
        model.network.backend = "loop"
        optimizer = torch.optim.Adam(model.parameters(), lr=rate)
        generator = torch.Generator().manual_seed(1000 + lag)
        for _ in range(rules.updates):
            x, y = delayed_recall(rules.batch_size, lag, generator)
            optimizer.zero_grad()
            cross_entropy(model(one_hot(x, 9)), y).backward()
            assert clip_gradient(model, rules.clip_norm) > rules.clip_norm
            optimizer.step()
        for ours, alone in zip(trained[0].parameters(), model.parameters(), strict=True):
            torch.testing.assert_close(ours[s].reshape(alone.shape), alone, atol=1e-4 * rate, rtol=1e-4)
        accuracy = float((model(one_hot(x_held, 9)).argmax(dim=1) == y_held).double().mean())
        assert outcome.score[s] == pytest.approx(accuracy, abs=0.011)


def test_a_model_that_has_solved_its_task_stands_still_and_the_others_go_on(trained):
    """Seed 0 at a good rate solves a recall of one step; seed 1 at a rate far too small does not."""
    rules = dataclasses.replace(SHORT, updates=200, check_every=10, batch_size=16)
    outcome = compete("delayed recall", "GRU", 1, 8, [0, 1], [0.05, 1e-5], rules)
    assert outcome.updates[0] < 100 and outcome.updates[1] == 200
    assert outcome.score[0] >= 0.95 > outcome.score[1]
    short = dataclasses.replace(rules, updates=outcome.updates[0])
    assert compete("delayed recall", "GRU", 1, 8, [0, 1], [0.05, 1e-5], short).score[0] == outcome.score[0]
    for after, then in zip(*(model.parameters() for model in trained), strict=True):
        assert torch.equal(after[0], then[0]) and not torch.equal(after[1], then[1])


def test_all_solved_ends_the_training_and_a_race_ends_with_its_first_rate():
    rules = dataclasses.replace(SHORT, updates=300, check_every=10, batch_size=16)
    good = compete("delayed recall", "GRU", 1, 8, [0, 1], 0.05, rules)
    assert max(good.updates) < 100
    rates = [0.05, 0.05, 1e-9, 1e-9]
    whole = compete("delayed recall", "GRU", 1, 8, [0, 1, 0, 1], rates, rules)
    race = compete("delayed recall", "GRU", 1, 8, [0, 1, 0, 1], rates, rules, race=True)
    assert whole.updates == [*good.updates, 300, 300]
    assert race.updates == [*good.updates, *[max(good.updates)] * 2]


def test_a_race_is_scored_on_validation_examples():
    """Another number of examples gives accuracies that the held-out ones can't."""
    rules = dataclasses.replace(SHORT, validation=7, held_out=200)
    seeds = list(range(6))
    race, reported = (
        compete("delayed recall", "RNN", 2, 4, seeds, 0.01, rules, race=race).score for race in (True, False)
    )
    assert all(round(score * 7) == pytest.approx(score * 7, abs=1e-3) for score in race)
    assert all(round(score * 200) == pytest.approx(score * 200, abs=1e-3) for score in reported)
    assert race != reported


ROWS = {
    "LSTM": "ifgo",
    "LSTM without i": "fgo",
    "LSTM without f": "igo",
    "LSTM without o": "ifg",
    "GRU": "rzn",
}


@pytest.mark.parametrize("cell", ROWS)
def test_a_cell_that_starts_open_keeps_for_about_lag_steps_and_writes_as_little(cell):
    biases = []
    for lag in (1, 50):
        torch.manual_seed(0)
        biases.append(build("adding", cell, 30, lag).network.cells[0].b.detach().view(-1, 30))
    raised = torch.sigmoid((biases[1] - biases[0]).mean(dim=1))
    expected = [{"f": 50 / 51, "z": 50 / 51, "i": 1 / 51}.get(gate, 1 / 2) for gate in ROWS[cell]]
    torch.testing.assert_close(raised, torch.tensor(expected), atol=1e-5, rtol=0)
    assert (biases[0].mean(dim=1).abs() < 0.1).all()  # for a lag of one, ln(1) = 0


def test_entrants_start_as_their_names_say():
    orthogonal = build("adding", "RNN, orthogonal", 6).network.cells[0]
    torch.testing.assert_close(orthogonal.W_hh @ orthogonal.W_hh.mT, torch.eye(6), atol=1e-5, rtol=0)
    assert not orthogonal.b_h.any()
    biased = build("adding", "LSTM, forget bias 1", 200, 50).network.cells[0].b.detach().view(4, 200)
    torch.testing.assert_close(biased.mean(dim=1), torch.tensor([0.0, 1, 0, 0]), atol=0.02, rtol=0)
    assert [build("adding", f"LSTM without {gate}", 3).network.cells[0].without for gate in "ifo"] == list(
        "ifo"
    )


def test_success_is_as_high_an_accuracy_or_as_low_an_error():
    recall, adding = TASKS["delayed recall"], TASKS["adding"]
    assert recall.reaches(0.95, recall.success) and not recall.reaches(0.94, recall.success)
    assert adding.reaches(0.0166, adding.success) and not adding.reaches(0.0167, adding.success)
    assert adding.success == pytest.approx(adding.trivial / 10)
    for (
        task
    ) in TASKS.values():  # to stop is harder than to succeed, so that held-out examples rarely tell otherwise
        assert task.reaches(task.enough, task.success) and not task.reaches(task.success, task.enough)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="rates: expected one number or 2, one for each seed, got 3"):
        compete("adding", "RNN", 2, 3, [0, 1], [0.1, 0.1, 0.1], SHORT)
    with pytest.raises(ValueError, match="cell: expected one of 'RNN'.*got 'rnn'"):
        build("adding", "rnn", 3)
    with pytest.raises(ValueError, match="task: expected one of 'delayed recall'.*got 'sums'"):
        compete("sums", "RNN", 2, 3, [0], 0.1, SHORT)
    with pytest.raises(FloatingPointError, match=r"update \d: expected finite losses, got \[(nan|inf)\]"):
        compete("adding", "RNN", 2, 3, [0], 1e38, SHORT)
