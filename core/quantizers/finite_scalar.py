"""Finite scalar quantization: every channel is rounded to one of a few levels."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from core.quantizers.quantized import Quantized

EPS = 1e-3  # keeps the bounded value just inside the outermost levels


class FiniteScalarQuantizer(nn.Module):
    """Bound each channel by a tanh and round it to one of L_i levels; nothing is learned, no loss is needed.

    Args:
        levels: L_i of every channel, at least 2 each; the vocabulary is their product.

    Shapes: ``forward(features)``: (..., C) with C = len(levels) -> :class:`~core.quantizers.quantized.Quantized` with vectors in
    [-1, 1] and without losses; the gradient passes the rounding unchanged. ``encode(features) -> ids``; ``decode(ids)``: (...) ->
    (..., C); ``codebook`` is (K, C). The first channel is the lowest digit of an id.

    Raises:
        ValueError: features of another width, or a level below 2.

    Source: Mentzer et al., "Finite Scalar Quantization: VQ-VAE Made Simple", Section 3.1 and Appendix A.1.
    """

    levels: Tensor
    basis: Tensor

    def __init__(self, levels: Sequence[int]) -> None:
        super().__init__()
        if not levels or min(levels) < 2:
            raise ValueError(f"levels {list(levels)}: expected at least 2 a channel, and a channel")
        self.codes = math.prod(levels)
        self.register_buffer("levels", torch.tensor(list(levels)), persistent=False)
        basis = [math.prod(levels[:channel]) for channel in range(len(levels))]
        self.register_buffer("basis", torch.tensor(basis), persistent=False)

    @property
    def codebook(self) -> Tensor:
        return self.decode(torch.arange(self.codes, device=self.levels.device))

    def forward(self, features: Tensor) -> Quantized:
        bounded = self._bound(features)
        vectors = (bounded + (bounded.round() - bounded).detach()) / self._half()
        return Quantized(vectors, self._ids(bounded.round()), {})

    def encode(self, features: Tensor) -> Tensor:
        """(..., C) -> (...) int64."""
        return self._ids(self._bound(features).round())

    def decode(self, ids: Tensor) -> Tensor:
        """(...) -> (..., C)."""
        digits = ids.unsqueeze(-1) // self.basis % self.levels
        return (digits - self._half()) / self._half()

    def _half(self) -> Tensor:
        return self.levels // 2

    def _bound(self, features: Tensor) -> Tensor:
        """Values whose rounding gives L_i different integers; an even number of levels has no middle, hence the shift."""
        if features.shape[-1] != len(self.levels):
            raise ValueError(f"features {tuple(features.shape)} for {len(self.levels)} channels of levels")
        reach = (self.levels - 1) * (1 + EPS) / 2
        offset = torch.where(self.levels % 2 == 0, 0.5, 0.0).to(features.dtype)
        return (features + (offset / reach).atanh()).tanh() * reach - offset

    def _ids(self, rounded: Tensor) -> Tensor:
        return ((rounded + self._half()).long() * self.basis).sum(-1)
