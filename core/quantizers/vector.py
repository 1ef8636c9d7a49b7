"""Vector quantization with a codebook that follows the features."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn import functional as F

from core.quantizers.quantized import Quantized
from core.random import generator

NEAREST_ROWS = 2**14  # features compared with all codes at once


class VectorQuantizer(nn.Module):
    """The nearest code of each feature; the codebook is a moving average of the features that chose each code.

    In training the codebook moves in the forward pass, by the features of all processes together, so that all hold the same;
    in evaluation it stays. Codes that fewer than ``revive`` features a batch choose (in the moving average) are put onto
    features of the batch. The loss is ``commitment``, the mean squared distance that pulls features to their codes.

    Args:
        codes: K.
        dim: C.
        metric: ``euclidean``; or ``cosine``, where features and codes are divided by their length first.
        decay: of the moving averages.
        revive: see above; 0 for never.
        kmeans: iterations of k-means on the first training batch that the codebook starts from; 0 starts it at random.
        seed: of the draws of k-means and of revived codes; they also depend on how many batches came before.

    Shapes: ``forward(features)``: (..., C) -> :class:`~core.quantizers.quantized.Quantized`; the gradient of its ``vectors``
    passes to the features as if nothing had been done to them (straight through). ``encode(features) -> ids``;
    ``decode(ids)``: (...) -> (..., C); ``codebook`` is (K, C).

    Raises:
        ValueError: features of another width.

    Source: van den Oord et al., "Neural Discrete Representation Learning", Section 3 and Appendix A.1 (moving averages, Eq. 6 to
    8, commitment); Razavi et al. 2019, and Yu et al. 2022, "Vector-quantized Image Modeling with Improved VQGAN", Section 3.2
    (cosine).
    """

    codebook: Tensor
    counts: Tensor
    sums: Tensor
    batches: Tensor

    def __init__(
        self,
        codes: int,
        dim: int,
        metric: Literal["euclidean", "cosine"] = "euclidean",
        decay: float = 0.99,
        revive: float = 0.0,
        kmeans: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if codes < 1 or dim < 1 or not 0 <= decay < 1:
            raise ValueError(f"{codes} codes of {dim}, decay {decay}: expected at least one, and a decay in [0, 1)")
        self.metric = metric
        self.decay = decay
        self.revive = revive
        self.kmeans = kmeans
        self.seed = seed
        start = torch.randn(codes, dim) * dim**-0.5
        start = F.normalize(start, dim=-1) if metric == "cosine" else start
        self.register_buffer("codebook", start)
        self.register_buffer("counts", torch.ones(codes))
        self.register_buffer("sums", start.clone())
        self.register_buffer("batches", torch.zeros((), dtype=torch.long))

    def forward(self, features: Tensor) -> Quantized:
        flat = self._flat(features)
        if self.training:
            with torch.no_grad():
                self._start(flat.detach())
        ids = self._nearest(flat)
        chosen = self.codebook[ids].to(flat.dtype)
        if self.training:
            with torch.no_grad():
                self._follow(flat.detach().float(), ids)
        loss = (flat - chosen).square().sum() / max(flat.numel(), 1)
        vectors = flat + (chosen - flat).detach()
        shape = features.shape
        return Quantized(vectors.view(shape), ids.view(shape[:-1]), {"commitment": loss})

    def encode(self, features: Tensor) -> Tensor:
        """(..., C) -> (...) int64; the codebook does not move."""
        return self._nearest(self._flat(features)).view(features.shape[:-1])

    def decode(self, ids: Tensor) -> Tensor:
        """(...) -> (..., C)."""
        return self.codebook[ids]

    def _flat(self, features: Tensor) -> Tensor:
        if features.shape[-1] != self.codebook.shape[1]:
            raise ValueError(f"features {tuple(features.shape)} for codes of {self.codebook.shape[1]}")
        flat = features.reshape(-1, features.shape[-1])
        return F.normalize(flat, dim=-1) if self.metric == "cosine" else flat

    @torch.no_grad()
    def _nearest(self, flat: Tensor) -> Tensor:
        with torch.autocast(flat.device.type, enabled=False):  # half precision would choose other codes
            flat = flat.float()
            if self.metric == "cosine":
                return torch.cat([(rows @ self.codebook.T).argmax(1) for rows in flat.split(NEAREST_ROWS)])
            lengths = self.codebook.square().sum(1)  # the length of the feature itself changes nothing
            return torch.cat([(lengths - 2 * rows @ self.codebook.T).argmin(1) for rows in flat.split(NEAREST_ROWS)])

    def _start(self, flat: Tensor) -> None:
        """Codes by k-means on the first batch that is not empty."""
        if not self.kmeans or int(self.batches):
            return
        samples = _everywhere(flat.float())
        if not len(samples):
            return
        self.codebook.copy_(self._drawn(samples, len(self.codebook), "kmeans"))
        for _ in range(self.kmeans):
            counts, sums = _totals(samples, self._nearest(samples), len(self.codebook))
            moved = sums / counts.clamp(min=1).unsqueeze(1)
            self.codebook.copy_(torch.where((counts > 0).unsqueeze(1), self._unit(moved), self.codebook))
        counts, _ = _totals(samples, self._nearest(samples), len(self.codebook))
        self.counts.copy_(counts)
        self.sums.copy_(self.codebook * counts.unsqueeze(1))

    def _follow(self, flat: Tensor, ids: Tensor) -> None:
        """Moving averages of counts and sums, and the codebook that they give."""
        counts, sums = _totals(flat, ids, len(self.codebook))
        if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
            dist.all_reduce(counts)
            dist.all_reduce(sums)
        if not float(counts.sum()):  # nothing came: nothing moves, and k-means waits
            return
        self.counts.lerp_(counts, 1 - self.decay)
        self.sums.lerp_(sums, 1 - self.decay)
        used = self.counts > 1e-5  # a code that nothing chose for long keeps its place
        self.codebook[used] = self._unit(self.sums[used] / self.counts[used].unsqueeze(1))
        self._revive(flat)
        self.batches += 1

    def _revive(self, flat: Tensor) -> None:
        dead = (self.counts < self.revive).nonzero().squeeze(1)
        if not len(dead):
            return
        samples = _everywhere(flat)
        if not len(samples):
            return
        new = self._drawn(samples, len(dead), "revive")
        self.codebook[dead] = new
        self.counts[dead] = self.revive
        self.sums[dead] = new * self.revive

    def _unit(self, codes: Tensor) -> Tensor:
        return F.normalize(codes, dim=-1) if self.metric == "cosine" else codes

    def _drawn(self, samples: Tensor, count: int, purpose: str) -> Tensor:
        """Different samples while there are enough, the same ones in every process."""
        draws = generator(self.seed, int(self.batches), purpose)
        order = torch.randperm(len(samples), generator=draws)
        if count > len(samples):
            order = torch.cat([order, torch.randint(len(samples), (count - len(samples),), generator=draws)])
        return samples[order[:count].to(samples.device)]


def _totals(flat: Tensor, ids: Tensor, codes: int) -> tuple[Tensor, Tensor]:
    """How many features chose each code, and their sums."""
    counts = torch.bincount(ids, minlength=codes).to(flat.dtype)
    return counts, flat.new_zeros(codes, flat.shape[1]).index_add_(0, ids, flat)


def _everywhere(flat: Tensor) -> Tensor:
    """The features of all processes, of each as many as the one with fewest has."""
    if not (dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1):
        return flat
    fewest = torch.tensor(len(flat), device=flat.device)
    dist.all_reduce(fewest, op=dist.ReduceOp.MIN)
    own = flat[: int(fewest)].contiguous()
    gathered = [torch.empty_like(own) for _ in range(dist.get_world_size())]
    dist.all_gather(gathered, own)
    return torch.cat(gathered)
