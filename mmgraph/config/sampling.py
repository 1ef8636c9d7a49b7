"""Settings of subgraph sampling."""

from __future__ import annotations

from dataclasses import dataclass

FEWEST = 4  # roots: an epoch is dealt evenly, so that every sample keeps at least two of them


@dataclass
class SamplingConfig:
    """Subgraphs of one large graph. By default the graph is trained on as a whole."""

    roots: int = 0
    """Nodes that one training subgraph is drawn around (train.batch_size subgraphs a step); 0 for the whole graph."""
    fanouts: tuple[int, ...] = (10, 10)
    """Neighbours drawn for every node, layer by layer from the roots on; -1 for all."""

    def __post_init__(self) -> None:
        if self.roots != 0 and self.roots < FEWEST:
            raise ValueError(f"roots {self.roots}: expected 0 for the whole graph, or at least {FEWEST}")
        if not self.fanouts or any(fanout < 1 and fanout != -1 for fanout in self.fanouts):
            raise ValueError(f"fanouts {list(self.fanouts)}: expected numbers of at least 1, or -1 for all neighbours")
