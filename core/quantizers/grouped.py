"""Vector quantization with a vocabulary in parts: features of a group have codes of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate

import torch
from torch import Tensor, nn

from core.quantizers.quantized import Quantized
from core.quantizers.vector import VectorQuantizer


class GroupedQuantizer(nn.Module):
    """A :class:`~core.quantizers.vector.VectorQuantizer` for every group of features; ids count through all of them.

    So no feature can have a code of another group, also not by k-means or revival.

    Args:
        groups: codes of each group; group g has the ids from sum(groups[:g]) on.
        dim: C.
        decay, revive, kmeans, seed: as those of the parts; their seeds differ.

    Shapes: ``forward(features, groups)``: (T, C) and (T,) int64 -> :class:`~core.quantizers.quantized.Quantized`;
    ``encode(features, groups) -> ids``; ``decode(ids)``: (...) -> (..., C); ``codebook`` is (K, C).

    Raises:
        ValueError: a group that there is not.

    Source: Xia et al., "Mole-BERT", Section 4.1 (codes of carbon, nitrogen, oxygen and the other elements).
    """

    def __init__(
        self, groups: Sequence[int], dim: int, decay: float = 0.99, revive: float = 0.0, kmeans: int = 0, seed: int = 0
    ) -> None:
        super().__init__()
        parts = [
            VectorQuantizer(codes, dim, decay=decay, revive=revive, kmeans=kmeans, seed=seed + number)
            for number, codes in enumerate(groups)
        ]
        self.parts = nn.ModuleList(parts)
        self.starts = (0, *accumulate(groups))

    @property
    def codes(self) -> int:
        """Size of the vocabulary."""
        return self.starts[-1]

    @property
    def codebook(self) -> Tensor:
        return torch.cat([part.codebook for part in self._quantizers()])

    def forward(self, features: Tensor, groups: Tensor) -> Quantized:
        found = []

        def quantize(part: VectorQuantizer, some: Tensor) -> Tensor:
            found.append(part(some))
            return found[-1].ids

        ids, back = self._by_group(features, groups, quantize)
        sizes = [quantized.vectors.numel() for quantized in found]
        losses = [quantized.losses["commitment"] * size for quantized, size in zip(found, sizes, strict=True)]
        commitment = torch.stack(losses).sum() / max(sum(sizes), 1)
        vectors = torch.cat([quantized.vectors for quantized in found])[back]
        return Quantized(vectors, ids, {"commitment": commitment})

    def encode(self, features: Tensor, groups: Tensor) -> Tensor:
        """(T, C), (T,) -> (T,) int64; the codebooks do not move."""
        return self._by_group(features, groups, VectorQuantizer.encode)[0]

    def decode(self, ids: Tensor) -> Tensor:
        """(...) -> (..., C)."""
        return self.codebook[ids]

    def _quantizers(self) -> list[VectorQuantizer]:
        return [part for part in self.parts if isinstance(part, VectorQuantizer)]

    def _by_group(
        self, features: Tensor, groups: Tensor, encode: Callable[[VectorQuantizer, Tensor], Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Ids of all features, and their places where features stand group by group; every part is asked, also for none, so
        that in a distributed run all processes talk alike."""
        if len(groups) and not 0 <= int(groups.min()) <= int(groups.max()) < len(self.parts):
            raise ValueError(f"groups {int(groups.min())} to {int(groups.max())}; there are {len(self.parts)}")
        places = [(groups == number).nonzero().squeeze(1) for number in range(len(self.parts))]
        back = torch.cat(places).argsort()
        ids = [
            encode(part, features[some]) + start
            for part, some, start in zip(self._quantizers(), places, self.starts[:-1], strict=True)
        ]
        return torch.cat(ids)[back], back
