"""Vocabulary, one-hot vectors, the character model and generation."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unrolled.cells import RNNState
from unrolled.device import stack_seeds
from unrolled.language import CharacterModel, Readout, Vocabulary, generate, one_hot


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


@pytest.mark.parametrize("embedding_size", [None, 3])
def test_model_whole_equals_chunks(embedding_size):
    vocabulary = Vocabulary("hello")
    model = CharacterModel(vocabulary, 6, embedding_size=embedding_size, num_layers=2).double()
    ids = vocabulary.encode("hellohello").view(2, 5)
    whole, final = model(ids)
    first, state = model(ids[:, :2])
    second, end = model(ids[:, 2:], state)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole, rtol=0, atol=1e-12)
    torch.testing.assert_close(end[-1].h, final[-1].h, rtol=0, atol=1e-12)


@pytest.mark.parametrize("embedding_size", [None, 3])
def test_stacked_character_models_equal_each_alone(embedding_size):
    vocabulary = Vocabulary("hello")

    def build():
        return CharacterModel(vocabulary, 6, embedding_size=embedding_size)

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
