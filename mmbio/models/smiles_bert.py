"""SMILES-BERT: a masked language model of molecules."""

from __future__ import annotations

from torch import Tensor, nn

from core.attention import Attention
from core.dropout import dropout
from core.post_norm import PostNormBlock, PostNormTransformer
from core.token_masks import TokenMask
from mmbio.config import SmilesBertConfig
from mmbio.layers.lm_head import LMHead
from mmbio.layers.sinusoids import sinusoids
from mmbio.models.masked_lm import MaskedLM, read_ids
from mmbio.molecules.vocabulary import SMILES_BERT, smiles_vocabulary
from mmbio.sequences import Sequences

FIRST_POSITION = 2  # fairseq counts from behind the id of the padding token, which is 1


class SmilesBertEncoder(nn.Module):
    """Scaled token embeddings with sines of the positions, and a post-norm transformer: (batch, mask) -> (T, C)."""

    def __init__(self, config: SmilesBertConfig, tokens: int) -> None:
        super().__init__()
        self.dropout = config.dropout
        self.embedding = nn.Embedding(tokens, config.dim)
        self.transformer = PostNormTransformer(
            [
                PostNormBlock(Attention(config.dim, config.heads), config.dim, config.hidden, dropout=config.dropout)
                for _ in range(config.depth)
            ]
        )
        nn.init.normal_(self.embedding.weight, std=config.dim**-0.5)
        for part in self.transformer.modules():
            if isinstance(part, nn.Linear):
                nn.init.xavier_uniform_(part.weight)
                nn.init.zeros_(part.bias)

    def forward(self, batch: Sequences, mask: TokenMask | None = None) -> Tensor:
        batch = read_ids(batch, mask)
        embedded = self.embedding(batch.ids)
        width = embedded.shape[1]
        x = embedded * width**0.5 + sinusoids(batch.positions + FIRST_POSITION, width).to(embedded.dtype)
        return self.transformer(dropout(x, self.dropout, self.training), offsets=batch.offsets)


class SmilesBert(MaskedLM):
    """Predict hidden tokens of SMILES strings with a transformer.

    Args:
        config: sizes, tokens and mask; the defaults are the sizes of the official code.

    Shapes: as :class:`~mmbio.models.masked_lm.MaskedLM`, over the tokens of the configuration.

    Source: Wang et al., "SMILES-BERT: Large Scale Unsupervised Pre-Training for Molecular Property Prediction", Section 3;
    fairseq/models/bert.py of its code (architecture bertsmall).
    """

    Config = SmilesBertConfig
    encoder: SmilesBertEncoder

    def __init__(self, config: SmilesBertConfig) -> None:
        vocabulary = SMILES_BERT if config.splitting == "characters" else smiles_vocabulary(config.tokens)
        encoder = SmilesBertEncoder(config, len(vocabulary))
        super().__init__(config, vocabulary, config.mask, encoder, LMHead(config.dim, encoder.embedding))
