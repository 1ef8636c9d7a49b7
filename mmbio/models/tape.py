"""TAPE's transformer: BERT on proteins."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from core.token_masks import TokenMask
from mmbio.config import TapeConfig
from mmbio.layers.bert import BertEncoder, init_bert
from mmbio.layers.lm_head import LMHead
from mmbio.models.masked_lm import MaskedLM, read_ids
from mmbio.proteins.alphabet import IUPAC
from mmbio.sequences import Sequences

EPS = 1e-12


class TapeEncoder(nn.Module):
    """BERT's encoder with a single kind of token: (batch, mask) -> (T, C)."""

    def __init__(self, config: TapeConfig) -> None:
        super().__init__()
        c = config
        self.bert = BertEncoder(len(IUPAC), 1, c.dim, c.depth, c.heads, c.hidden, c.positions, EPS, c.dropout)

    def forward(self, batch: Sequences, mask: TokenMask | None = None) -> Tensor:
        batch = read_ids(batch, mask)
        return self.bert(batch, torch.zeros_like(batch.ids))


class Tape(MaskedLM):
    """Predict hidden residues with BERT.

    The pooler is what the official tasks a sequence read. Masked language modeling does not train it, so its weights are
    frozen here until something downstream trains them; :meth:`embed` is the mean over residues as for the other models.

    Args:
        config: sizes and mask; the defaults are the published model of 92 million parameters.

    Shapes: as :class:`~mmbio.models.masked_lm.MaskedLM`, over the alphabet :data:`~mmbio.proteins.alphabet.IUPAC`.

    Raises:
        UserError: a sequence with more tokens than there are positions.

    Source: Rao et al., "Evaluating Protein Transfer Learning with TAPE", NeurIPS 2019; tape/models/modeling_bert.py of
    songlab-cal/tape.
    """

    Config = TapeConfig
    encoder: TapeEncoder

    def __init__(self, config: TapeConfig) -> None:
        encoder = TapeEncoder(config)
        head = LMHead(config.dim, encoder.bert.embedding, EPS)
        super().__init__(config, IUPAC, config.mask, encoder, head)
        init_bert(head.dense)
        self.pooler = nn.Linear(config.dim, config.dim)
        init_bert(self.pooler)
        self.pooler.requires_grad_(False)
        self.longest = config.positions

    def pooled(self, batch: Sequences) -> Tensor:
        """Features of sequences from the first token: (B, C)."""
        return torch.tanh(self.pooler(self.encode(batch)[batch.offsets[:-1]]))

    def hidden_states(self, batch: Sequences) -> list[Tensor]:
        """The embeddings and the output of every layer: (T, C) each."""
        return self.encoder.bert.layers(batch, torch.zeros_like(batch.ids))

    def attention_maps(self, batch: Sequences) -> list[Tensor]:
        """Attention weights of all layers, nothing hidden: (layers, heads, L, L) a sequence, begin and end included."""
        return self.encoder.bert.attention_maps(batch, torch.zeros_like(batch.ids))
