"""The post-norm transformer of BERT and its early followers, with any attention in its blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from torch import Tensor, nn

from core.dropout import dropout
from core.transformer import Mlp


class PostNormBlock(nn.Module):
    """norm(x + attention(x)), then norm(x + mlp(x)), each branch under dropout.

    Args:
        attention: module called as ``attention(x, offsets)``, such as :class:`core.attention.Attention`. What it takes as
            offsets is its own affair: windows, say.
        dim: width C.
        hidden: width of the MLP.
        eps: of both layer norms.
        dropout: of the output of the attention and of the MLP.

    Shapes: packed (T, C) with offsets (B + 1,) -> (T, C), or (B, N, C) without.

    Source: Vaswani et al., "Attention Is All You Need", Section 3.1; Devlin et al., "BERT", Appendix A.2.
    """

    def __init__(self, attention: nn.Module, dim: int, hidden: int, eps: float = 1e-5, dropout: float = 0.0) -> None:
        super().__init__()
        self.attn = attention
        self.norm1 = nn.LayerNorm(dim, eps=eps)
        self.mlp = Mlp(dim, hidden)
        self.norm2 = nn.LayerNorm(dim, eps=eps)
        self.dropout = dropout

    def forward(self, x: Tensor, offsets: Any = None) -> Tensor:
        x = self.norm1(x + dropout(self.attn(x, offsets), self.dropout, self.training))
        return self.norm2(x + dropout(self.mlp(x), self.dropout, self.training))


class PostNormTransformer(nn.Module):
    """A stack of post-norm blocks: ``forward(x, offsets=None)`` keeps the shape.

    ``layers(...)`` gives the output of each block.
    """

    def __init__(self, blocks: Sequence[PostNormBlock]) -> None:
        super().__init__()
        if not blocks:
            raise ValueError("a transformer has at least one block")
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor, offsets: Tensor | None = None) -> Tensor:
        return self.layers(x, offsets)[-1]

    def layers(self, x: Tensor, offsets: Tensor | None = None) -> list[Tensor]:
        """Outputs of all blocks in order."""
        outputs = []
        for block in cast(list[PostNormBlock], list(self.blocks)):
            x = block(x, offsets)
            outputs.append(x)
        return outputs
