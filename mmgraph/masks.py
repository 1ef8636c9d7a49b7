"""Masks on graphs: which nodes are hidden, and what stands in their place."""

from __future__ import annotations

import torch
from torch import Tensor

from core.masking import Mask, count_hidden
from core.random import Randomness


class NodeMask(Mask):
    """Hidden nodes of a batch of graphs. Of these most get a token, some the features of another node.

    A hidden node that is in neither keeps its own features; it is scored all the same.

    Args:
        hidden: (T,) bool.
        offsets: (B + 1,) int64.
        token: (K,) int64, hidden nodes whose features become the token.
        noise: (R,) int64, hidden nodes whose features become those of ``noise_source`` (R,).
        kept: (E,) bool, the edges that the encoder sees; None for all.
    """

    def __init__(
        self,
        hidden: Tensor,
        offsets: Tensor,
        token: Tensor,
        noise: Tensor,
        noise_source: Tensor,
        kept: Tensor | None = None,
    ) -> None:
        super().__init__(hidden, offsets)
        self.token = token
        self.noise = noise
        self.noise_source = noise_source
        self.kept = kept

    def to(self, device: torch.device | str) -> NodeMask:
        hidden, offsets, token, noise, source = (
            t.to(device) for t in (self.hidden, self._offsets, self.token, self.noise, self.noise_source)
        )
        return NodeMask(hidden, offsets, token, noise, source, move(self.kept, device))

    @property
    def _offsets(self) -> Tensor:
        assert self.offsets is not None
        return self.offsets


def mask_nodes(offsets: Tensor, ratio: float, replace: float = 0.0, randomness: Randomness = None) -> NodeMask:
    """Hide uniformly chosen nodes of a whole batch, and replace some of them by random nodes.

    Args:
        offsets: (B + 1,) int64, where the nodes of each graph start.
        ratio: share of all nodes together; a single graph may hide more or fewer.
        replace: share of the hidden nodes that get the features of a random node, which may be hidden itself.
        randomness: one CPU generator, one a graph (the first is used, since the draw is the batch's), or None.

    Returns:
        A mask on the CPU. Both shares of the hidden nodes are rounded down, so one node may keep its features. A batch of
        a single node hides nothing and has no loss.

    Raises:
        ValueError: a ratio outside [0, 1).

    Source: Hou et al., "GraphMAE", Section 3.2; edcoder.py of its official code.
    """
    total = int(offsets[-1])
    source = batch_generator(randomness)
    chosen = torch.randperm(total, generator=source)[: count_hidden(total, ratio)]
    order = chosen[torch.randperm(len(chosen), generator=source)]
    noise = int(replace * len(chosen))
    hidden = torch.zeros(total, dtype=torch.bool)
    hidden[chosen] = True
    return NodeMask(
        hidden,
        offsets.cpu(),
        order[: int((1 - replace) * len(chosen))],
        order[len(order) - noise :],
        torch.randperm(total, generator=source)[:noise],
    )


def batch_generator(randomness: Randomness) -> torch.Generator | None:
    """The generator of draws that are a whole batch's: the first, where there is one a graph."""
    return randomness if randomness is None or isinstance(randomness, torch.Generator) else randomness[0]


def move(tensor: Tensor | None, device: torch.device | str) -> Tensor | None:
    """A tensor that may be missing, on another device."""
    return None if tensor is None else tensor.to(device)
