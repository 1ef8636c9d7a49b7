"""Posts of Reddit joined by common commenters, from their raw files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from scipy import sparse

from core.errors import UserError
from mmgraph.data.edges import both_ways
from mmgraph.data.inductive import InductivePart, InductiveSet
from mmgraph.data.scale import standardise
from mmgraph.graph import Graphs

TRAIN, VAL, TEST = 1, 2, 3


def reddit(path: str | Path) -> InductiveSet:
    """Pretraining sees the graph of the training posts; the others are scored in the whole graph. A class a post.

    Features are standardised over all posts, as GraphMAE's official code does.

    Args:
        path: the folder of ``reddit_data.npz`` and ``reddit_graph.npz``, or the one above its ``raw``.

    Raises:
        UserError: files that are missing, not readable, or do not fit together.

    Source: Hamilton et al., "Inductive Representation Learning on Large Graphs" (the data).
    """
    path = Path(path)
    folder = next((p for p in (path, path / "raw") if (p / "reddit_data.npz").is_file()), None)
    if folder is None:
        raise UserError(f"{path}: no reddit_data.npz in it or in its raw; expected the raw files of Reddit")
    file = folder / "reddit_data.npz"
    try:
        with np.load(file, allow_pickle=False) as arrays:
            x, labels, part = (arrays[name] for name in ("feature", "label", "node_types"))
        file = folder / "reddit_graph.npz"
        adjacency = sparse.load_npz(file).tocoo()
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise UserError(f"{file}: not readable ({error})") from error
    if not len(x) == len(labels) == len(part) == adjacency.shape[0] == adjacency.shape[1]:
        raise UserError(
            f"{folder}: {len(x)} features, {len(labels)} labels, {len(part)} node types, {adjacency.shape[0]} nodes"
        )
    x = x.astype(np.float32)
    standardise(x)
    edges = both_ways(np.stack([adjacency.row, adjacency.col]), len(x))
    nodes = (part == TRAIN).nonzero()[0]
    place = np.full(len(x), -1)
    place[nodes] = np.arange(len(nodes))
    inside = edges[:, (part[edges] == TRAIN).all(0)]
    features, classes = torch.from_numpy(x), torch.from_numpy(labels.astype(np.int64))
    train = Graphs(features[torch.from_numpy(nodes)], torch.from_numpy(place[inside]))
    whole = Graphs(features, torch.from_numpy(edges))
    scored = (torch.where(torch.from_numpy(part == which), classes, -1) for which in (VAL, TEST))
    val, test = (InductivePart((whole,), (labels,)) for labels in scored)
    return InductiveSet("reddit", InductivePart((train,), (classes[torch.from_numpy(nodes)],)), val, test)
