"""Transformers for sentences, all at once or step by step. Importing this module imports torch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from dimecli.data.sentences import Sentences
from dimecli.grammar.decode import choose
from dimecli.model import Autoregressive
from dimecli.nn.sequence import OneHot, Steps

HEAD = 16
"""Numbers in one attention head."""

Cache = tuple[torch.Tensor, torch.Tensor]
"""Keys and values of the steps so far, `(B, heads, t, HEAD)` each."""


class Block(nn.Module):
    """Self-attention and two linear layers, each added to its input and normalised before (Xiong et al., 2020)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.queries_keys_values = nn.Linear(width, 3 * width)
        self.mix = nn.Linear(width, width)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, h: torch.Tensor, bias: torch.Tensor | None = None, causal: bool = False) -> torch.Tensor:
        """`(B, T, width)` to the same; `bias` is added to the attention's `(B, heads, T, T)` logits."""
        query, key, value = self._project(h)
        return self._mix(h, F.scaled_dot_product_attention(query, key, value, bias, is_causal=causal))

    def step(self, h: torch.Tensor, past: Cache | None) -> tuple[torch.Tensor, Cache]:
        """One further step of a causal pass: `(B, 1, width)` to the same, and the longer cache."""
        query, key, value = self._project(h)
        if past is not None:
            key, value = torch.cat((past[0], key), 2), torch.cat((past[1], value), 2)
        return self._mix(h, F.scaled_dot_product_attention(query, key, value)), (key, value)

    def _project(self, h: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Queries, keys and values, `(B, heads, T, HEAD)` each."""
        projected = self.queries_keys_values(self.norm(h)).unflatten(2, (3, -1, HEAD))
        query, key, value = projected.permute(2, 0, 3, 1, 4).unbind()
        return query, key, value

    def _mix(self, h: torch.Tensor, attended: torch.Tensor) -> torch.Tensor:
        h = h + self.mix(attended.transpose(1, 2).flatten(2))
        mixed: torch.Tensor = h + self.feed_forward(h)
        return mixed


class TransformerEncoder(nn.Module):
    """Attention in both directions over the symbols that are no padding, then a linear layer over all steps."""

    def __init__(self, steps: int, symbols: int, features: int, width: int, layers: int) -> None:
        super().__init__()
        self.one_hot = OneHot(symbols)
        self.embedding = nn.Linear(symbols, width, bias=False)
        self.positions = nn.Parameter(torch.randn(steps, width))
        nn.init.normal_(self.embedding.weight)
        self.blocks = nn.ModuleList(Block(width) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(steps * width, features)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, T)` ids or `(B, T, V)` weights to `(B, features)`. What is padding in part is seen in part."""
        weights = self.one_hot(x)
        kept = (1 - weights[..., -1]).clamp_min(torch.finfo(weights.dtype).tiny)  # (B, T)
        h = self.embedding(weights) + self.positions
        for block in self.blocks:
            h = block(h, bias=kept.log()[:, None, None])
        features: torch.Tensor = self.output((self.norm(h) * kept[..., None]).flatten(1))
        return features


class TransformerDecoder(nn.Module):
    """Logits of all steps at once: each step's own linear map of the code, then attention in both directions."""

    def __init__(self, latent_size: int, steps: int, symbols: int, width: int, layers: int) -> None:
        super().__init__()
        self.steps = Steps(latent_size, steps, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(layers))
        self.output = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, symbols))

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """`(B, latent_size)` codes to `(B, T, V)` logits."""
        h = self.steps(z)
        for block in self.blocks:
            h = block(h)
        logits: torch.Tensor = self.output(h)
        return logits


class AutoregressiveTransformer(Autoregressive):
    """Logits of each step given the code and the symbols before it."""

    def __init__(self, latent_size: int, steps: int, symbols: int, width: int, layers: int) -> None:
        super().__init__()
        self.steps = Steps(latent_size, steps, width)
        self.one_hot = OneHot(symbols)
        self.embedding = nn.Linear(symbols, width, bias=False)
        nn.init.normal_(self.embedding.weight)
        self.blocks = nn.ModuleList(Block(width) for _ in range(layers))
        self.output = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, symbols))

    def forward(self, z: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """`(B, latent_size)` codes and `(B, T)` ids, or `(B, T, V)` weights, to `(B, T, V)` logits."""
        before = self.embedding(self.one_hot(x)[:, :-1])  # (B, T - 1, width)
        h = self.steps(z) + F.pad(before, (0, 0, 1, 0))
        for block in self.blocks:
            h = block(h, causal=True)
        logits: torch.Tensor = self.output(h)
        return logits

    def generate(
        self, z: torch.Tensor, likelihood: Sentences, rng: torch.Generator | None, reserve: bool
    ) -> torch.Tensor:
        """`(B, T)` int16 ids: at each step the most probable of those allowed, or one drawn if `rng` is given."""
        steps = self.steps(z)
        walk = likelihood.walk(len(z), steps.shape[1], z.device, reserve)
        everything = torch.ones(len(z), len(self.one_hot.rows), dtype=torch.bool, device=z.device)
        caches: list[Cache | None] = [None] * len(self.blocks)
        before = torch.zeros_like(steps[:, 0])
        taken: list[torch.Tensor] = []
        for step in steps.unbind(1):
            h = (step + before)[:, None]
            for number, block in enumerate(self.blocks):
                h, caches[number] = block.step(h, caches[number])  # type: ignore[operator]
            ids = choose(self.output(h)[:, 0], everything if walk is None else walk.allowed, rng)
            before = self.embedding(self.one_hot(ids))
            if walk is not None:
                walk.advance(ids)
            taken.append(ids)
        return torch.stack(taken, 1).short()
