"""The quantizer of a discrete VAE: codes are mixed by a softmax with Gumbel noise."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.quantizers.quantized import Quantized
from core.random import Randomness, uniform


class GumbelQuantizer(nn.Module):
    """Mix codes by softmax((logits + noise) / temperature); the codebook is learned by gradient.

    The loss is ``uniform``: the divergence of the uniform distribution from the mean of softmax(logits) over the tokens of a
    sample, averaged over samples, which keeps the whole vocabulary in use.

    Args:
        codes: K.
        dim: C.

    Shapes: ``forward(logits, noise, temperature, hard)``: (B, N, K) -> :class:`~core.quantizers.quantized.Quantized` with vectors
    (B, N, C). ``noise`` as :func:`gumbel_noise` gives it, None for none. With ``hard`` the vectors are single codes and the
    gradient is that of the mixture. ``ids`` are the likeliest codes of the logits, without noise.
    ``encode(logits) -> ids``; ``decode(ids)``: (...) -> (..., C); ``codebook`` is (K, C).

    Raises:
        ValueError: a temperature that is not positive.

    Source: Jang et al., "Categorical Reparameterization with Gumbel-Softmax", Eq. 2; Ramesh et al., "Zero-Shot Text-to-Image
    Generation", Section 2.1; the direction of the divergence and its mean from models/dvae.py of Point-BERT's official code.
    """

    def __init__(self, codes: int, dim: int) -> None:
        super().__init__()
        self.codebook = nn.Parameter(torch.randn(codes, dim))

    def forward(
        self, logits: Tensor, noise: Tensor | None = None, temperature: float = 1.0, hard: bool = False
    ) -> Quantized:
        if not temperature > 0:
            raise ValueError(f"temperature {temperature}: expected more than 0")
        soft = ((logits if noise is None else logits + noise) / temperature).softmax(-1)
        if hard:
            picked = F.one_hot(soft.argmax(-1), soft.shape[-1]).to(soft.dtype)
            soft = picked + soft - soft.detach()
        return Quantized(soft @ self.codebook, self.encode(logits), {"uniform": divergence_of_uniform(logits)})

    def encode(self, logits: Tensor) -> Tensor:
        """(..., K) -> (...) int64."""
        return logits.argmax(-1)

    def decode(self, ids: Tensor) -> Tensor:
        """(...) -> (..., C)."""
        return self.codebook[ids]


def gumbel_noise(shape: tuple[int, int, int], randomness: Randomness = None) -> Tensor:
    """Gumbel noise for B samples of N tokens and K codes, float32 on the CPU: -log(-log(u)).

    Args:
        shape: (B, N, K).
        randomness: one CPU generator, one a sample, or None for torch's default.
    """
    batch, tokens, codes = shape
    tiny = torch.finfo(torch.float32).tiny
    draws = uniform(batch, tokens * codes, randomness).clamp(min=tiny, max=1 - 2**-24)
    return -torch.log(-torch.log(draws)).view(shape)


def divergence_of_uniform(logits: Tensor) -> Tensor:
    """KL(uniform || mean over tokens of softmax(logits)), mean over samples: (B, N, K) -> scalar, in float32."""
    mean = logits.float().softmax(-1).mean(1)
    codes = mean.shape[-1]
    return (-mean.clamp(min=torch.finfo(torch.float32).tiny).log().mean(-1) - math.log(codes)).mean()


def cosine_between(start: float, end: float, step: int, steps: int) -> float:
    """A value that goes from ``start`` to ``end`` on half a cosine over ``steps`` and stays there: temperatures and weights."""
    done = min(max(step / max(steps, 1), 0.0), 1.0)
    return end + (start - end) * (1 + math.cos(math.pi * done)) / 2
