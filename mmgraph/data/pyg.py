"""Graphs of torch_geometric: its Data and lists of them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from core.errors import UserError
from mmgraph.data.degrees import one_hot_degrees
from mmgraph.data.inductive import PARTS
from mmgraph.data.sets import GraphSet, NodeSet
from mmgraph.data.splits import split_nodes
from mmgraph.graph import Graphs


def from_pyg(
    data: Any, name: str = "data", seed: int = 0, train: float = 0.1, val: float = 0.1, split: int = 0
) -> NodeSet:
    """One ``torch_geometric`` Data as a graph whose nodes are learned from. Its tensors are shared, not copied.

    * ``x``: floats, or categories where it holds integers; one-hot degrees, at most 400, where there is none.
    * ``edge_attr``: categories where it holds integers. Other numbers there are not used; a warning says so.
    * ``edge_weight``: used by graph convolutions.
    * ``y``: classes, -1 for none. Without it nodes can be learned from and not be scored.
    * ``train_mask``, ``val_mask``, ``test_mask``: of masks of several splits one. Without masks the split is
      random.

    Args:
        name: what errors call it.
        seed: of a random split.
        train: share of the nodes that train, where there are no masks.
        val: share that validates.
        split: column, where the masks hold several splits.

    Raises:
        UserError: several types of nodes, no ``edge_index``, or labels that are no classes.
    """
    (graph,) = _graphs([data], [name])
    labels = torch.full((len(graph.x),), -1)
    if getattr(data, "y", None) is not None:
        labels = _classes(data.y, f"{name}: y", "a class a node")
    if len(labels) != len(graph.x):
        raise UserError(f"{name}: {len(labels)} labels for {len(graph.x)} nodes; expected one a node")
    masks = [getattr(data, f"{part}_mask", None) for part in PARTS]
    if all(mask is None for mask in masks):
        return NodeSet(name, graph, labels, *split_nodes(labels, seed, train, val))
    missing = [part for part, mask in zip(PARTS, masks, strict=True) if mask is None]
    if missing:
        raise UserError(f"{name}: no {missing[0]}_mask; expected train_mask, val_mask and test_mask, or none of them")
    for part, mask in zip(PARTS, masks, strict=True):
        if mask is not None and (len(mask) != len(labels) or (mask.ndim == 2 and split >= mask.shape[1])):
            raise UserError(
                f"{name}: {part}_mask of shape {tuple(mask.shape)}; expected {len(labels)} nodes and split {split}"
            )
    first = ((mask if mask.ndim == 1 else mask[:, split]).bool() for mask in masks if mask is not None)
    return NodeSet(name, graph, labels, *((mask & (labels >= 0)).nonzero().squeeze(1) for mask in first))


def from_pyg_dataset(dataset: Any, name: str = "") -> GraphSet:
    """Many ``torch_geometric`` Data, such as a Dataset, as graphs with a class each.

    Features and edges are taken as in :func:`from_pyg`, degrees one-hot of one width for all. Without ``y`` graphs can be
    learned from and not be scored.

    Raises:
        UserError: as :func:`from_pyg`, or some graphs with labels or features and others without.
    """
    name = name or type(dataset).__name__
    items = list(dataset)
    if not items:
        raise UserError(f"{name}: no graphs")
    names = [f"{name}, graph {number}" for number in range(len(items))]
    graphs = _graphs(items, names)
    labelled = [getattr(item, "y", None) is not None for item in items]
    if any(labelled) and not all(labelled):
        raise UserError(f"{names[labelled.index(False)]}: no y; expected one at every graph, or at none")
    if not any(labelled):
        return GraphSet(name, graphs, torch.full((len(items),), -1).numpy())
    classes = [_classes(item.y, f"{at}: y", "one class a graph") for item, at in zip(items, names, strict=True)]
    for at, found in zip(names, classes, strict=True):
        if len(found) != 1:
            raise UserError(f"{at}: y of {len(found)} values; expected one class a graph")
    return GraphSet(name, graphs, torch.cat(classes).numpy())


def _graphs(items: Sequence[Any], names: Sequence[str]) -> tuple[Graphs, ...]:
    """Features, edges and categories of edges of all."""
    for item, name in zip(items, names, strict=True):
        if hasattr(item, "node_types"):
            raise UserError(f"{name}: nodes of several types; expected a homogeneous graph (see to_homogeneous)")
        if getattr(item, "edge_index", None) is None:
            raise UserError(f"{name}: no edge_index; expected (2, E) edges")
    edges = [item.edge_index for item in items]
    has_x = [getattr(item, "x", None) is not None for item in items]
    if any(has_x) and not all(has_x):
        raise UserError(f"{names[has_x.index(False)]}: no x; expected features at every graph, or at none")
    if any(has_x):
        features = [_features(item.x, name) for item, name in zip(items, names, strict=True)]
    else:
        try:
            features = one_hot_degrees(edges, [int(item.num_nodes) for item in items])
        except UserError as error:
            raise UserError(f"{names[0] if len(names) == 1 else names[0] + ' and others'}: {error}") from error
    if any(_numbers(item) for item in items):
        warnings.warn(f"{names[0]}: edges have numbers as attributes, which are not used", stacklevel=3)
    return tuple(
        Graphs(x, e, None, _attributes(item), edge_weight=_weight(item))
        for x, e, item in zip(features, edges, items, strict=True)
    )


def _features(x: Tensor, name: str) -> Tensor:
    if not isinstance(x, Tensor) or x.layout != torch.strided:
        raise UserError(f"{name}: x is a {type(x).__name__}; expected a dense tensor")
    x = x[:, None] if x.ndim == 1 else x
    return x.float() if x.is_floating_point() or x.dtype == torch.bool else x.long()


def _attributes(item: Any) -> Tensor | None:
    attributes = getattr(item, "edge_attr", None)
    if attributes is None or attributes.is_floating_point():
        return None
    return (attributes[:, None] if attributes.ndim == 1 else attributes).long()


def _numbers(item: Any) -> bool:
    attributes = getattr(item, "edge_attr", None)
    return attributes is not None and attributes.is_floating_point()


def _weight(item: Any) -> Tensor | None:
    weight = getattr(item, "edge_weight", None)
    return None if weight is None else weight.reshape(-1).float()


def _classes(y: Any, name: str, expected: str) -> Tensor:
    """(N,) int64 of whole numbers in a tensor of one value a row; others, and NaN, which means none, are -1."""
    y = torch.as_tensor(y)
    y = y.reshape(-1) if y.ndim == 0 or (y.ndim == 2 and y.shape[1] == 1) else y
    if y.ndim != 1:
        raise UserError(f"{name} of shape {tuple(y.shape)}; expected {expected}")
    known = y.double().nan_to_num(-1)
    if bool((known != known.round()).any()):
        raise UserError(f"{name} has values such as {float(known[known != known.round()][0]):g}; expected {expected}")
    return known.long().clamp(min=-1)
