"""The encoder of BERT and RoBERTa on packed sequences."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from core.attention import Attention
from core.dropout import dropout
from core.errors import UserError
from core.post_norm import PostNormBlock, PostNormTransformer
from mmbio.sequences import Sequences


class BertEncoder(nn.Module):
    """Embeddings of tokens, learned positions and kinds of tokens, a norm, a post-norm transformer.

    Args:
        tokens: number of token ids.
        kinds: number of kinds of tokens.
        dim: width C.
        depth, heads: of the transformer.
        hidden: width of its MLPs.
        positions: the most tokens of a sequence.
        eps: of all layer norms.
        dropout: of the embeddings, of attention weights, and of the outputs of attention and MLP.

    Shapes: ``forward(batch, kind)`` gives (T, C). ``kind`` is one number a token, (T,) int64, or None to add no kind.

    Raises:
        UserError: a sequence with more tokens than there are positions.

    Source: Devlin et al., "BERT", Section 3 and Figure 2.
    """

    def __init__(
        self,
        tokens: int,
        kinds: int,
        dim: int,
        depth: int,
        heads: int,
        hidden: int,
        positions: int,
        eps: float,
        dropout: float,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(tokens, dim)
        self.position = nn.Embedding(positions, dim)
        self.kind = nn.Embedding(kinds, dim)
        self.norm = nn.LayerNorm(dim, eps=eps)
        self.dropout = dropout
        self.transformer = PostNormTransformer(
            [PostNormBlock(Attention(dim, heads, dropout=dropout), dim, hidden, eps, dropout) for _ in range(depth)]
        )
        self.apply(init_bert)

    def embed(self, batch: Sequences, kind: Tensor | None) -> Tensor:
        """The transformer's input: (T, C)."""
        longest = int(batch.lengths.max()) if len(batch) else 0
        if longest > self.position.num_embeddings:
            raise UserError(
                f"a sequence of {longest} tokens; this model has {self.position.num_embeddings} positions: crop it, or take "
                "a model with rotary positions"
            )
        x = self.embedding(batch.ids) + self.position(batch.positions)
        if kind is not None:
            x = x + self.kind(kind)
        return dropout(self.norm(x), self.dropout, self.training)

    def forward(self, batch: Sequences, kind: Tensor | None) -> Tensor:
        return self.transformer(self.embed(batch, kind), batch.offsets)

    def layers(self, batch: Sequences, kind: Tensor | None) -> list[Tensor]:
        """The embeddings and the output of every layer: (T, C) each."""
        x = self.embed(batch, kind)
        return [x, *self.transformer.layers(x, batch.offsets)]

    def attention_maps(self, batch: Sequences, kind: Tensor | None) -> list[Tensor]:
        """Attention weights of all layers: (layers, heads, L, L) a sequence."""
        inputs = self.layers(batch, kind)[:-1]
        blocks = cast(list[PostNormBlock], list(self.transformer.blocks))
        maps = [cast(Attention, b.attn).weights(x, batch.offsets) for b, x in zip(blocks, inputs, strict=True)]
        return [torch.stack(layers) for layers in zip(*maps, strict=True)]


def init_bert(module: nn.Module) -> None:
    """Weights of linear layers and embeddings normal with deviation 0.02, biases 0, as BERT starts; for ``apply``."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
