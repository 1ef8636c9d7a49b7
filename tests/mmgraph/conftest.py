"""Small graphs that the tests of mmgraph share."""

from __future__ import annotations

import pytest
import torch

from mmgraph.graph import Graphs


@pytest.fixture
def square() -> Graphs:
    """Two graphs: a square with a diagonal, directed edges given both ways and a self-loop; and two lonely nodes."""
    one_way = torch.tensor([[0, 1, 2, 3, 0], [1, 2, 3, 0, 2]])
    edges = torch.cat([one_way, one_way.flip(0), torch.tensor([[1], [1]])], 1)
    x = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
    return Graphs(x, edges, torch.tensor([0, 4, 6]))
