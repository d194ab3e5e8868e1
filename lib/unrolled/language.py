"""Characters in, a distribution over the next character out: vocabulary, model, generation."""

from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from unrolled._check import check_count, check_ids, check_tensor
from unrolled.unroll import RNN

__all__ = ["CharacterModel", "Readout", "Vocabulary", "generate", "one_hot"]


class Vocabulary:
    """The characters a model knows, each with its number.

    Args:
        characters: any text; its distinct characters, sorted, get the numbers 0 … V-1.

    Raises:
        TypeError: not a string.
        ValueError: an empty text.

    Taught in chapter 02.
    """

    def __init__(self, characters: str) -> None:
        if not isinstance(characters, str):
            raise TypeError(
                f"characters: expected a string, got {type(characters).__name__} {characters!r:.60}"
            )
        if not characters:
            raise ValueError("characters: expected at least one character, got an empty text")
        self.characters = "".join(sorted(set(characters)))
        self._number = {character: i for i, character in enumerate(self.characters)}

    def __len__(self) -> int:
        return len(self.characters)

    def __repr__(self) -> str:
        return f"Vocabulary({self.characters!r})"

    def encode(self, text: str) -> Int[Tensor, " T"]:
        """The numbers of a text's characters, (T,).

        Raises:
            ValueError: an empty text, or a character the vocabulary does not hold (named with its position).
        """
        if not isinstance(text, str):
            raise TypeError(f"text: expected a string, got {type(text).__name__} {text!r:.60}")
        if not text:
            raise ValueError("text: expected at least one character, got an empty text")
        for position, character in enumerate(text):
            if character not in self._number:
                raise ValueError(
                    f"text: expected only the {len(self)} characters of the vocabulary, "
                    f"got {character!r} at position {position}"
                )
        return torch.tensor([self._number[character] for character in text])

    def decode(self, ids: Tensor | Iterable[int]) -> str:
        """The text of a sequence of numbers.

        Raises:
            ValueError: a number outside 0 … V-1.
        """
        numbers = check_ids("ids", ids, "T").tolist() if isinstance(ids, Tensor) else list(ids)
        for number in numbers:
            if not 0 <= number < len(self):
                raise ValueError(f"ids: expected numbers from 0 to {len(self) - 1}, got {number}")
        return "".join(self.characters[number] for number in numbers)


def one_hot(ids: Int[Tensor, "..."], size: int, dtype: torch.dtype | None = None) -> Float[Tensor, "... V"]:
    r"""Each number as a vector of zeros with a single 1: $(\dots)$ to $(\dots, V)$.

    Raises:
        ValueError: a number outside 0 … size-1.

    Taught in chapter 02: $W_{xh}$ times a one-hot vector is one column of $W_{xh}$.
    """
    check_count("size", size)
    check_ids("ids", ids, "...")
    if ids.device.type != "meta" and ids.numel() and not (int(ids.min()) >= 0 and int(ids.max()) < size):
        raise ValueError(
            f"ids: expected numbers from 0 to {size - 1}, got {int(ids.min())} to {int(ids.max())}"
        )
    hot = torch.zeros(*ids.shape, size, dtype=dtype or torch.get_default_dtype(), device=ids.device)
    return hot.scatter_(-1, ids.long().unsqueeze(-1), 1.0)


class Readout(nn.Module):
    r"""The output of a state, before the output function: $W_{hy} h_t + b_y$ (logits, or numbers to regress).

    Args:
        hidden_size: m, numbers in the state (2m where it comes from both directions).
        output_size: G, numbers in the output.

    Taught in chapter 02.
    """

    def __init__(self, hidden_size: int, output_size: int) -> None:
        super().__init__()
        m = self.hidden_size = check_count("hidden_size", hidden_size)
        G = self.output_size = check_count("output_size", output_size)
        self.W_hy = nn.Parameter(torch.empty(G, m))
        self.b_y = nn.Parameter(torch.empty(G))
        for weight in (self.W_hy, self.b_y):
            nn.init.uniform_(weight, -(m**-0.5), m**-0.5)

    def forward(self, h: Float[Tensor, "... m"]) -> Float[Tensor, "... G"]:
        """States (…, B, m) or (…, B, T, m) in, outputs with G in place of m out."""
        check_tensor("h", h, "... m", m=self.hidden_size)
        W_hy: Tensor = self.W_hy
        b_y: Tensor = self.b_y
        if (
            W_hy.dim() > 2 and h.dim() == 4
        ):  # stacked seeds over whole sequences, (S, B, T, m): one product a seed
            return (h.flatten(1, 2) @ W_hy.mT + b_y).unflatten(1, h.shape[1:3])
        return h @ W_hy.mT + b_y


