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
    data: Any,
    name: str = "data",
    seed: int = 0,
    train: float = 0.1,
    val: float = 0.1,
    split: int = 0,
    parts: Sequence[Tensor] | None = None,
) -> NodeSet:
    """One ``torch_geometric`` Data as a graph whose nodes are learned from. Its tensors are shared, not copied.

    * ``x``: floats, or categories where it holds integers; one-hot degrees, at most 400, where there is none.
    * ``edge_attr``: categories where it holds integers. Other numbers there are not used; a warning says so.
    * ``edge_weight``: used by graph convolutions.
    * ``y``: classes, -1 for none. Without it nodes can be learned from and not be scored; so they can where it holds
      anything else, such as numbers or several labels a node, of which a warning says that it is not used.
    * ``train_mask``, ``val_mask``, ``test_mask``: of masks of several splits one. Without masks the split is
      random.

    Args:
        name: what errors call it.
        seed: of a random split.
        train: share of the nodes that train, where there are no masks.
        val: share that validates.
        split: column, where the masks hold several splits.
        parts: nodes that train, that validate and that test, (N,) int64 each, in place of masks; those without a label
            are left out. What ``get_idx_split`` of the Open Graph Benchmark gives are these.

    Raises:
        UserError: several types of nodes, no ``edge_index``, or labels, masks or parts that do not fit the nodes.
    """
    (graph,) = _graphs([data], [name])
    labels = torch.full((len(graph.x),), -1)
    if getattr(data, "y", None) is not None:
        found = _classes(data.y)
        if found is None or (len(found) == 1 < len(labels)):  # one of the whole graph is none of its nodes
            _warn_of_labels(name, data.y, "one class a node")
        else:
            labels = found
    if len(labels) != len(graph.x):
        raise UserError(f"{name}: {len(labels)} labels for {len(graph.x)} nodes; expected one a node")
    if parts is not None:
        return NodeSet(name, graph, labels, *_labelled_parts(parts, labels, name))
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
    learned from and not be scored; so they can where a ``y`` is anything else than one class, which a warning says.

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
    labels = torch.full((len(items),), -1)
    if any(labelled):
        found = [_classes(item.y) for item in items]
        other = next((at for at, y in enumerate(found) if y is None or len(y) != 1), None)
        if other is not None:
            _warn_of_labels(names[other], items[other].y, "one class a graph")
        else:
            labels = torch.cat([y for y in found if y is not None])
    return GraphSet(name, graphs, labels.numpy())


def _graphs(items: Sequence[Any], names: Sequence[str]) -> tuple[Graphs, ...]:
    """Features, edges and categories of edges of all."""
    for item, name in zip(items, names, strict=True):
        if hasattr(item, "node_types"):
            raise UserError(f"{name}: nodes of several types; expected a homogeneous graph (see to_homogeneous)")
        if getattr(item, "edge_index", None) is None:
            raise UserError(f"{name}: no edge_index; expected (2, E) edges")
    for item, name in zip(items, names, strict=True):
        for what in ("x", "edge_index", "edge_attr", "edge_weight"):
            _check_dense(getattr(item, what, None), what, name)
    edges = [_edges(item.edge_index, name) for item, name in zip(items, names, strict=True)]
    has_x = [getattr(item, "x", None) is not None for item in items]
    if any(has_x) and not all(has_x):
        raise UserError(f"{names[has_x.index(False)]}: no x; expected features at every graph, or at none")
    if any(has_x):
        features = [_features(item.x) for item in items]
    else:
        try:
            features = one_hot_degrees(edges, [int(item.num_nodes) for item in items])
        except UserError as error:
            raise UserError(f"{names[0] if len(names) == 1 else names[0] + ' and others'}: {error}") from error
    if any(_numbers(item) for item in items):
        warnings.warn(f"{names[0]}: edges have numbers as attributes, which are not used", stacklevel=3)
    made, width = [], _width(items)
    for x, e, item, name in zip(features, edges, items, names, strict=True):
        try:
            made.append(Graphs(x, e, None, _attributes(item, width), edge_weight=_weight(item)))
        except ValueError as error:
            raise UserError(f"{name}: {error}") from error
    return tuple(made)


