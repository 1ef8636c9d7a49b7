"""AbBERT: a masked language model of antibodies that hides residues of their loops."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from core.errors import UserError
from core.token_masks import TokenMask
from mmbio.config import AbBERTConfig
from mmbio.layers.bert import BertEncoder, init_bert
from mmbio.layers.lm_head import LMHead
from mmbio.models.masked_lm import MaskedLM, read_ids
from mmbio.proteins.alphabet import ABBERT
from mmbio.sequences import Sequences

TAGS = ("<s>", "<pad>", "</s>", "<unk>", "0", "3", "1", "2")
"""The official order of tags: those of begin and end, of the framework, and of the loops."""
EPS = 1e-5


class AbBERTEncoder(nn.Module):
    """BERT's encoder with the region of every token as its kind: (batch, mask) -> (T, C)."""

    def __init__(self, config: AbBERTConfig) -> None:
        super().__init__()
        c = config
        self.bert = BertEncoder(len(ABBERT), len(TAGS), c.dim, c.depth, c.heads, c.hidden, c.positions, EPS, c.dropout)

    def tags(self, batch: Sequences) -> Tensor:
        """(T,) int64 rows of :data:`TAGS`; residues of a batch without regions are framework.

        Raises:
            UserError: a region above 3.
        """
        regions = torch.zeros_like(batch.ids) if batch.regions is None else batch.regions.long()
        if len(regions) and int(regions.max()) > 3:
            raise UserError(
                f"a residue in region {int(regions.max())}; AbBERT knows 0 (framework), 1, 2 and 3 (its loops)"
            )
        rows = torch.tensor([TAGS.index(digit) for digit in "0123"], device=batch.ids.device)
        tags = rows[regions]
        assert ABBERT.begin is not None
        assert ABBERT.end is not None
        for token in (ABBERT.begin, ABBERT.end):
            tags = torch.where(batch.ids == ABBERT.ids[token], TAGS.index(token), tags)
        return tags

    def forward(self, batch: Sequences, mask: TokenMask | None = None) -> Tensor:
        batch = read_ids(batch, mask)
        return self.bert(batch, self.tags(batch))


class AbBERT(MaskedLM):
    """Predict hidden residues of an antibody's loops with BERT, which is told where the loops are.

    Half of the residues of CDR 1 to 3 are hidden, nothing of the framework. The others keep their place and their token:
    the released code turns residues of loops that were not chosen, and those that should stay, into padding.

    Args:
        config: sizes and mask; the defaults are the published model of 86 million parameters.

    Shapes: as :class:`~mmbio.models.masked_lm.MaskedLM`, over the alphabet :data:`~mmbio.proteins.alphabet.ABBERT`; a batch
    has ``regions``, 0 for the framework and 1, 2, 3 for the loops. Of a batch without regions all residues are framework.

    Raises:
        UserError: a sequence with more tokens than there are positions; a region above 3; a mask of regions for a batch
            without them.

    Source: Gao et al., "Pre-training Antibody Language Models for Antigen-Specific Computational Antibody Design", KDD 2023,
    Section 3.2; fairseq_models/models/ab_roberta_base.py of KyGao/ABGNN.
    """

    Config = AbBERTConfig
    encoder: AbBERTEncoder

    def __init__(self, config: AbBERTConfig) -> None:
        encoder = AbBERTEncoder(config)
        head = LMHead(config.dim, encoder.bert.embedding, EPS)
        super().__init__(config, ABBERT, config.mask, encoder, head)
        init_bert(head.dense)
        self.longest = config.positions

    def attention_maps(self, batch: Sequences) -> list[Tensor]:
        """Attention weights of all layers, nothing hidden: (layers, heads, L, L) a sequence, begin and end included."""
        return self.encoder.bert.attention_maps(batch, self.encoder.tags(batch))