class CharacterModel(nn.Module):
    r"""A recurrent character model: the numbers of the characters so far in, logits of the next one out.

    Args:
        vocabulary: the characters it reads and writes, V of them.
        hidden_size: m.
        embedding_size: E, numbers in a learned vector for each character; None feeds one-hot vectors.
        num_layers: layers of the RNN.
        backend: see `unrolled.unroll.RNN`.

    Source: Sutskever et al. (2011), Karpathy (2015). Taught in chapter 02 and, for real text, in chapter 07.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        hidden_size: int,
        *,
        embedding_size: int | None = None,
        num_layers: int = 1,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        if not isinstance(vocabulary, Vocabulary):
            raise TypeError(
                f"vocabulary: expected a Vocabulary, got {type(vocabulary).__name__} {vocabulary!r:.60}"
            )
        self.vocabulary = vocabulary
        V = len(vocabulary)
        self.E: nn.Parameter | None = None
        if embedding_size is not None:
            self.E = nn.Parameter(torch.randn(check_count("embedding_size", embedding_size), V))  # (E, V)
        self.rnn = RNN(embedding_size or V, hidden_size, num_layers, backend=backend)
        self.readout = Readout(hidden_size, V)

    def forward(self, ids: Int[Tensor, "B T"], state: Any = None) -> tuple[Float[Tensor, "... B T V"], Any]:
        """Numbers (B, T) and a state in; logits of each next character (B, T, V) and the state after the last out."""
        check_ids("ids", ids, "... B T")
        x = one_hot(ids, len(self.vocabulary), self.readout.W_hy.dtype)  # (B, T, V)
        if self.E is not None:
            E: Tensor = (
                self.E if self.E.dim() == 2 else self.E.unsqueeze(1)
            )  # (S, 1, E, V) with stacked seeds
            x = x @ E.mT  # (B, T, E)
        h, state = self.rnn(x, state)
        return self.readout(h), state


@torch.no_grad()
def generate(
    model: CharacterModel,
    prompt: str,
    length: int,
    *,
    temperature: float = 1.0,
    generator: torch.Generator | None = None,
) -> str:
    """Continue a text: read the prompt, then feed each chosen character back in as the next input.

    Args:
        model: a trained character model.
        prompt: the text to start from, at least one character.
        length: how many characters to add.
        temperature: divides the logits before the softmax. 1 samples from what the model says; towards 0 the
            choice becomes the likeliest character, and at 0 it is (greedy).
        generator: the source of randomness; None takes torch's global one.

    Returns:
        The added characters, without the prompt.

    Raises:
        ValueError: an empty prompt, an unknown character, a negative temperature or length.

    Taught in chapters 02 and 07.
    """
    check_count("length", length, least=0)
    if not temperature >= 0:
        raise ValueError(f"temperature: expected a number of at least 0, got {temperature!r}")
    ids = model.vocabulary.encode(prompt).to(model.readout.W_hy.device)
    logits, state = model(ids.unsqueeze(0))
    chosen: list[int] = []
    for _ in range(length):
        last = logits[0, -1]  # (V,)
        if temperature == 0:
            id_t = last.argmax()
        else:
            id_t = torch.multinomial(torch.softmax(last / temperature, dim=-1), 1, generator=generator)[0]
        chosen.append(int(id_t))
        logits, state = model(id_t.view(1, 1), state)
    return model.vocabulary.decode(chosen)
