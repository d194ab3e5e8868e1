"""Any cell over whole sequences: layers, directions, and which of three ways runs them."""

import inspect
import warnings
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unrolled._check import check_bool, check_choice, check_count, check_number, check_tensor
from unrolled.cells import Cell
from unrolled.cells.cell import batched
from unrolled.networks.loop import Trace, unroll

BACKENDS = ("auto", "loop", "hand", "torch")
Network = TypeVar("Network", bound="Recurrent")


def _transformed() -> bool:
    """Whether a transform of torch.func is at work, which only the loop's operators have rules for."""
    return torch._C._functorch.peek_interpreter_stack() is not None


def _exporting() -> bool:
    """Whether torch.export looks on: operators alone, as a hand-derived pass is none, can be exported."""
    return bool(getattr(torch.compiler, "is_exporting", lambda: False)())


class Recurrent(nn.Module):
    r"""Any cell over whole sequences: one or more layers, one or both directions. `RNN`, `LSTM` and `GRU` are such.

    Layer l reads the states of layer l-1; with both directions it reads the two side by side, (B, T, 2m).

    Args:
        input_size: P, numbers in one input.
        hidden_size: m, numbers in the hidden state of each layer and direction.
        num_layers: how many layers.
        bidirectional: also read from the end. Such a layer needs the whole sequence, so it takes no state.
        dropout: the share of numbers set to zero between one layer and the next, while training.
        backend: `"loop"` is the definition, one Python step a time under autograd; `"hand"` is the hand-derived
            forward and backward pass of `unrolled.bptt`; `"torch"` runs the same weights
            through torch's own kernels, cuDNN on a GPU. `"auto"` takes the fastest that can: on a CPU `"hand"` for the
            RNN, and for the LSTM in single precision where batches are large (with `UNROLLED_COMPILE=1` medium ones
            too), and `"torch"` else; the loop for stacked seeds, which only it knows.
        options: what the cell takes besides its sizes.

    Raises:
        TypeError, ValueError: an argument, input or state of the wrong type, rank, size, dtype or device, by name.
        RuntimeError: `"hand"` or `"torch"` under a transform of torch.func; second derivatives, which `"loop"` has for
            every size, from `"hand"`.

    Source: both directions: Schuster and Paliwal (1997).
    """

    cell_type: ClassVar[type[Cell]]
    torch_type: ClassVar[Any]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        bidirectional: bool = False,
        dropout: float = 0.0,
        backend: str = "auto",
        **options: Any,
    ) -> None:
        super().__init__()
        self.input_size = check_count("input_size", input_size)
        self.hidden_size = check_count("hidden_size", hidden_size)
        self.num_layers = check_count("num_layers", num_layers)
        self.bidirectional = check_bool("bidirectional", bidirectional)
        self.dropout = check_number("dropout", dropout, least=0, below=1)
        if self.dropout and num_layers == 1:
            warnings.warn(
                "dropout: it acts between layers, and there is one: nothing is dropped", stacklevel=2
            )
        self._check_options(options)
        D = self.num_directions = 2 if bidirectional else 1
        sizes = [
            input_size if layer == 0 else D * hidden_size for layer in range(num_layers) for _ in range(D)
        ]
        self.cells = nn.ModuleList(self.cell_type(size, hidden_size, **options) for size in sizes)
        self.backend = check_choice("backend", backend, BACKENDS)
        self._check_backend()

    @classmethod
    def _check_options(cls, options: dict[str, Any]) -> None:
        known = [name for name in inspect.signature(cls.cell_type).parameters if not name.endswith("_size")]
        for name in options:
            if name not in known:
                raise TypeError(
                    f"{name}: {cls.__name__} has no such option, expected one of {', '.join(known)}"
                )

    def _check_backend(self) -> None:
        if reason := self._cannot(self.backend):
            raise ValueError(f"backend: {reason}, got {self.backend!r}")

    def _each(self) -> list[Any]:
        return list(self.cells)

    def _stacked(self) -> bool:
        """Whether every weight has a leading axis of seeds."""
        return self._each()[0].input_weight.dim() > 2

    def _cannot(self, backend: str) -> str:
        """Why a backend can't run this network; empty if it can."""
        if self._stacked() and backend in ("hand", "torch"):
            return f"{backend} runs one model at a time; stacked seeds need 'auto' or 'loop'"
        return ""

    def _by_hand_is_faster(self, x: Tensor) -> bool:
        """Whether the hand-derived pass, if there is one, takes less time than torch's kernels; `make bench` tells."""
        return not x.is_cuda

    @property
    def output_size(self) -> int:
        """Numbers in the output of one time: m, or 2m with both directions."""
        return self.num_directions * self.hidden_size

    def initial_state(self, batch_size: int) -> tuple[Any, ...]:
        """The state before the first input: zeros, one cell's state for each layer and direction."""
        return tuple(cell.initial_state(batch_size) for cell in self._each())

    def forward(
        self, x: Float[Tensor, "... B T P"], state: tuple[Any, ...] | None = None
    ) -> tuple[Float[Tensor, "... B T Dm"], tuple[Any, ...]]:
        """Run the whole sequence.

        Args:
            x: inputs, (B, T, P).
            state: what an earlier call returned, to go on where it stopped; None starts from zeros.

        Returns:
            The last layer's states (B, T, D m), and the final state: a tuple with one cell's state for each layer
            and direction, in torch's order (layer by layer, forward before backward).
        """
        state = self._checked(x, state)
        self._check_backend()
        backend = self.backend
        if backend != "loop" and _transformed():
            if backend != "auto":
                raise RuntimeError(
                    f'backend: under a transform of torch.func expected "auto" or "loop", got "{backend}"'
                )
            backend = "loop"
        if backend == "auto":
            order = (
                ("hand", "torch", "loop")
                if self._by_hand_is_faster(x) and not _exporting()
                else ("torch", "hand", "loop")
            )
            backend = next(each for each in order if not self._cannot(each))
        if backend == "torch":
            return self._forward_torch(x, self.initial_state(x.shape[-3]) if state is None else state)
        h, final, _ = self._forward_layers(self._by_hand if backend == "hand" else unroll, x, state)
        return h, final

    def trace(
        self, x: Float[Tensor, "... B T P"], state: tuple[Any, ...] | None = None
    ) -> tuple[Float[Tensor, "... B T Dm"], tuple[Any, ...], list[Trace]]:
        """As `forward`, and what every step computed: one dictionary for each layer and direction (see `unroll`)."""
        return self._forward_layers(unroll, x, self._checked(x, state))

    def _checked(self, x: Tensor, state: Any) -> tuple[Any, ...] | None:
        W = self._each()[0].input_weight
        check_tensor("x", x, batched("B T P", W), like=W, P=self.input_size)
        if state is None:
            return None  # zeros, which the hand-derived passes need not read
        kind, name = self.cell_type.State, type(self).__name__
        if self.bidirectional:
            raise ValueError(
                f"state: a bidirectional {name} reads the whole sequence at once and can't go on from a state; "
                "expected None"
            )
        if not isinstance(state, tuple) or isinstance(state, kind) or len(state) != len(self.cells):
            expected = f"expected a tuple of {len(self.cells)} {kind.__name__}"
            raise TypeError(f"state: {expected}, got {type(state).__name__} {state!r:.60}")
        return tuple(c.check_state(part, x.shape[-3]) for c, part in zip(self._each(), state, strict=True))

    def _forward_layers(
        self, run: Callable[..., Any], h: Tensor, state: tuple[Any, ...] | None
    ) -> tuple[Tensor, tuple[Any, ...], list[Trace]]:
        final, traces = [], []
        for layer in range(self.num_layers):
            directions = []
            if layer and self.dropout:
                h = nn.functional.dropout(h, self.dropout, self.training)
            for direction in range(self.num_directions):
                i = layer * self.num_directions + direction
                h_i, final_i, trace_i = run(
                    self._each()[i], h, None if state is None else state[i], reverse=direction == 1
                )
                directions.append(h_i)
                final.append(final_i)
                traces.append(trace_i)
            h = torch.cat(directions, dim=-1) if len(directions) > 1 else directions[0]  # (B, T, D m)
        return h, tuple(final), traces

    def _by_hand(
        self, cell: Any, x: Tensor, state: Any, *, reverse: bool = False
    ) -> tuple[Tensor, Any, Trace]:
        """As `unroll`, through the hand-derived pass, which keeps no trace."""
        x = x.transpose(0, 1)  # (T, B, P)
        h, *last = self._through_time(cell, x.flip(0) if reverse else x, state)
        return (h.flip(0) if reverse else h).transpose(0, 1), cell.State(*last), {}

    def _through_time(self, cell: Any, x: Tensor, state: Any) -> tuple[Tensor, ...]:
        raise NotImplementedError

    def _kernel(self) -> Callable[..., Any]:
        return getattr(torch, type(self).__name__.lower())

    def _forward_torch(self, x: Tensor, state: tuple[Any, ...]) -> tuple[Tensor, tuple[Any, ...]]:
        weights = [weight for cell in self._each() for weight in cell.to_torch_weights()]
        first = [
            torch.stack(part) for part in zip(*state, strict=True)
        ]  # (L D, B, m) for each part of the state
        h, *last = self._kernel()(
            x, first if len(first) > 1 else first[0], weights, True,
            self.num_layers, self.dropout, self.training, self.bidirectional, True,
        )  # fmt: skip
        return h, tuple(
            self.cell_type.State(*parts) for parts in zip(*(p.unbind(0) for p in last), strict=True)
        )

    @classmethod
    def from_torch(cls: type[Network], theirs: nn.RNNBase, *, backend: str = "auto") -> Network:
        """A network with a copy of the weights of torch's; two biases that are only ever added become their sum."""
        if not isinstance(theirs, cls.torch_type) or theirs.proj_size:
            raise TypeError(
                f"theirs: expected a torch.nn.{cls.torch_type.__name__} without projection, got {theirs}"
            )
        weight = theirs.all_weights[0][1]
        ours = cls(
            theirs.input_size, theirs.hidden_size, theirs.num_layers, bidirectional=theirs.bidirectional,
            dropout=theirs.dropout, backend=backend, device=weight.device, dtype=weight.dtype, **cls._shared(theirs),
        )  # fmt: skip
        for cell, weights in zip(ours._each(), theirs.all_weights, strict=True):
            cell.load_torch_weights(*weights)
            cell.requires_grad_(any(each.requires_grad for each in weights))
        return ours.train(theirs.training)

    def to_torch(self) -> nn.RNNBase:
        """Torch's network (batch first) with a copy of these weights.

        Raises:
            ValueError: a linear recurrence or stacked seeds, which torch does not have.
        """
        if reason := self._cannot("torch"):
            raise ValueError(f"self: {reason}")
        weight = next(self.parameters())
        theirs = self.torch_type(
            self.input_size, self.hidden_size, self.num_layers, batch_first=True, bidirectional=self.bidirectional,
            dropout=self.dropout, device=weight.device, dtype=weight.dtype, **self._shared(self),
        )  # fmt: skip
        with torch.no_grad():
            for cell, weights in zip(self._each(), theirs.all_weights, strict=True):
                trained = any(each.requires_grad for each in cell.parameters())
                for to, value in zip(weights, cell.to_torch_weights(), strict=True):
                    to.copy_(value)
                    to.requires_grad_(trained)
        return theirs.train(self.training)

    @staticmethod
    def _shared(network: Any) -> dict[str, Any]:
        """Options that ours and torch's have in common."""
        return {}
