"""Attention whose cost grows with the length and not with its square."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from core.attention import Attention
from core.random import Randomness
from core.rotary import Rotation

EPS = 1e-6


class LinearAttention(Attention):
    """Queries and keys, rotated by their positions, as non-negative random features whose products stand for the softmax.

    out_i = sum_j (f(q_i) . f(k_j)) v_j / (sum_j f(q_i) . f(k_j) + 1e-6) with f(x) = relu(omega^T x), the sums over the
    token's own sequence. A query none of whose features is positive gives zeros.

    Args:
        dim: width C of the tokens.
        heads: number of heads; C must be an even multiple of it.
        features: F, random features a head, the same for all heads of a layer.
        rotary: base of the rotary embeddings.

    Shapes: ``forward(x, offsets, turn=None, omega=None)``: packed (T, C) with offsets (B + 1,) -> (T, C). ``omega`` is
    (C / heads, F); without one the layer takes its own, which is drawn once and saved with the weights.

    Source: Ross et al., "Large-Scale Chemical Language Representations Capture Molecular Structure and Properties", Section
    "Model Details"; Choromanski et al., "Rethinking Attention with Performers", Section 2.3 (generalised attention);
    linear_attention.py and GeneralizedRandomFeatures of fast-transformers.
    """

    omega: Tensor

    def __init__(self, dim: int, heads: int, features: int, rotary: float | None = 10000.0) -> None:
        super().__init__(dim, heads, rotary=rotary)
        self.register_buffer("omega", random_directions(dim // heads, features))

    def forward(  # type: ignore[override]
        self, x: Tensor, offsets: Tensor, turn: Rotation | None = None, omega: Tensor | None = None
    ) -> Tensor:
        query, key, value = self._queries(x, offsets, None, turn)
        omega = self.omega if omega is None else omega
        return self.proj(linear_attention(query, key, value, offsets, omega).to(x.dtype).flatten(-2))


def linear_attention(query: Tensor, key: Tensor, value: Tensor, offsets: Tensor, omega: Tensor) -> Tensor:
    """Linear attention within each sample of a packed batch, computed in float32.

    The keys of a sample are summed before a query meets them. The sums run over samples filled up to the longest with
    features of zero, which is quicker than one product a sample.

    Args:
        query, key, value: (T, H, D).
        offsets: (B + 1,) int64, where each sample starts.
        omega: (D, F).

    Returns:
        (T, H, D) float32.
    """
    with torch.autocast(query.device.type, enabled=False):
        omega = omega.float()
        asking, asked = torch.relu(query.float() @ omega), torch.relu(key.float() @ omega)
        lengths = offsets.diff()
        count, longest = len(lengths), int(lengths.max())
        # Values with a column of ones behind them: their sum, weighted like the values, is what is divided by.
        valued = F.pad(value.float(), (0, 1), value=1.0)
        if count * longest == len(query):
            asking, asked, valued = (t.unflatten(0, (count, longest)) for t in (asking, asked, valued))
            return _divided(_mixed(asking, asked, valued)).flatten(0, 1)
        begins = torch.arange(count, device=offsets.device) * longest - offsets[:-1]
        place = torch.arange(len(query), device=offsets.device) + torch.repeat_interleave(begins, lengths)
        asking, asked, valued = (
            t.new_zeros(count * longest, *t.shape[1:]).index_copy(0, place, t).unflatten(0, (count, longest))
            for t in (asking, asked, valued)
        )
        return _divided(_mixed(asking, asked, valued).flatten(0, 1)[place])


def _mixed(asking: Tensor, asked: Tensor, valued: Tensor) -> Tensor:
    """(B, L, H, F), (B, L, H, F), (B, L, H, D) -> (B, L, H, D)."""
    sums = asked.permute(0, 2, 3, 1) @ valued.transpose(1, 2)
    return (asking.transpose(1, 2) @ sums).transpose(1, 2)


def _divided(mixed: Tensor) -> Tensor:
    return mixed[..., :-1] / (mixed[..., -1:] + EPS)


def random_directions(width: int, count: int, generator: torch.Generator | None = None) -> Tensor:
    """Random vectors, orthogonal in groups of ``width``, as long as Gaussian vectors are: (width, count) on the CPU.

    Args:
        generator: of the draws, on the CPU; None for torch's default.

    Source: Choromanski et al., Section 2.4; orthogonal_random_matrix_ in fourier_features.py of fast-transformers.
    """
    blocks = []
    for _ in range(-(-count // width)):
        block = torch.randn(width, width, generator=generator, device="cpu")
        blocks.append(torch.linalg.qr(block).Q * block.norm(dim=1))
    return torch.cat(blocks, 1)[:, :count].contiguous()


def one_generator(randomness: Randomness) -> torch.Generator | None:
    """The generator of what a whole batch shares: that of its first sample where there is one a sample."""
    if randomness is None or isinstance(randomness, torch.Generator):
        return randomness
    return randomness[0] if len(randomness) else None
