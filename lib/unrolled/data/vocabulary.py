"""Characters and their numbers. Their public face is `language`."""

from collections.abc import Iterable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unrolled._check import check_count, check_ids


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
    check_range(ids, size)
    hot = torch.zeros(*ids.shape, size, dtype=dtype or torch.get_default_dtype(), device=ids.device)
    return hot.scatter_(-1, ids.long().unsqueeze(-1), 1.0)


def check_range(ids: Tensor, size: int, name: str = "ids") -> None:
    """Where asking is free: a GPU would be waited for, and its own look-ups refuse such numbers too."""
    if ids.device.type == "cpu" and ids.numel() and not (int(ids.min()) >= 0 and int(ids.max()) < size):
        raise ValueError(
            f"{name}: expected numbers from 0 to {size - 1}, got {int(ids.min())} to {int(ids.max())}"
        )
