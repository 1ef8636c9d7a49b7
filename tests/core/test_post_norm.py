"""The post-norm transformer against torch's own layer, on dense and packed tokens."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from core.attention import Attention
from core.post_norm import PostNormBlock, PostNormTransformer

DIM, HEADS = 8, 2


def stack(depth: int = 2, **settings: float) -> PostNormTransformer:
    torch.manual_seed(0)
    made = PostNormTransformer(
        [PostNormBlock(Attention(DIM, HEADS), DIM, 12, **settings) for _ in range(depth)]  # type: ignore[arg-type]
    )
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.ndim == 1:
                parameter += 0.2 * torch.randn_like(parameter)
    return made


def torchs(block: PostNormBlock) -> nn.TransformerEncoderLayer:
    """torch's layer with the weights of ours."""
    layer = nn.TransformerEncoderLayer(DIM, HEADS, 12, 0.0, "gelu", layer_norm_eps=block.norm1.eps, batch_first=True)
    attention = layer.self_attn
    pairs = (
        (attention.in_proj_weight, block.attn.qkv.weight),
        (attention.in_proj_bias, block.attn.qkv.bias),
        (attention.out_proj.weight, block.attn.proj.weight),
        (attention.out_proj.bias, block.attn.proj.bias),
        *zip(layer.linear1.parameters(), block.mlp.fc1.parameters(), strict=True),
        *zip(layer.linear2.parameters(), block.mlp.fc2.parameters(), strict=True),
        *zip(layer.norm1.parameters(), block.norm1.parameters(), strict=True),
        *zip(layer.norm2.parameters(), block.norm2.parameters(), strict=True),
    )
    with torch.no_grad():
        for theirs, ours in pairs:
            theirs.copy_(ours)
    return layer


@pytest.mark.parametrize("eps", [1e-5, 1e-12])
def test_it_is_torchs_layer(eps: float) -> None:
    ours, x = stack(eps=eps), torch.randn(3, 5, DIM)
    expected = x
    for block, output in zip(ours.blocks, ours.layers(x), strict=True):
        expected = torchs(block)(expected)  # type: ignore[arg-type]
        torch.testing.assert_close(output, expected)
    torch.testing.assert_close(ours(x), expected)


def test_packed_samples_are_what_they_are_alone() -> None:
    ours, x = stack(), torch.randn(9, DIM)
    together = ours(x, torch.tensor([0, 4, 5, 9]))
    for begin, end in ((0, 4), (4, 5), (5, 9)):
        torch.testing.assert_close(together[begin:end], ours(x[None, begin:end])[0])


def test_dropout_is_for_training() -> None:
    ours, x = stack(dropout=0.5), torch.randn(2, 3, DIM)
    torch.manual_seed(1)
    dropped = ours.train()(x)
    assert not torch.equal(dropped, ours(x))
    torch.manual_seed(1)
    assert torch.equal(ours(x), dropped)
    assert torch.equal(ours.eval()(x), ours(x))


def test_gradients_reach_every_parameter() -> None:
    ours = stack()
    ours(torch.randn(2, 3, DIM)).square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in ours.parameters())


def test_no_blocks() -> None:
    with pytest.raises(ValueError, match="at least one block"):
        PostNormTransformer([])
