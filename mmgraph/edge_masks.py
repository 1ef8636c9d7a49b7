"""Masks on the edges of graphs: which ones the encoder does not see, which are to be predicted, and what they are told from."""

from __future__ import annotations

import torch
from torch import Tensor

from core.masking import Mask, check_ratio, count_hidden
from core.random import Randomness
from mmgraph.graph import Graphs
from mmgraph.masks import batch_generator
from mmgraph.non_edges import draw_non_edges


class EdgeMask(Mask):
    """Edges that the encoder does not see, those it has to tell from pairs that are no edges, and these pairs.

    Args:
        hidden: (E,) bool over the batch's directed edges: not seen by the encoder.
        offsets: (B + 1,) int64, where the edges of each graph start.
        drawn: (E,) bool, edges the mask has drawn. They are the hidden ones, but for the released masks of MaskGAE,
            which leave some of them visible.
        scored: (M,) int64, the drawn edges that are predicted.
        negatives: (2, N) int64, pairs that are no edges.
    """

    def __init__(self, hidden: Tensor, offsets: Tensor, drawn: Tensor, scored: Tensor, negatives: Tensor) -> None:
        super().__init__(hidden, offsets)
        self.drawn = drawn
        self.scored = scored
        self.negatives = negatives

    def to(self, device: torch.device | str) -> EdgeMask:
        assert self.offsets is not None
        moved = (t.to(device) for t in (self.hidden, self.offsets, self.drawn, self.scored, self.negatives))
        return EdgeMask(*moved)

    def pairs(self, graphs: Graphs) -> Tensor:
        """(2, M + N) nodes of the scored edges, and then of the pairs that are none."""
        return torch.cat([graphs.edge_index[:, self.scored], self.negatives], 1)

    @property
    def labels(self) -> Tensor:
        """(M + N,) float32, one for edges, zero for pairs that are none."""
        return (
            torch.arange(len(self.scored) + self.negatives.shape[1], device=self.scored.device) < len(self.scored)
        ).float()

    def degrees(self, graphs: Graphs) -> Tensor:
        """(T,) float32, how many of the drawn edges end in each node."""
        ends = graphs.edge_index[1, self.drawn]
        return torch.bincount(ends, minlength=len(graphs.x)).float()


def mask_edges(graphs: Graphs, ratio: float, randomness: Randomness = None, limit: int | None = None) -> EdgeMask:
    """Hide a share of the edges, uniformly chosen, each in both directions.

    Args:
        graphs: a batch; self-loops are never hidden, copies of an edge are hidden together.
        ratio: share of the undirected edges of the whole batch, rounded down, at least one.
        randomness: one CPU generator, one a graph (the first is used, since the draw is the batch's), or None.
        limit: at most so many hidden edges are predicted; None for all. As many pairs that are none are drawn.

    A batch of fewer than two undirected edges hides nothing and has no loss.

    Raises:
        ValueError: a ratio outside [0, 1).

    Source: Tan et al., "MGAE", Section 3.2; Li et al., "MaskGAE", Section 4.1 (edge-wise random masking).
    """
    source = batch_generator(randomness)
    pair, keys = graphs.pairs
    count = len(keys)
    hide = count_hidden(count, ratio)
    chosen = torch.zeros(count + 1, dtype=torch.bool)  # the last is that of self-loops
    chosen[torch.randperm(count, generator=source)[:hide]] = True
    drawn = chosen[pair]
    return _scored(graphs, drawn, drawn, source, limit)


def mask_paths(
    graphs: Graphs,
    ratio: float,
    length: int,
    start: str = "node",
    randomness: Randomness = None,
    limit: int | None = None,
) -> EdgeMask:
    """Hide the edges that random walks pass, each in both directions.

    Args:
        ratio: share of the nodes (``start`` "node") or of the directed edges, by their sources ("edge"), where a walk
            begins. What share of the edges is hidden depends on the graph.
        length: steps of a walk; it ends where no edge leads on.
        randomness, limit: as in :func:`mask_edges`.

    At least one edge is hidden and one stays; a batch of fewer than two hides nothing and has no loss.

    Raises:
        ValueError: a ratio outside [0, 1], another start, or a negative length.

    Source: Li et al., "MaskGAE", Section 4.1 (path-wise random masking).
    """
    source = batch_generator(randomness)
    pair, keys = graphs.pairs
    count = len(keys)
    walked = _walk(graphs, ratio, length, start, source)
    chosen = torch.zeros(count + 1, dtype=torch.bool)
    chosen[pair[walked]] = True
    chosen[count] = False
    if count < 2:
        chosen[:] = False
    elif int(chosen.sum()) in (0, count):  # walks that pass no edge hide one, walks that pass all leave one
        one = int(torch.randint(count, (), generator=source))
        chosen[one] = not bool(chosen[one])
    drawn = chosen[pair]
    return _scored(graphs, drawn, drawn, source, limit)


