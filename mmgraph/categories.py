"""Categories of nodes and edges: how many there are, whether a model knows them, and as plain features."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from core.errors import UserError
from mmgraph.graph import Graphs


def count_categories(categories: Tensor) -> list[int]:
    """Categories of every column, the largest plus one: (T, A) int64 -> A numbers, 0 where there are no rows."""
    return (categories.amax(0) + 1).tolist() if len(categories) else [0] * categories.shape[1]


def one_hot(categories: Tensor, sizes: Sequence[int]) -> Tensor:
    """Categories as plain features, one column after the other: (T, A) int64 -> (T, sum of sizes) float32."""
    columns = zip(categories.unbind(1), sizes, strict=True)
    return torch.cat([F.one_hot(column, size) for column, size in columns], 1).float()


def check_categories(graphs: Graphs, nodes: Sequence[int], edges: Sequence[int], source: str) -> None:
    """See that the categories of graphs are in vocabularies.

    Args:
        nodes: categories of every column of ``x``.
        edges: the same of ``edge_attr``; none where edges have no categories.
        source: the data, named in errors.

    Raises:
        UserError: features in place of categories, other columns, or a category that a vocabulary does not have, with the
            numbers to write in the recipe and the first graph and column that does not fit.
    """
    if graphs.x.is_floating_point():
        raise UserError(
            f"{source}: its nodes have features ({graphs.x.dtype}); the model takes categories (int64). "
            "tu_categories:FOLDER reads the labels of a TUDataset as categories"
        )
    attributes = graphs.edge_attr
    if attributes is not None and attributes.is_floating_point():
        raise UserError(f"{source}: its edges have features ({attributes.dtype}); the model takes categories (int64)")
    wrong = [_wrong(graphs.x, graphs.graph_of_node, nodes, "node")]
    if attributes is not None:
        wrong.append(_wrong(attributes, graphs.graph_of_node[graphs.edge_index[0]], edges, "edge"))
    elif edges:
        wrong.append(f"its edges have no categories; model.edge_vocabulary is {list(edges)}, expected []")
    if any(wrong):
        raise UserError(f"{source}: {'; '.join(filter(None, wrong))}")


def _wrong(categories: Tensor, graph: Tensor, vocabulary: Sequence[int], kind: str) -> str | None:
    """What does not fit a vocabulary, and the numbers that would; None where all fits."""
    counts, known = count_categories(categories), list(vocabulary)
    said = f"its {kind}s have {' and '.join(map(str, counts))} categories; model.{kind}_vocabulary is {known}"
    if len(counts) != len(known):
        return f"{said}, expected {counts}"
    outside = (categories < 0) | (categories >= categories.new_tensor(known))
    if not bool(outside.any()):
        return None
    row, column = outside.nonzero()[0].tolist()
    fitting = [max(pair) for pair in zip(counts, known, strict=True)]
    wanted = f", expected {fitting}" if fitting != known else ""
    return f"{said}{wanted} (graph {int(graph[row])} has category {int(categories[row, column])} in column {column})"