def _check_dense(values: Any, what: str, name: str) -> None:
    if values is None or (isinstance(values, Tensor) and values.layout == torch.strided and not values.is_complex()):
        return
    kind = values.dtype if isinstance(values, Tensor) else type(values).__name__
    raise UserError(f"{name}: {what} is a {kind}; expected a dense tensor of numbers")


def _edges(index: Tensor, name: str) -> Tensor:
    if index.numel() == 0:  # of no edges torch makes floats, and often one dimension
        return index.new_zeros(2, 0, dtype=torch.int64)
    if index.ndim != 2 or len(index) != 2 or index.is_floating_point() or index.dtype == torch.bool:
        raise UserError(f"{name}: edge_index {index.dtype} {tuple(index.shape)}; expected integers of shape (2, E)")
    return index


def _features(x: Tensor) -> Tensor:
    x = x.detach()[:, None] if x.ndim == 1 else x.detach()
    return x.float() if x.is_floating_point() or x.dtype == torch.bool else x.long()


def _attributes(item: Any, width: int | None) -> Tensor | None:
    """Categories of the edges; of no edges as many columns as the other graphs have."""
    attributes = getattr(item, "edge_attr", None)
    if attributes is None or width is None or _numbers(item):
        return None
    if attributes.numel() == 0:
        return attributes.new_zeros(0, width, dtype=torch.int64)
    return (attributes[:, None] if attributes.ndim == 1 else attributes).long()


def _width(items: Sequence[Any]) -> int | None:
    """Columns of categories of edges; None where no graph has any."""
    given = [getattr(item, "edge_attr", None) for item in items]
    shapes = [a.shape for a in given if a is not None and a.numel() and not a.is_floating_point()]
    return None if not shapes else shapes[0][1] if len(shapes[0]) == 2 else 1


def _numbers(item: Any) -> bool:
    attributes = getattr(item, "edge_attr", None)
    return attributes is not None and attributes.numel() > 0 and attributes.is_floating_point()


def _weight(item: Any) -> Tensor | None:
    weight = getattr(item, "edge_weight", None)
    return None if weight is None else weight.detach().reshape(-1).float()


def _classes(y: Any) -> Tensor | None:
    """(N,) int64 of whole numbers in a tensor of one value a row; negative ones, and NaN, which means none, are -1.

    None where it holds anything else.
    """
    try:
        y = torch.as_tensor(y)
    except (TypeError, ValueError, RuntimeError):
        return None
    y = y.reshape(-1) if y.ndim == 0 or (y.ndim == 2 and y.shape[1] == 1) else y
    if y.ndim != 1 or y.is_complex():
        return None
    known = y.double().nan_to_num(-1, posinf=0.5, neginf=0.5)
    return known.long().clamp(min=-1) if bool((known == known.round()).all()) else None


def _warn_of_labels(name: str, y: Any, expected: str) -> None:
    """Say that labels are not used; the warning is that of whoever called the function that calls this one."""
    y = f"{y.dtype} {tuple(y.shape)}" if isinstance(y, Tensor) else type(y).__name__
    warnings.warn(f"{name}: y is not {expected} ({y}) and is not used; there are no labels", stacklevel=3)


def _labelled_parts(parts: Sequence[Tensor], labels: Tensor, name: str) -> list[Tensor]:
    """The nodes of every part that have a label."""
    if len(parts) != len(PARTS):
        raise UserError(f"{name}: {len(parts)} parts; expected nodes that train, that validate and that test")
    found = []
    for part, given in zip(PARTS, parts, strict=True):
        nodes = torch.as_tensor(given)
        if nodes.ndim != 1 or nodes.is_floating_point() or nodes.dtype == torch.bool:
            raise UserError(f"{name}: {part} part {nodes.dtype} {tuple(nodes.shape)}; expected numbers of nodes (N,)")
        if len(nodes) and not 0 <= int(nodes.min()) <= int(nodes.max()) < len(labels):
            raise UserError(f"{name}: its {part} part has nodes that are not among the {len(labels)} of the graph")
        nodes = nodes.long()
        found.append(nodes[labels[nodes] >= 0])
    return found
