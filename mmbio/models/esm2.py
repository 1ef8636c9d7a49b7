"""ESM-2: a masked language model of proteins with rotary positions."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from core.masked_model import Objective
from core.token_masks import TokenMask
from core.transformer import Transformer
from mmbio.config import ESM2Config
from mmbio.layers.lm_head import LMHead
from mmbio.layers.token_dropout import token_dropout
from mmbio.models.masked_lm import MaskedLM, read_ids
from mmbio.proteins.alphabet import ESM
from mmbio.sequences import Sequences


class ESM2Encoder(nn.Module):
    """Token embeddings with token dropout, a pre-norm transformer with rotary positions, a norm: (batch, mask) -> (T, C)."""

    def __init__(self, config: ESM2Config) -> None:
        super().__init__()
        self.token_dropout = config.token_dropout
        self.embedding = nn.Embedding(len(ESM), config.dim)
        self.transformer = Transformer(
            config.dim, config.depth, config.heads, rotary=10000.0, checkpointing=config.checkpointing
        )
        nn.init.normal_(self.embedding.weight, std=config.dim**-0.5)
        init_attention(self.transformer)

    def embed(self, batch: Sequences) -> Tensor:
        """The transformer's input: (T, C)."""
        x = self.embedding(batch.ids)
        return token_dropout(x, batch, ESM.mask_id) if self.token_dropout else x

    def forward(self, batch: Sequences, mask: TokenMask | None = None) -> Tensor:
        batch = read_ids(batch, mask)
        return self.transformer(self.embed(batch), offsets=batch.offsets)


class ESM2(MaskedLM):
    """Predict hidden residues with a transformer that knows where they stand by rotations of queries and keys.

    Embeddings start at a deviation of C ** -0.5, so that the tied head's first logits are of size one; the official
    training code, and with it what was done there, was not released. Attention starts as in the released modules.

    Args:
        config: sizes and mask; the defaults are the model of 8 million parameters.
        more: further objectives by name, of systems that are built on it.

    Shapes: as :class:`~mmbio.models.masked_lm.MaskedLM`, over the alphabet :data:`~mmbio.proteins.alphabet.ESM`.

    Source: Lin et al., "Evolutionary-scale prediction of atomic-level protein structure with a language model", Science
    2023, Appendix A.1; esm/model/esm2.py of fair-esm.
    """

    Config = ESM2Config
    encoder: ESM2Encoder

    def __init__(self, config: ESM2Config, more: Mapping[str, Objective] | None = None) -> None:
        encoder = ESM2Encoder(config)
        super().__init__(config, ESM, config.mask, encoder, LMHead(config.dim, encoder.embedding), more)

    def attention_maps(self, batch: Sequences) -> list[Tensor]:
        """Attention weights of all layers, nothing hidden: (layers, heads, L, L) a sequence, begin and end included."""
        return self.encoder.transformer.attention_maps(self.encoder.embed(batch), batch.offsets)


def init_attention(transformer: Transformer) -> None:
    """Uniform weights of Glorot's scale, for queries, keys and values divided by the root of 2, as fair-esm's modules start.

    Source: reset_parameters in esm/multihead_attention.py of fair-esm.
    """
    for block in transformer.layer_stack:
        for part in block.attn.qkv.weight.chunk(3):
            nn.init.xavier_uniform_(part, gain=2**-0.5)
        nn.init.xavier_uniform_(block.attn.proj.weight)
        nn.init.zeros_(block.attn.proj.bias)