def mask_edges_as_released(
    graphs: Graphs, ratio: float, randomness: Randomness = None, limit: int | None = None
) -> EdgeMask:
    """Draw each directed edge by itself; it stays visible where its reverse is not drawn. This leaks: use it to compare.

    Raises:
        ValueError: a ratio outside [0, 1).

    Source: maskgae/mask.py (MaskEdge) of the official code, at p = 0.7: three in ten of the predicted edges are visible.
    """
    check_ratio(ratio)
    source = batch_generator(randomness)
    loops = (graphs.edge_index[0] == graphs.edge_index[1]).cpu()
    drawn = (torch.rand(len(loops), generator=source) < ratio) & ~loops
    return _scored(graphs, drawn & _reverse_in(graphs, drawn), drawn, source, limit)


def mask_paths_as_released(
    graphs: Graphs,
    ratio: float,
    length: int,
    start: str = "node",
    randomness: Randomness = None,
    limit: int | None = None,
) -> EdgeMask:
    """Draw the directed edges that walks pass; each stays visible where its reverse is not drawn. This leaks.

    Raises:
        ValueError: as :func:`mask_paths`.

    Source: maskgae/mask.py (MaskPath) of the official code.
    """
    source = batch_generator(randomness)
    drawn = torch.zeros(graphs.edge_index.shape[1], dtype=torch.bool)
    drawn[_walk(graphs, ratio, length, start, source)] = True
    drawn &= (graphs.edge_index[0] != graphs.edge_index[1]).cpu()
    return _scored(graphs, drawn & _reverse_in(graphs, drawn), drawn, source, limit)


def _scored(
    graphs: Graphs, hidden: Tensor, drawn: Tensor, source: torch.Generator | None, limit: int | None
) -> EdgeMask:
    scored = drawn.nonzero().squeeze(1)
    if limit is not None and len(scored) > limit:
        scored = scored[torch.randperm(len(scored), generator=source)[:limit]]
    return EdgeMask(hidden, graphs.edge_offsets.cpu(), drawn, scored, draw_non_edges(graphs, len(scored), source))


def _reverse_in(graphs: Graphs, drawn: Tensor) -> Tensor:
    """(E,) bool: the same edge the other way round is drawn as well, or is not in the graph."""
    source, target = graphs.edge_index.cpu()
    nodes = len(graphs.x)
    kept = (source * nodes + target)[~drawn]
    return ~torch.isin(target * nodes + source, kept)


def _walk(graphs: Graphs, ratio: float, length: int, start: str, source: torch.Generator | None) -> Tensor:
    """Directed edges, with repeats, that random walks pass."""
    if not 0 <= ratio <= 1:
        raise ValueError(f"walks begin at a share in [0, 1] of all, got {ratio}")
    if start not in ("node", "edge") or length < 0:
        raise ValueError(f"walks of {length} steps from {start!r}; expected some steps from 'node' or 'edge'")
    out, order, first = graphs.outgoing
    if start == "edge":
        at = out[torch.rand(len(out), generator=source) <= ratio]
    else:
        nodes = len(graphs.x)
        at = torch.randperm(nodes, generator=source)[: round(nodes * ratio)]
    targets = graphs.edge_index[1].cpu()
    passed = []
    for _ in range(length):
        degree = first[at + 1] - first[at]
        at, degree = at[degree > 0], degree[degree > 0]
        step = (torch.rand(len(at), generator=source, dtype=torch.float64) * degree).long()
        edge = order[first[at] + torch.minimum(step, degree - 1)]
        passed.append(edge)
        at = targets[edge]
    return torch.cat(passed) if passed else torch.empty(0, dtype=torch.int64)
