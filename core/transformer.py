"""The pre-norm transformer that is encoder and decoder of every dense or packed system here."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from core.attention import Attention
from core.dropout import dropout
from core.rotary import Rotation


class StochasticDepth(nn.Module):
    """Drop a residual branch for whole samples with probability ``rate`` in training, and scale up what stays.

    Shapes: (B, ...) -> (B, ...), or (T, ...) with ``offsets`` (B + 1,) where samples are packed.

    Source: Huang et al., "Deep Networks with Stochastic Depth", Section 3.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        if not 0 <= rate < 1:
            raise ValueError(f"a drop rate is in [0, 1), got {rate}")
        self.rate = rate

    def forward(self, x: Tensor, offsets: Tensor | None = None) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        samples = len(x) if offsets is None else len(offsets) - 1
        keep = x.new_empty(samples).bernoulli_(1 - self.rate) / (1 - self.rate)
        if offsets is not None:
            keep = keep.repeat_interleave(offsets.diff())
        return x * keep.view(-1, *[1] * (x.ndim - 1))


class Mlp(nn.Module):
    """Linear, GELU, linear: (..., C) -> (..., C)."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)), each branch under dropout and stochastic depth.

    Source: Vaswani et al. 2017, Section 3.1, in the pre-norm order of Xiong et al. 2020, Figure 1b.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        mlp_ratio: float,
        qkv_bias: bool,
        drop_path: float,
        rotary: float | None,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attn = Attention(dim, heads, qkv_bias, rotary, attention_dropout)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, int(dim * mlp_ratio))
        self.drop_path = StochasticDepth(drop_path)
        self.dropout = dropout

    def forward(
        self,
        x: Tensor,
        offsets: Tensor | None = None,
        last: int | None = None,
        bias: Tensor | None = None,
        turn: Rotation | None = None,
    ) -> Tensor:
        mixed = self._drop(self.attn(self.norm1(x), offsets, last, bias, turn))
        x = (x if last is None else x[:, -last:]) + self.drop_path(mixed, offsets)
        return x + self.drop_path(self._drop(self.mlp(self.norm2(x))), offsets)

    def _drop(self, x: Tensor) -> Tensor:
        return dropout(x, self.dropout, self.training)


class Transformer(nn.Module):
    """A stack of pre-norm blocks and a final norm; encoder and decoder alike.

    Args:
        dim: width C.
        depth: number of blocks.
        heads: attention heads.
        mlp_ratio: hidden width of the MLP as a multiple of C.
        qkv_bias: bias of query, key and value projections.
        drop_path: stochastic depth of the last block; earlier ones grow linearly from 0.
        rotary: base of rotary embeddings, None for none.
        dropout: of the output of every attention and every MLP.
        attention_dropout: of the attention weights.
        checkpointing: in training, keep only the inputs of blocks and compute the rest again in the backward pass.

    Shapes: ``forward(x, position=None, offsets=None)``: (B, N, C) -> (B, N, C), packed (T, C) with offsets -> (T, C).
    ``position``, shaped like x, is added to the input of *every* block, as the Point-BERT family does; add it to x
    yourself for the usual once. With ``last=n`` the outputs of a dense batch's last n tokens are given, (B, n, C), and the
    last block computes no others. ``bias`` goes to the attention of every block (:class:`core.attention.Attention`).
    ``layers(...)`` yields the output of each block, before the final norm.
    """

    def __init__(
        self,
        dim: int,
        depth: int,
        heads: int,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = True,
        drop_path: float = 0.0,
        rotary: float | None = None,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        checkpointing: bool = False,
    ) -> None:
        super().__init__()
        if depth < 1:
            raise ValueError(f"a transformer has at least one block, got depth {depth}")
        rates = torch.linspace(0, drop_path, depth, device="cpu").tolist()  # so that a model can be built on meta
        self.blocks = nn.ModuleList(
            Block(dim, heads, mlp_ratio, qkv_bias, rate, rotary, dropout, attention_dropout) for rate in rates
        )
        self.norm = nn.LayerNorm(dim)
        self.checkpointing = checkpointing

    @property
    def layer_stack(self) -> list[Block]:
        """The blocks in order."""
        return cast(list[Block], list(self.blocks))

    def forward(
        self,
        x: Tensor,
        position: Tensor | None = None,
        offsets: Tensor | None = None,
        last: int | None = None,
        bias: Tensor | None = None,
    ) -> Tensor:
        return self.norm(self.layers(x, position, offsets, last, bias)[-1])

    def layers(
        self,
        x: Tensor,
        position: Tensor | None = None,
        offsets: Tensor | None = None,
        last: int | None = None,
        bias: Tensor | None = None,
    ) -> list[Tensor]:
        """Outputs of all blocks in order, each shaped like x but for the last one under ``last``, not normalised."""
        outputs = []
        turn = self.layer_stack[0].attn.turn(x, offsets)  # of positions, the same in every block
        for number, block in enumerate(self.layer_stack, 1):
            final = number == len(self.blocks)
            given = (x if position is None else x + position, offsets, last if final else None, bias, turn)
            x = (
                checkpoint(block, *given, use_reentrant=False)
                if self.checkpointing and self.training
                else block(*given)
            )
            outputs.append(x)
        return outputs

    def attention_maps(self, x: Tensor, offsets: Tensor) -> list[Tensor]:
        """Attention weights of all blocks on packed tokens: (blocks, H, N, N) a sample."""
        turn = self.layer_stack[0].attn.turn(x, offsets)
        maps = []
        for block in self.layer_stack:
            maps.append(block.attn.weights(block.norm1(x), offsets, turn))
            x = block(x, offsets, turn=turn)
        return [torch.stack(layers) for layers in zip(*maps, strict=True)]
