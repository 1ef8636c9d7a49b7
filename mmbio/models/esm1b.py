"""ESM-1b: a masked language model of proteins with learned positions."""

from __future__ import annotations

from torch import Tensor, nn

from core.errors import UserError
from core.token_masks import TokenMask
from core.transformer import Transformer
from mmbio.config import ESM1bConfig
from mmbio.layers.lm_head import LMHead
from mmbio.layers.token_dropout import token_dropout
from mmbio.models.esm2 import init_attention
from mmbio.models.masked_lm import MaskedLM, read_ids
from mmbio.proteins.alphabet import ESM
from mmbio.sequences import Sequences


class ESM1bEncoder(nn.Module):
    """Token embeddings with token dropout, learned positions, a norm, a pre-norm transformer, a norm: (batch, mask) -> (T, C)."""

    def __init__(self, config: ESM1bConfig) -> None:
        super().__init__()
        self.longest = config.positions
        self.token_dropout = config.token_dropout
        self.embedding = nn.Embedding(len(ESM), config.dim)
        self.position = nn.Embedding(config.positions, config.dim)
        self.norm_before = nn.LayerNorm(config.dim) if config.norm_before else nn.Identity()
        self.transformer = Transformer(config.dim, config.depth, config.heads, checkpointing=config.checkpointing)
        for table in (self.embedding, self.position):
            nn.init.normal_(table.weight, std=config.dim**-0.5)
        init_attention(self.transformer)

    def embed(self, batch: Sequences) -> Tensor:
        """The transformer's input: (T, C)."""
        if len(batch) and int(batch.lengths.max()) > self.longest:
            raise UserError(
                f"a sequence of {int(batch.lengths.max())} tokens; this model has {self.longest} positions: "
                "crop it, or take a model with rotary positions"
            )
        x = self.embedding(batch.ids)
        if self.token_dropout:
            x = token_dropout(x, batch, ESM.mask_id)
        return self.norm_before(x + self.position(batch.positions))

    def forward(self, batch: Sequences, mask: TokenMask | None = None) -> Tensor:
        batch = read_ids(batch, mask)
        return self.transformer(self.embed(batch), offsets=batch.offsets)


class ESM1b(MaskedLM):
    """Predict hidden residues with a transformer whose positions are learned.

    Args:
        config: sizes and mask; the defaults are the published model of 650 million parameters.

    Shapes: as :class:`~mmbio.models.masked_lm.MaskedLM`, over the alphabet :data:`~mmbio.proteins.alphabet.ESM`.

    Raises:
        UserError: a sequence with more tokens than there are positions.

    Source: Rives et al., "Biological structure and function emerge from scaling unsupervised learning to 250 million
    protein sequences", PNAS 2021; esm/model/esm1.py of fair-esm.
    """

    Config = ESM1bConfig
    encoder: ESM1bEncoder

    def __init__(self, config: ESM1bConfig) -> None:
        encoder = ESM1bEncoder(config)
        super().__init__(config, ESM, config.mask, encoder, LMHead(config.dim, encoder.embedding))
        self.longest = config.positions

    def attention_maps(self, batch: Sequences) -> list[Tensor]:
        """Attention weights of all layers, nothing hidden: (layers, heads, L, L) a sequence, begin and end included."""
        return self.encoder.transformer.attention_maps(self.encoder.embed(batch), batch.offsets)
