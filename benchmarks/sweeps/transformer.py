"""A small GPT of torch's own parts, and its training: what the character models of the book are measured against."""

import math
import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm


@dataclass(frozen=True)
class Setting:
    """One run; the defaults are nanoGPT's CPU recipe, as its README gives it.

    Source: https://github.com/karpathy/nanoGPT, `train_shakespeare_char.py` with the README's options for a CPU.
    """

    layers: int = 4
    heads: int = 4
    width: int = 128
    block: int = 64
    batch: int = 12
    updates: int = 2000
    learning_rate: float = 1e-3
    floor: float = 0.1
    warmup: int = 100
    weight_decay: float = 0.1
    beta_2: float = 0.99
    clip_norm: float = 1.0
    dropout: float = 0.0
    seed: int = 1337

    def rate(self, update: int) -> float:
        """The step size of an update, the first being 1: a straight line up, then a cosine down to the floor."""
        if update <= self.warmup:
            return self.learning_rate * update / self.warmup
        p = (update - self.warmup) / max(1, self.updates - self.warmup)
        return self.learning_rate * (self.floor + (1 - self.floor) * (1 + math.cos(math.pi * p)) / 2)


class Transformer(nn.Module):
    """A decoder of `torch.nn.TransformerEncoder` with a causal mask; called as a character model is.

    Args:
        vocabulary_size: V.
        setting: its sizes.
    """

    def __init__(self, vocabulary_size: int, setting: Setting) -> None:
        super().__init__()
        D = setting.width
        self.characters, self.places = nn.Embedding(vocabulary_size, D), nn.Embedding(setting.block, D)
        layer = nn.TransformerEncoderLayer(
            D, setting.heads, 4 * D, setting.dropout, "gelu", batch_first=True, norm_first=True, bias=False
        )
        norm = nn.LayerNorm(D, bias=False)
        self.blocks = nn.TransformerEncoder(layer, setting.layers, norm, enable_nested_tensor=False)
        self.dropout = nn.Dropout(setting.dropout)
        self.block = setting.block
        for name, weight in self.named_parameters():
            if (
                weight.dim() >= 2
            ):  # GPT-2's start; what adds to the residual line is smaller, the deeper the net
                last = name.endswith(("out_proj.weight", "linear2.weight"))
                nn.init.normal_(weight, std=0.02 / (math.sqrt(2 * setting.layers) if last else 1.0))

    def forward(self, ids: Tensor, state: Any = None) -> tuple[Tensor, None]:
        """Numbers (B, T), T at most the block; logits of each next character (B, T, V), and no state."""
        T = ids.shape[1]
        x = self.dropout(self.characters(ids) + self.places.weight[:T])  # (B, T, D)
        mask = nn.Transformer.generate_square_subsequent_mask(T, device=ids.device)
        return F.linear(self.blocks(x, mask, is_causal=True), self.characters.weight), None


def train(ids: Tensor, vocabulary_size: int, setting: Setting) -> tuple[Transformer, float]:
    """Train on random windows of a text; the model and the seconds its updates took."""
    torch.manual_seed(setting.seed)
    model = Transformer(vocabulary_size, setting)
    weights = list(model.parameters())
    groups = [
        {"params": [w for w in weights if w.dim() >= 2], "weight_decay": setting.weight_decay},
        {"params": [w for w in weights if w.dim() < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, setting.beta_2), fused=True)
    windows = ids.unfold(0, setting.block + 1, 1)
    start = time.perf_counter()
    with tqdm(total=setting.updates, unit="update", leave=False) as bar:
        for update in range(1, setting.updates + 1):
            chunk = windows[torch.randint(len(windows), (setting.batch,))]  # (B, T + 1)
            logits, _ = model(chunk[:, :-1])
            loss = F.cross_entropy(logits.flatten(0, 1), chunk[:, 1:].flatten())
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(weights, setting.clip_norm)
            for group in optimizer.param_groups:
                group["lr"] = setting.rate(update)
            optimizer.step()
            bar.update()
    return model, time.perf_counter() - start
