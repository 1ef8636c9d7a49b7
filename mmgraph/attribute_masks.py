"""Masks on graphs with categories: nodes are hidden, and edges that touch them."""

from __future__ import annotations

from fractions import Fraction

import torch
from torch import Tensor

from core.masking import Mask, check_ratio, counted_mask_packed
from core.random import Randomness
from mmgraph.graph import Graphs


class AttributeMask(Mask):
    """Hidden nodes and hidden edges of a batch of graphs; all that is known of them is that they are there.

    Args:
        hidden: (T,) bool, nodes.
        offsets: (B + 1,) int64.
        edges: (H,) int64 ascending, hidden edges by their place among the batch's edges.
        scored: (S,) int64 ascending, those of the hidden edges that are predicted.
    """

    def __init__(self, hidden: Tensor, offsets: Tensor, edges: Tensor, scored: Tensor) -> None:
        super().__init__(hidden, offsets)
        self.edges = edges
        self.scored = scored

    def to(self, device: torch.device | str) -> AttributeMask:
        assert self.offsets is not None
        moved = (t.to(device) for t in (self.hidden, self.offsets, self.edges, self.scored))
        return AttributeMask(*moved)


def count_attributes(nodes: int, ratio: float) -> int:
    """How many of a graph's nodes are hidden: int(nodes * ratio + 1), but one stays visible where there are two.

    The ratio is read as the decimal that was written. A graph of a single node hides it.

    Source: MaskAtom in chem/util.py of pretrain-gnns, which would hide all nodes where nodes * (1 - ratio) <= 1.
    """
    return min(int(nodes * Fraction(str(ratio)) + 1), max(nodes - 1, 1))


def mask_attributes(graphs: Graphs, ratio: float, edges: bool = False, randomness: Randomness = None) -> AttributeMask:
    """Hide uniformly chosen nodes of every graph, and with ``edges`` every edge that touches one, in both directions.

    An edge that is there in both directions with the same categories is scored once, at its first place; one whose
    directions differ is scored in each. Self-loops have nothing that is seen, so they are neither hidden nor scored.

    Args:
        graphs: a batch; it is not written to.
        ratio: share of each graph's nodes; the count is :func:`count_attributes`.
        edges: hide edges as well.
        randomness: one CPU generator, one a graph, or None for torch's default.

    Returns:
        A mask on the CPU.

    Raises:
        ValueError: a graph without nodes, or a ratio outside [0, 1).

    Source: Hu et al., "Strategies for Pre-training Graph Neural Networks", Section 3.1.2; MaskAtom in chem/util.py of its
    official code.
    """
    check_ratio(ratio)
    lengths = graphs.offsets.diff().tolist()
    nodes = counted_mask_packed(lengths, [count_attributes(n, ratio) for n in lengths], randomness)
    assert nodes.offsets is not None
    none = torch.zeros(0, dtype=torch.int64)
    touched = touching_edges(graphs.edge_index.cpu(), nodes.hidden) if edges else none
    attributes = graphs.edge_attr
    scored = first_of_pairs(graphs.edge_index.cpu(), attributes.cpu(), touched) if attributes is not None else none
    return AttributeMask(nodes.hidden, nodes.offsets, touched, scored)


def touching_edges(edge_index: Tensor, hidden: Tensor) -> Tensor:
    """Places of the edges between two nodes of which at least one is hidden: (H,) int64 ascending."""
    source, target = edge_index
    return ((hidden[source] | hidden[target]) & (source != target)).nonzero().squeeze(1)


def first_of_pairs(edge_index: Tensor, attributes: Tensor, places: Tensor) -> Tensor:
    """Of some edges (H,) those that no earlier one between the same two nodes, in any direction, equals: (S,) int64."""
    if len(places) == 0:
        return places
    ends = edge_index[:, places].sort(0).values.t()
    _, kind = torch.cat([ends, attributes[places]], 1).unique(dim=0, return_inverse=True)
    first = torch.full((int(kind.max()) + 1,), len(places)).scatter_reduce(0, kind, torch.arange(len(places)), "amin")
    return places[first.sort().values]
