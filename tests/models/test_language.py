"""Vocabulary, one-hot vectors, the character model and generation."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from unrolled.cells import GRUState, LSTMState, RNNState
from unrolled.data import Vocabulary, one_hot
from unrolled.device import stack_seeds
from unrolled.models import (
    CELLS,
    CharacterModel,
    DamagedFile,
    Readout,
    generate,
    language,
    load,
    pretrained,
    probabilities,
    read_model,
    save,
)
from unrolled.training import cross_entropy


@given(st.text(min_size=1, max_size=60))
def test_vocabulary_round_trips_any_text(text):
    vocabulary = Vocabulary(text)
    ids = vocabulary.encode(text)
    assert vocabulary.decode(ids) == text == vocabulary.decode(ids.tolist())
    assert len(vocabulary) == len(set(text)) and int(ids.max()) < len(vocabulary)


def test_vocabulary_does_not_depend_on_order():
    assert Vocabulary("hello").characters == Vocabulary("olleh").characters == "ehlo"


def test_one_hot_is_a_column_look_up():
    ids = torch.tensor([[2, 0], [1, 3]])
    W_xh = torch.randn(5, 4)
    hot = one_hot(ids, 4)
    assert torch.equal(hot.sum(dim=-1), torch.ones(2, 2)) and torch.equal(hot.argmax(dim=-1), ids)
    assert torch.equal(hot @ W_xh.mT, W_xh.mT[ids])


def test_embedding_is_a_factored_input_matrix():
    vocabulary = Vocabulary("hello")
    embedded = CharacterModel(vocabulary, 6, embedding_size=3).double()
    plain = CharacterModel(vocabulary, 6).double()
    cell, target = embedded.rnn.cells[0], plain.rnn.cells[0]
    with torch.no_grad():
        target.W_xh.copy_(cell.W_xh @ embedded.E)  # (m, E) times (E, V)
        target.W_hh.copy_(cell.W_hh)
        target.b_h.copy_(cell.b_h)
        plain.readout.load_state_dict(embedded.readout.state_dict())
    ids = vocabulary.encode("hellohello").view(2, 5)
    torch.testing.assert_close(embedded(ids)[0], plain(ids)[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("embedding_size", [None, 3])
def test_model_whole_equals_chunks(embedding_size, cell):
    vocabulary = Vocabulary("hello")
    model = CharacterModel(vocabulary, 6, embedding_size=embedding_size, num_layers=2, cell=cell).double()
    ids = vocabulary.encode("hellohello").view(2, 5)
    whole, final = model(ids)
    first, state = model(ids[:, :2])
    second, end = model(ids[:, 2:], state)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole, rtol=0, atol=1e-12)
    for part, expected in zip(end, final, strict=True):
        torch.testing.assert_close(part, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "options",
    [{}, {"embedding_size": 3}, {"embedding_size": 6, "tied": True}, {"embedding_size": 3, "cell": "lstm"}],
    ids=str,
)
def test_stacked_character_models_equal_each_alone(options):
    vocabulary = Vocabulary("hello")

    def build():
        return CharacterModel(vocabulary, 6, **options)

    together = stack_seeds(build, [3, 4, 5])
    ids = vocabulary.encode("hellohello").view(2, 5)
    logits, _ = together(ids)
    for s, seed in enumerate([3, 4, 5]):
        torch.manual_seed(seed)
        torch.testing.assert_close(logits[s], build()(ids)[0], rtol=0, atol=1e-5)


def test_readout_is_its_formula():
    readout = Readout(3, 2)
    h = torch.randn(4, 5, 3)
    torch.testing.assert_close(readout(h), torch.nn.functional.linear(h, readout.W_hy, readout.b_y))


def _fixed_model(logits):
    """A character model that says the same whatever it reads."""
    vocabulary = Vocabulary("abc")
    model = CharacterModel(vocabulary, 4)
    with torch.no_grad():
        model.readout.W_hy.zero_()
        model.readout.b_y.copy_(torch.tensor(logits))
    return model


def test_temperature_zero_is_argmax_and_small_temperatures_reach_it():
    model = CharacterModel(Vocabulary("abcdef"), 8)
    greedy = generate(model, "a", 40, temperature=0)
    assert greedy == generate(model, "a", 40, temperature=1e-6)
    logits, state = model(model.vocabulary.encode("a").unsqueeze(0))
    for character in greedy:
        assert model.vocabulary.decode(logits[0, -1:].argmax(dim=-1)) == character
        logits, state = model(model.vocabulary.encode(character).unsqueeze(0), state)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_samples_follow_the_tempered_softmax(temperature):
    logits = [1.0, 0.0, -1.0]
    text = generate(
        _fixed_model(logits), "a", 4000, temperature=temperature, generator=torch.Generator().manual_seed(0)
    )
    expected = torch.softmax(torch.tensor(logits) / temperature, dim=0)
    for character, p in zip("abc", expected.tolist(), strict=True):
        # five standard errors of a share of 4000 draws
        assert abs(text.count(character) / 4000 - p) < 5 * (p * (1 - p) / 4000) ** 0.5


def test_generation_reads_the_whole_prompt_and_repeats_with_its_generator():
    model = CharacterModel(Vocabulary("abc"), 8)
    once = generate(model, "abc", 20, generator=torch.Generator().manual_seed(1))
    again = generate(model, "abc", 20, generator=torch.Generator().manual_seed(1))
    assert once == again and len(once) == 20
    assert generate(model, "abc", 0) == ""


def test_the_whole_prompt_counts():
    """Prompts with the same last character and different beginnings go on differently."""
    model = CharacterModel(Vocabulary("abc"), 8)
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(4)
    logits = {
        prompt: model(model.vocabulary.encode(prompt).unsqueeze(0))[0][0, -1] for prompt in ("aaab", "cccb")
    }
    draws = {
        prompt: [generate(model, prompt, 1, generator=torch.Generator().manual_seed(i)) for i in range(300)]
        for prompt in logits
    }
    for prompt, drawn in draws.items():
        p = torch.softmax(logits[prompt], dim=0).tolist()
        for character, share in zip("abc", p, strict=True):
            assert abs(drawn.count(character) / 300 - share) < 5 * (share * (1 - share) / 300) ** 0.5
    assert not torch.allclose(logits["aaab"], logits["cccb"], atol=0.1)


def test_generation_leaves_no_history():
    model = CharacterModel(Vocabulary("abc"), 8)
    recorded = []
    model.readout.register_forward_hook(lambda *args: recorded.append(args[-1].requires_grad))
    generate(model, "a", 3)
    assert recorded and not any(recorded)


def test_character_state_is_a_tuple_of_cell_states():
    model = CharacterModel(Vocabulary("abc"), 8, num_layers=2)
    _, state = model(torch.tensor([[0, 1]]))
    assert [type(part) for part in state] == [RNNState, RNNState]


# ---- cells, embeddings, dropout, tied weights


@pytest.mark.parametrize(("cell", "kind"), [("rnn", RNNState), ("lstm", LSTMState), ("gru", GRUState)])
def test_the_model_runs_the_cell_it_is_asked_for(cell, kind):
    model = CharacterModel(Vocabulary("abc"), 8, num_layers=2, cell=cell)
    logits, state = model(torch.tensor([[0, 1]]))
    assert logits.shape == (1, 2, 3) and [type(part) for part in state] == [kind, kind]
    assert isinstance(model.rnn, CELLS[cell])


@pytest.mark.parametrize("tied", [False, True])
def test_an_embedding_is_looked_up_and_equals_the_product_with_one_hot_vectors(tied):
    """In values and in every gradient."""
    model = CharacterModel(Vocabulary("hello"), 6, embedding_size=6, tied=tied, cell="lstm").double()
    ids = model.vocabulary.encode("hellohello").view(2, 5)
    table = model.readout.W_hy if tied else model.E.mT
    h, _ = model.rnn(one_hot(ids, 4, torch.float64) @ table)
    weights = list(model.parameters())
    expected = torch.autograd.grad(cross_entropy(model.readout(h), ids), weights)
    found = torch.autograd.grad(cross_entropy(model(ids)[0], ids), weights)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-14)


def test_tied_weights_are_one_matrix():
    tied = CharacterModel(Vocabulary("hello"), 6, embedding_size=6, tied=True)
    free = CharacterModel(Vocabulary("hello"), 6, embedding_size=6)
    count = [sum(weight.numel() for weight in model.parameters()) for model in (tied, free)]
    assert count[1] - count[0] == 6 * 4
    with torch.no_grad():
        tied.readout.W_hy[2] = 7.0
    assert torch.equal(tied.embed(torch.tensor([[2]]))[0, 0], torch.full((6,), 7.0))


def test_dropout_stands_in_three_places_while_training_and_nowhere_else(monkeypatch):
    seen = []
    real = F.dropout

    def counted(x, p, training):
        seen.append((tuple(x.shape), p, training))
        return real(x, p, training)

    monkeypatch.setattr(F, "dropout", counted)
    model = CharacterModel(
        Vocabulary("abc"), 8, embedding_size=5, num_layers=2, dropout=0.4, cell="gru", backend="loop"
    )
    ids = torch.zeros(2, 7, dtype=torch.long)
    model(ids)
    assert seen == [((2, 7, 5), 0.4, True), ((2, 7, 8), 0.4, True), ((2, 7, 8), 0.4, True)]
    assert not torch.equal(model(ids)[0], model(ids)[0])
    model.eval()
    assert torch.equal(model(ids)[0], model(ids)[0])


def test_generation_turns_dropout_off_and_on_again():
    model = CharacterModel(Vocabulary("abcdef"), 16, embedding_size=4, dropout=0.5)
    texts = {generate(model, "a", 30, temperature=0) for _ in range(3)}
    assert len(texts) == 1 and model.training
    assert generate(model.eval(), "a", 30, temperature=0) in texts and not model.training


# ---- what is drawn from

LOGITS = torch.tensor([0.0, 2.0, 1.0, -1.0, 2.0])


@given(
    st.lists(st.floats(-5, 5, width=32), min_size=1, max_size=8),
    st.one_of(st.none(), st.integers(1, 9)),
    st.one_of(st.none(), st.floats(0.01, 1)),
    st.sampled_from([0.3, 1.0, 2.0]),
)
def test_probabilities_are_a_sort_written_out(values, top_k, top_p, temperature):
    logits = torch.tensor(values, dtype=torch.float64)
    found = probabilities(logits, temperature=temperature, top_k=top_k, top_p=top_p).tolist()
    p = torch.softmax(logits / temperature, dim=0).tolist()
    order = sorted(range(len(p)), key=lambda i: -values[i])
    kept = [i for i in order if top_k is None or values[i] >= values[order[min(top_k, len(p)) - 1]]]
    share = {i: p[i] / sum(p[j] for j in kept) for i in kept}
    before, chosen = 0.0, []
    for i in kept:
        if top_p is not None and top_p < 1 and before >= top_p * (1 + 1e-12):
            break
        chosen.append(i)
        before += share[i]
    total = sum(share[i] for i in chosen)
    assert sum(found) == pytest.approx(1)
    if top_p is None or all(
        abs(sum(share[i] for i in kept[:n]) - top_p) > 1e-9 for n in range(len(kept) + 1)
    ):
        assert found == pytest.approx([share[i] / total if i in chosen else 0.0 for i in range(len(p))])


def test_probabilities_keep_what_they_are_told_to():
    assert probabilities(LOGITS, top_k=1).tolist() == pytest.approx(
        [0, 0.5, 0, 0, 0.5]
    )  # equals stay together
    assert (probabilities(LOGITS, top_k=3) > 0).tolist() == [False, True, True, False, True]
    assert (probabilities(LOGITS, top_p=0.01) > 0).sum() == 1  # the likeliest always stays
    assert torch.equal(probabilities(LOGITS, top_p=1.0, top_k=99), torch.softmax(LOGITS, dim=0))
    assert probabilities(LOGITS, temperature=0).tolist() == [0, 1, 0, 0, 0]
    batch = torch.stack([LOGITS, LOGITS.flip(0)])
    for row, alone in zip(probabilities(batch, top_p=0.7), batch, strict=True):
        torch.testing.assert_close(row, probabilities(alone, top_p=0.7))


@pytest.mark.parametrize("temperature", [1e-30, 1e-39, 1e-46, 1e-320])
def test_a_temperature_too_small_to_divide_by_is_zero(temperature):
    assert probabilities(LOGITS[:3], temperature=temperature).tolist() == [0, 1, 0]
    assert generate(_fixed_model([1.0, 3.0, -2.0]), "a", 3, temperature=temperature) == "bbb"


@pytest.mark.parametrize("options", [{"temperature": "1"}, {"temperature": None}, {"top_p": "0.5"}])
def test_an_option_that_is_no_number_is_named(options, plain_errors):
    ((name, value),) = options.items()
    with pytest.raises(TypeError, match=f"{name}: expected a .*, got {type(value).__name__} {value!r}"):
        generate(_fixed_model([1.0, 3.0, -2.0]), "a", 3, **options)


def test_generation_draws_only_from_what_is_kept():
    model = _fixed_model([2.0, 1.0, 0.0])
    generator = torch.Generator().manual_seed(0)
    assert set(generate(model, "a", 300, generator=generator)) == set("abc")
    assert set(generate(model, "a", 300, top_k=2, generator=generator)) == set("ab")
    assert set(generate(model, "a", 300, top_p=0.5, generator=generator)) == {"a"}


# ---- models on disk


@pytest.mark.parametrize("cell", CELLS)
def test_a_saved_model_comes_back_whole(cell, tmp_path):
    model = CharacterModel(
        Vocabulary("hello\n"), 6, embedding_size=3, num_layers=2, cell=cell, dropout=0.2
    ).double()
    path = save(model, tmp_path / "a.model", corpus="hello", score=1.5)
    back = load(path)
    assert back.about["corpus"] == "hello" and back.about["score"] == 1.5
    assert back.describe() == model.describe() and not back.training
    assert back.vocabulary.characters == model.vocabulary.characters
    for (name, a), (other, b) in zip(back.named_parameters(), model.named_parameters(), strict=True):
        assert name == other and torch.equal(a, b) and a.dtype == b.dtype
    weights, about = read_model(f"{path}.json")
    assert weights.keys() == dict(model.named_parameters()).keys() and about == back.about


def test_a_model_is_found_by_name_and_a_stranger_is_refused(tmp_path, monkeypatch):
    folder = tmp_path / "assets" / "pretrained"
    save(CharacterModel(Vocabulary("abc"), 4), folder / "small")
    monkeypatch.setattr(language.resources, "files", lambda package: tmp_path)
    assert pretrained() == ["small"] and load("small").rnn.hidden_size == 4
    with pytest.raises(
        FileNotFoundError, match=r"source: expected a file of a model.* \('small'\), got 'smaller'"
    ):
        load("smaller")
    with pytest.raises(
        FileNotFoundError, match="source: expected a run's folder, got .*, which holds no model"
    ):
        load(tmp_path)
    file = folder / "small.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(DamagedFile, match=r"small\.safetensors: expected \d+ bytes"):
        load("small")


@pytest.mark.parametrize(
    ("logits", "options"),
    [
        (torch.tensor([1.0, 2.0, 3.0]), {"top_p": 1e-50}),
        (torch.tensor([1.0, 2.0, 3.0]).half(), {"temperature": 1e-6}),
        (torch.tensor([1.0, 2.0, 3.0]).half(), {"top_p": 1e-8}),
        (torch.tensor([0.0, 1.0, 1e10]), {"temperature": 1e-29}),
        (torch.tensor([-torch.inf, 1.0, 3e38]), {"top_k": 1}),
    ],
)
def test_however_little_is_let_through_the_likeliest_stays(logits, options):
    p = probabilities(logits, **options)
    assert p.tolist() == [0, 0, 1] and p.dtype == logits.dtype
