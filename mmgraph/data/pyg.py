"""What torch_geometric holds, as what is learned from here. Nothing of it is imported: its attributes are read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.errors import UserError
from mmgraph.data.sets import GraphSet, NodeSet
from mmgraph.data.splits import split_nodes
from mmgraph.graph import Graphs

MASKS = ("train_mask", "val_mask", "test_mask")


def node_set(
    data: Any, name: str = "data", seed: int = 0, train: float = 0.1, val: float = 0.1, split: int = 0
) -> NodeSet:
    """One ``Data`` with ``x``, ``edge_index`` and node labels ``y``.

    Args:
        data: its masks ``train_mask``, ``val_mask`` and ``test_mask`` are taken where all three are there.
        seed: of the split, where there are no masks.
        train: share of the nodes that train, where there are no masks.
        val: share that validates.
        split: column, where the masks hold several splits.

    Raises:
        UserError: an attribute is missing, labels are no classes, or the graph cannot be learned from.
    """
    labels = _labels(data, name).flatten()
    masks = [mask for key in MASKS if isinstance(mask := getattr(data, key, None), Tensor)]
    if len(masks) == len(MASKS):
        train_part, val_part, test_part = ((m[:, split] if m.ndim == 2 else m).nonzero().squeeze(1) for m in masks)
    else:
        train_part, val_part, test_part = split_nodes(labels, seed, train, val)
    return NodeSet(name, _graph(data, name), labels, train_part, val_part, test_part)


def graph_set(dataset: Iterable[Any], name: str = "data") -> GraphSet:
    """A data set, or any list, of ``Data`` with ``x``, ``edge_index`` and one class ``y`` each.

    Raises:
        UserError: as :func:`node_set`, naming the graph.
    """
    items = list(dataset)
    graphs = tuple(_graph(item, f"{name}, graph {number}") for number, item in enumerate(items))
    labels = [_labels(item, f"{name}, graph {number}").flatten() for number, item in enumerate(items)]
    wrong = next((number for number, label in enumerate(labels) if len(label) != 1), None)
    if wrong is not None:
        raise UserError(f"{name}, graph {wrong}: {len(labels[wrong])} labels; expected one class a graph")
    return GraphSet(name, graphs, torch.cat(labels).numpy() if labels else np.empty(0, np.int64))


def _graph(data: Any, name: str) -> Graphs:
    x, edges = (_tensor(data, key, name) for key in ("x", "edge_index"))
    try:
        return Graphs(x.float() if x.is_floating_point() else x, edges)
    except ValueError as error:
        raise UserError(f"{name}: {error}") from error


def _labels(data: Any, name: str) -> Tensor:
    labels = _tensor(data, "y", name)
    if labels.is_floating_point() or (labels.ndim == 2 and labels.shape[1] != 1):
        raise UserError(
            f"{name}: labels {labels.dtype} of shape {tuple(labels.shape)}; expected one class each, as integers"
        )
    return labels.long()


def _tensor(data: Any, key: str, name: str) -> Tensor:
    found = getattr(data, key, None)
    if not isinstance(found, Tensor):
        raise UserError(f"{name}: has no {key}; expected a Data with x, edge_index and y")
    return found
