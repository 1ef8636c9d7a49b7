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
    _check(graphs.x, graphs.graph_of_node, nodes, "node", source)
    attributes = graphs.edge_attr
    if attributes is None:
        if edges:
            raise UserError(
                f"{source}: its edges have no categories; model.edge_vocabulary is {list(edges)}, expected []"
            )
        return
    if attributes.is_floating_point():
        raise UserError(f"{source}: its edges have features ({attributes.dtype}); the model takes categories (int64)")
    _check(attributes, graphs.graph_of_node[graphs.edge_index[0]], edges, "edge", source)


def _check(categories: Tensor, graph: Tensor, vocabulary: Sequence[int], kind: str, source: str) -> None:
    counts, known = count_categories(categories), list(vocabulary)
    said = f"{source}: its {kind}s have {_numbers(counts)} categories; model.{kind}_vocabulary is {known}"
    if len(counts) != len(known):
        raise UserError(f"{said}, expected {counts}")
    wrong = (categories < 0) | (categories >= categories.new_tensor(known))
    if bool(wrong.any()):
        row, column = wrong.nonzero()[0].tolist()
        fitting = [max(pair) for pair in zip(counts, known, strict=True)]
        wanted = f", expected {fitting}" if fitting != known else ""
        where = f"graph {int(graph[row])} has category {int(categories[row, column])} in column {column}"
        raise UserError(f"{said}{wanted} ({where})")


def _numbers(counts: Sequence[int]) -> str:
    return " and ".join(map(str, counts)) if counts else "no"
