"""The five input-output shapes of the lecture, one small model each, all on the same recurrent layer.

One input or many, one output or many: only what is fed in and what is read out changes, never the cell.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from unrolled._check import check_choice, check_count, check_ids, check_tensor
from unrolled.data import one_hot
from unrolled.models.language import Readout
from unrolled.networks import RNN

FEEDS = ("nothing", "input", "output")


class OneToOne(nn.Module):
    """Feedforward: one input, one hidden layer, one output; no time at all.

    Args:
        input_size: P.
        hidden_size: m, units in the hidden layer.
        output_size: G; several heads (a mean and a variance) are parts of one output.

    Taught in chapter 03.
    """

    def __init__(self, input_size: int, hidden_size: int, output_size: int) -> None:
        super().__init__()
        self.input_size = check_count("input_size", input_size)
        self.hidden = nn.Linear(input_size, check_count("hidden_size", hidden_size))
        self.readout = Readout(hidden_size, output_size)

    def forward(self, x: Float[Tensor, "B P"]) -> Float[Tensor, "B G"]:
        """Inputs (B, P) in, outputs (B, G) out."""
        check_tensor("x", x, "B P", P=self.input_size)
        return self.readout(torch.tanh(self.hidden(x)))


class ManyToOne(nn.Module):
    r"""A sequence in, one output: $W_{hy}$ is used once, on the last state.

    Args:
        input_size: P.
        hidden_size: m.
        output_size: G.

    Taught in chapter 03.
    """

    def __init__(self, input_size: int, hidden_size: int, output_size: int) -> None:
        super().__init__()
        self.rnn = RNN(input_size, hidden_size)
        self.readout = Readout(hidden_size, output_size)

    def forward(self, x: Float[Tensor, "... B T P"]) -> Float[Tensor, "... B G"]:
        """Sequences (B, T, P) in, one output each (B, G) out."""
        h, _ = self.rnn(x)
        return self.readout(h[..., -1, :])


class ManyToMany(nn.Module):
    """A sequence in, an output at every time.

    Args:
        input_size: P.
        hidden_size: m in each direction.
        output_size: G.
        num_layers: layers of the RNN. With both directions and one layer an output is a sum of what each direction
            says; comparing the two takes a second layer.
        bidirectional: let each output see what comes after it as well as what came before.

    Taught in chapter 03.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int,
        *,
        num_layers: int = 1,
        bidirectional: bool = False,
    ) -> None:
        super().__init__()
        self.rnn = RNN(input_size, hidden_size, num_layers, bidirectional=bidirectional)
        self.readout = Readout(self.rnn.output_size, output_size)

    def forward(self, x: Float[Tensor, "... B T P"]) -> Float[Tensor, "... B T G"]:
        """Sequences (B, T, P) in, an output for every time (B, T, G) out."""
        h, _ = self.rnn(x)
        return self.readout(h)


class OneToMany(nn.Module):
    r"""One input, a sequence of classes out: the input enters at step 1, and something must be fed after it.

    Args:
        input_size: P.
        hidden_size: m.
        output_size: G classes at each step.
        feed: what the cell reads from step 2 on: `"nothing"` (zeros), `"input"` (x again) or `"output"` (the class
            chosen at the step before; in training the true one, which is teacher forcing).

    Taught in chapter 03.
    """

    def __init__(self, input_size: int, hidden_size: int, output_size: int, *, feed: str = "output") -> None:
        super().__init__()
        self.input_size = check_count("input_size", input_size)
        self.feed = check_choice("feed", feed, FEEDS)
        self.rnn = RNN(input_size + output_size, hidden_size)
        self.readout = Readout(hidden_size, output_size)

    def forward(
        self, x: Float[Tensor, "B P"], num_steps: int, targets: Int[Tensor, "B U"] | None = None
    ) -> Float[Tensor, "B U G"]:
        """Inputs (B, P) in, logits for `num_steps` = U times (B, U, G) out.

        Args:
            x: the one input of each example.
            num_steps: U, how many outputs to make.
            targets: the true classes (B, U), fed in place of the model's own when `feed` is `"output"`.
        """
        check_tensor("x", x, "B P", P=self.input_size)
        check_count("num_steps", num_steps)
        silence = torch.zeros_like(x)
        no_class = x.new_zeros(x.shape[0], self.readout.output_size)
        inputs = [torch.cat([x, no_class], dim=-1)]  # what the cell reads at each step, (B, P + G)
        if self.feed != "output":
            again = x if self.feed == "input" else silence
            inputs += [torch.cat([again, no_class], dim=-1)] * (num_steps - 1)
            h, _ = self.rnn(torch.stack(inputs, dim=1))
            return self.readout(h)
        return _free_or_forced(
            self.rnn, self.readout, inputs[0], silence, num_steps, self.rnn.initial_state(x.shape[0]), targets
        )


class EncoderDecoder(nn.Module):
    """A sequence in, a sequence of another length out: the encoder's last state is where the decoder starts.

    Args:
        input_size: P.
        hidden_size: m, of both.
        output_size: G classes at each step.

    Source: Cho et al. (2014), Sutskever et al. (2014). Taught in chapter 03.
    """

    def __init__(self, input_size: int, hidden_size: int, output_size: int) -> None:
        super().__init__()
        self.encoder = RNN(input_size, hidden_size)
        self.decoder = RNN(output_size, hidden_size)
        self.readout = Readout(hidden_size, output_size)

    def forward(
        self, x: Float[Tensor, "B T P"], num_steps: int, targets: Int[Tensor, "B U"] | None = None
    ) -> Float[Tensor, "B U G"]:
        """Sequences (B, T, P) in, logits for `num_steps` = U times (B, U, G) out.

        Args:
            x: the sequences to read.
            num_steps: U, how many outputs to make.
            targets: the true classes (B, U): each is fed in for the step after it (teacher forcing). None feeds
                the model's own likeliest class (free running).
        """
        check_count("num_steps", num_steps)
        _, state = self.encoder(x)
        start = x.new_zeros(x.shape[0], self.readout.output_size)  # no class yet
        return _free_or_forced(
            self.decoder, self.readout, start, x.new_zeros(x.shape[0], 0), num_steps, state, targets
        )


def _free_or_forced(
    rnn: RNN,
    readout: Readout,
    first: Tensor,
    beside: Tensor,
    num_steps: int,
    state: tuple,
    targets: Tensor | None,
) -> Tensor:
    """Decode U steps from a state: the class fed at each step is the true one, or the model's own likeliest.

    `first` is the whole input of step 1, (B, Q + G); from step 2 on the cell reads `beside` (B, Q) and a class.
    """
    G = readout.output_size
    if targets is not None:
        check_ids("targets", targets, "B U", B=first.shape[0], U=num_steps)
        forced = one_hot(targets[:, :-1], G, first.dtype)  # (B, U-1, G): each class is fed one step after it
        later = torch.cat([beside.unsqueeze(1).expand(-1, num_steps - 1, -1), forced], dim=-1)
        h, _ = rnn(torch.cat([first.unsqueeze(1), later], dim=1), state)
        return readout(h)
    logits, x_t = [], first
    for _ in range(num_steps):
        h, state = rnn(x_t.unsqueeze(1), state)
        logits.append(readout(h[:, -1]))  # (B, G)
        x_t = torch.cat([beside, one_hot(logits[-1].argmax(dim=-1), G, first.dtype)], dim=-1)
    return torch.stack(logits, dim=1)
