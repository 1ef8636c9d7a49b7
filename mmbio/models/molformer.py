"""MolFormer: a masked language model of molecules with linear attention and rotary positions."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.attention import Attention
from core.dropout import dropout
from core.random import Randomness
from core.rotary import Rotation
from core.token_masks import TokenMask
from mmbio.config import MolFormerConfig
from mmbio.layers.linear_attention import LinearAttention, one_generator, random_directions
from mmbio.models.masked_lm import MaskedLM, read_ids
from mmbio.molecules.vocabulary import smiles_vocabulary
from mmbio.sequences import Sequences


class MolFormerMask(TokenMask):
    """A mask of tokens, and the random features that attention takes under it.

    Args:
        omega: (layers, C / heads, F), or None for those that the layers keep.
    """

    def __init__(self, hidden: Tensor, offsets: Tensor, written: Tensor, omega: Tensor | None = None) -> None:
        super().__init__(hidden, offsets, written)
        self.omega = omega

    def to(self, device: torch.device | str) -> MolFormerMask:
        assert self.offsets is not None
        omega = None if self.omega is None else self.omega.to(device)
        return MolFormerMask(self.hidden.to(device), self.offsets.to(device), self.written.to(device), omega)


class MolFormerBlock(nn.Module):
    """norm(x + attention(x)), then norm(x + mlp(x)), with dropout inside the MLP as well: (T, C) -> (T, C).

    Source: TransformerEncoderLayer of fast-transformers.
    """

    def __init__(self, attention: Attention, dim: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.attn = attention
        self.norm1 = nn.LayerNorm(dim)
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)
        self.norm2 = nn.LayerNorm(dim)
        self.dropout = dropout

    def forward(self, x: Tensor, offsets: Tensor, turn: Rotation | None, omega: Tensor | None = None) -> Tensor:
        # Exact attention has no features, and none are drawn for it.
        mixed = self.attn(x, offsets, turn=turn) if omega is None else self.attn(x, offsets, turn=turn, omega=omega)
        x = self.norm1(x + self._drop(mixed))
        return self.norm2(x + self._drop(self.fc2(self._drop(F.gelu(self.fc1(x))))))

    def _drop(self, x: Tensor) -> Tensor:
        return dropout(x, self.dropout, self.training)


class MolFormerEncoder(nn.Module):
    """Token embeddings, post-norm blocks, a norm: (batch, mask) -> (T, C)."""

    def __init__(self, config: MolFormerConfig, tokens: int) -> None:
        super().__init__()
        self.dropout = config.embedding_dropout
        self.embedding = nn.Embedding(tokens, config.dim)
        self.blocks = nn.ModuleList(
            MolFormerBlock(new_attention(config), config.dim, config.hidden, config.dropout)
            for _ in range(config.depth)
        )
        self.norm = nn.LayerNorm(config.dim)

    def forward(self, batch: Sequences, mask: TokenMask | None = None) -> Tensor:
        omega = mask.omega if isinstance(mask, MolFormerMask) else None
        batch = read_ids(batch, mask)
        x = dropout(self.embedding(batch.ids), self.dropout, self.training)
        blocks = cast(list[MolFormerBlock], list(self.blocks))
        turn = blocks[0].attn.turn(x, batch.offsets)
        for number, block in enumerate(blocks):
            x = block(x, batch.offsets, turn, None if omega is None else omega[number])
        return self.norm(x)


def new_attention(config: MolFormerConfig) -> Attention:
    """The attention of a layer."""
    if config.attention == "linear":
        return LinearAttention(config.dim, config.heads, config.features)
    return Attention(config.dim, config.heads, rotary=10000.0, dropout=config.dropout)


class UntiedHead(nn.Module):
    """Linear, GELU, layer norm, and a matrix of its own without bias: (T, C) -> (M, K) logits of the hidden tokens.

    Source: lm_layer in training/train_pubchem_light.py of MolFormer's code.
    """

    def __init__(self, dim: int, tokens: int) -> None:
        super().__init__()
        self.dense = nn.Linear(dim, dim)
        self.norm = nn.LayerNorm(dim)
        self.out = nn.Linear(dim, tokens, bias=False)

    def forward(self, latent: Tensor, inputs: Sequences, mask: TokenMask) -> Tensor:
        return self.logits(latent[mask.hidden_index])

    def logits(self, latent: Tensor) -> Tensor:
        """(N, C) -> (N, K), of all tokens that are given."""
        return self.out(self.norm(F.gelu(self.dense(latent))))


class MolFormer(MaskedLM):
    """Predict hidden tokens of SMILES strings with a transformer of linear attention.

    In training mode every mask brings random features of its own, so that a loss is a function of batch, mask and weights.
    In evaluation mode, and wherever no mask is given, the layers take the features that they were made with and that are
    saved with the weights; the official code draws new ones at every forward pass, also when it evaluates, so that its
    outputs never repeat.

    Args:
        config: sizes, tokens and mask; the defaults are the published model.

    Shapes: as :class:`~mmbio.models.masked_lm.MaskedLM`, over the tokens of the configuration.

    Source: Ross et al., "Large-Scale Chemical Language Representations Capture Molecular Structure and Properties", Nature
    Machine Intelligence 2022; training/train_pubchem_light.py of its code.
    """

    Config = MolFormerConfig
    encoder: MolFormerEncoder

    def __init__(self, config: MolFormerConfig) -> None:
        vocabulary = smiles_vocabulary(config.tokens)
        encoder = MolFormerEncoder(config, len(vocabulary))
        super().__init__(config, vocabulary, config.mask, encoder, UntiedHead(config.dim, len(vocabulary)))

    def draw_mask(self, batch: Sequences, randomness: Randomness = None) -> MolFormerMask:
        """Which tokens are hidden, and in training mode new random features, from the first sample's generator."""
        mask = super().draw_mask(batch, randomness)
        assert mask.offsets is not None
        omega = self.draw_features(one_generator(randomness)) if self.training else None
        return MolFormerMask(mask.hidden, mask.offsets, mask.written, omega)

    def draw_features(self, generator: torch.Generator | None = None) -> Tensor | None:
        """Random features of all layers: (layers, C / heads, F) on the CPU; None for exact attention."""
        config = self.config
        if config.attention == "exact":
            return None
        width = config.dim // config.heads
        return torch.stack([random_directions(width, config.features, generator) for _ in range(config.depth)])
