"""Characters in, a distribution over the next character out: vocabulary, model, models on disk, generation."""

import contextlib
import warnings
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from unrolled._check import check_bool, check_choice, check_count, check_ids, check_number, check_tensor
from unrolled.cells.cell import batched
from unrolled.data import Vocabulary, one_hot
from unrolled.data.vocabulary import check_range
from unrolled.models.checkpoints import read_newest
from unrolled.models.pairs import DamagedFile, Pair, ending, read_pair, stem, write_pair
from unrolled.networks import GRU, LSTM, RNN, Recurrent

CELLS: dict[str, type[Recurrent]] = {"rnn": RNN, "lstm": LSTM, "gru": GRU}


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


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Switch dropout off meanwhile; afterwards the model is in the mode it was in."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


class CharacterModel(nn.Module):
    r"""A recurrent character model: the numbers of the characters so far in, logits of the next one out.

    Args:
        vocabulary: the characters it reads and writes, V of them.
        hidden_size: m.
        embedding_size: E, numbers in a learned vector for each character; None feeds one-hot vectors.
        num_layers: layers of the network.
        cell: `"rnn"`, `"lstm"` or `"gru"`.
        dropout: the share of numbers set to zero while training: in embeddings, between layers and before the readout,
            never from one time to the next.
        tied: read each character as its own row of $W_{hy}$; takes E = m.
        backend: see `unrolled.networks.Recurrent`.

    Source: Sutskever et al. (2011), Karpathy (2015); dropout: Zaremba et al. (2014); tied weights: Press and Wolf
    (2017). Taught in chapter 02 and, for real text, in chapter 09.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        hidden_size: int,
        *,
        embedding_size: int | None = None,
        num_layers: int = 1,
        cell: str = "rnn",
        dropout: float = 0.0,
        tied: bool = False,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        if not isinstance(vocabulary, Vocabulary):
            raise TypeError(
                f"vocabulary: expected a Vocabulary, got {type(vocabulary).__name__} {vocabulary!r:.60}"
            )
        self.vocabulary = vocabulary
        V = len(vocabulary)
        if tied and embedding_size != hidden_size:
            raise ValueError(
                f"tied: expected embedding_size = hidden_size, for one matrix to serve as both; "
                f"got {embedding_size} and {hidden_size}"
            )
        self.tied, self.dropout = check_bool("tied", tied), check_number("dropout", dropout, least=0, below=1)
        self.E: nn.Parameter | None = None
        if embedding_size is not None:
            embedding_size = check_count("embedding_size", embedding_size)
            if not tied:
                self.E = nn.Parameter(torch.randn(embedding_size, V))  # (E, V)
        network = CELLS[check_choice("cell", cell, CELLS)]
        between = self.dropout if num_layers != 1 else 0.0  # one layer has nothing between layers
        self.rnn = network(embedding_size or V, hidden_size, num_layers, dropout=between, backend=backend)
        self.readout = Readout(hidden_size, V)
        self.about: dict[str, Any] = {}  # what `load` read beside the weights
        self._sizes = {
            "hidden_size": self.rnn.hidden_size, "embedding_size": embedding_size,
            "num_layers": self.rnn.num_layers, "cell": cell,
            "dropout": self.dropout, "tied": tied,
        }  # fmt: skip

    def describe(self) -> dict[str, Any]:
        """What it takes to build the model again, as JSON can hold it: characters and sizes."""
        return {"characters": self.vocabulary.characters, **self._sizes}

    def embed(self, ids: Int[Tensor, "... B T"]) -> Float[Tensor, "... B T E"]:
        """What the network reads for each character: its learned vector, or a one-hot vector."""
        W_hy: Tensor = self.readout.W_hy
        if self.E is None and not self.tied:
            return one_hot(ids, len(self.vocabulary), W_hy.dtype)  # (B, T, V)
        table = W_hy if self.E is None else self.E.mT  # (V, E)
        if table.dim() > 2:  # stacked seeds, each with a table of its own: (S, 1, V, E)
            x = one_hot(ids, len(self.vocabulary), W_hy.dtype) @ table.unsqueeze(1)
        else:
            check_range(ids, len(self.vocabulary))
            x = F.embedding(ids.long(), table)  # what the product with a one-hot vector gives
        return F.dropout(x, self.dropout, self.training)

    def forward(
        self, ids: Int[Tensor, "... B T"], state: Any = None
    ) -> tuple[Float[Tensor, "... B T V"], Any]:
        """Numbers (B, T) and a state in; logits of each next character (B, T, V) and the state after the last out."""
        W_hy: Tensor = self.readout.W_hy
        if check_ids("ids", ids, batched("B T", W_hy)).device != W_hy.device:
            raise ValueError(f"ids: expected a tensor on {W_hy.device}, as the weights are, got {ids.device}")
        h, state = self.rnn(self.embed(ids), state)
        return self.readout(F.dropout(h, self.dropout, self.training)), state


def save(model: CharacterModel, path: str | Path, **about: Any) -> Path:
    """Write a model as `path.safetensors` and `path.json`, beside and renamed.

    Args:
        model: the model.
        path: the files' name without an ending.
        about: what else to tell of it, as JSON can hold it: corpus, config, scores.

    Returns:
        The path; `load` reads it.

    Raises:
        ValueError, TypeError: stacked seeds, a path without a name, or something in `about` that JSON can't hold.
        OSError: it could not be written; what was there before is whole.
    """
    if hasattr(model, "num_seeds"):
        raise ValueError("model: expected one model, got stacked seeds; save them one by one")
    if not Path(path).name:
        raise ValueError(f"path: expected a file's name without an ending, got {str(path)!r}")
    return write_pair(path, dict(model.named_parameters()), {"model": model.describe(), **about})


def pretrained() -> list[str]:
    """The names of the models that come with the library."""
    folder = resources.files("unrolled").joinpath("assets/pretrained")
    files = folder.iterdir() if folder.is_dir() else ()
    return sorted(file.name.removesuffix(".json") for file in files if file.name.endswith(".json"))


def read_model(source: str | Path) -> Pair:
    """The weights of a model by name, and the description beside them, every byte checked; see `load`."""
    if not isinstance(source, str | Path):
        raise TypeError(f"source: expected a name or a path, got {type(source).__name__} {source!r:.60}")
    ours = Path(str(resources.files("unrolled").joinpath("assets/pretrained", str(source))))
    # A reader's own file or run goes before a model of the library's that has the same name.
    if ending(stem(source), ".json").is_file():
        pair = read_pair(source)
    elif Path(source).is_dir():
        pair = _from_run(Path(source))
    elif str(source) in pretrained():
        pair = read_pair(ours)
    else:
        known = ", ".join(map(repr, pretrained())) or "none yet"
        raise FileNotFoundError(
            f"source: expected a file of a model, a run's folder or the name of a model that comes with the library "
            f"({known}), got {str(source)!r}"
        )
    if "model" not in pair.about:
        raise ValueError(f"source: expected a model, got {source}, which describes none")
    if any(name.startswith("model/") for name in pair.tensors):  # a checkpoint holds more than the model
        prefix = "average/" if any(name.startswith("average/") for name in pair.tensors) else "model/"
        weights = {k.removeprefix(prefix): v for k, v in pair.tensors.items() if k.startswith(prefix)}
        return Pair(weights, pair.about)
    return pair


def _from_run(folder: Path) -> Pair:
    """The best model of a run, or where it has none yet, its newest checkpoint."""
    refused: list[str] = []
    for kind in ("best", "checkpoint"):
        path, pair, damaged = read_newest(folder, kind)
        refused += damaged
        if pair is not None:
            for reason in refused:
                warnings.warn(f"{reason}; {path} is used", stacklevel=4)
            return pair
    if refused:
        raise DamagedFile("; ".join(refused))
    raise FileNotFoundError(f"source: expected a run's folder, got {folder}, which holds no model")


def load(
    source: str | Path, *, device: torch.device | str | None = None, backend: str = "auto"
) -> CharacterModel:
    """A trained character model, ready to generate (dropout off).

    Args:
        source: a file that `save` wrote, the folder of a run, of which the best model is taken, or the name of a model
            that comes with the library (see `pretrained`); what stands first in this list is taken first.
        device: where to put it; None is the CPU.
        backend: see `unrolled.networks.Recurrent`.

    Returns:
        The model, in single precision where its weights were stored in less; everything that was saved beside its
        weights is its `about`.

    Raises:
        FileNotFoundError: there is no such model.
        unrolled.models.DamagedFile: a file was cut short or altered; the message names it.
    """
    weights, about = read_model(source)
    sizes = dict(about["model"])
    with torch.random.fork_rng(devices=[]):  # weights are drawn only to be overwritten
        model = CharacterModel(Vocabulary(sizes.pop("characters")), **sizes, backend=backend)
    model.load_state_dict(weights)
    model.about = about
    stored = next(iter(weights.values())).dtype
    # Half precision saves room on disk; to compute with, it is too coarse.
    return model.to(device=device, dtype=torch.float32 if stored.itemsize < 4 else stored).eval()
