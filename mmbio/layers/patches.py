"""Patches of neighbouring residues and CPCProt's convolutions over them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmbio.sequences import Sequences

PATCH = 11
"""Residues of a patch: what the three convolutions read."""


class ChannelNorm(nn.Module):
    """Normalise over channels at every place, with the unbiased variance: (N, C, L) -> (N, C, L).

    Source: CPCProt/model/encoder.py of amyxlu/CPCProt, which has it from facebookresearch/CPC_audio.
    """

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels, 1))
        self.bias = nn.Parameter(torch.zeros(channels, 1))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        variance, mean = torch.var_mean(x, dim=1, keepdim=True)
        return (x - mean) * torch.rsqrt(variance + self.eps) * self.weight + self.bias


class PatchEncoder(nn.Module):
    """Embeddings and three convolutions, each normalised and rectified, and the mean over what is left of the length.

    Args:
        tokens: number of token ids.
        dim: C of the features.

    Shapes: (N, L) int64 with L >= 11 -> (N, C).

    Source: Lu et al., "Self-Supervised Contrastive Learning of Protein Representations By Mutual Information Maximization",
    Section 3; PatchedConvEncoder of amyxlu/CPCProt.
    """

    def __init__(self, tokens: int, dim: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(tokens, 32)
        self.convs = nn.ModuleList([nn.Conv1d(32, 64, 4), nn.Conv1d(64, 64, 6), nn.Conv1d(64, dim, 3)])
        self.norms = nn.ModuleList([ChannelNorm(64), ChannelNorm(64), ChannelNorm(dim)])

    def features(self, ids: Tensor) -> Tensor:
        """Of all places: (N, L) -> (N, L - 10, C)."""
        x = self.embedding(ids).transpose(1, 2)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.relu(norm(conv(x)))
        return x.transpose(1, 2)

    def forward(self, ids: Tensor) -> Tensor:
        return self.features(ids).mean(1)


def patch_counts(batch: Sequences) -> Tensor:
    """Whole patches of every sequence: (B,). What is left at the end is in none."""
    return batch.lengths // PATCH


def patches_of(batch: Sequences) -> Tensor:
    """The ids of all whole patches, one sequence after the other: (patches, 11)."""
    counts = patch_counts(batch)
    begins = counts.cumsum(0) - counts
    sample = torch.repeat_interleave(torch.arange(len(batch), device=counts.device), counts)
    place = torch.arange(len(sample), device=counts.device) - begins[sample]
    starts = batch.offsets[:-1][sample] + PATCH * place
    return batch.ids[starts.unsqueeze(1) + torch.arange(PATCH, device=counts.device)]


def padded(batch: Sequences, lengths: Tensor, pad_id: int) -> Sequences:
    """Sequences with padding behind each up to the lengths that are given, (B,)."""
    offsets = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
    ids = torch.full((int(offsets[-1]),), pad_id, dtype=batch.ids.dtype, device=batch.ids.device)
    ids[offsets[:-1][batch.sample] + batch.positions] = batch.ids
    return Sequences(ids, offsets)
