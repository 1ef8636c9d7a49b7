"""Cora, Citeseer and PubMed as the raw Planetoid files."""

from __future__ import annotations

from pathlib import Path

from core.errors import UserError
from mmgraph.data.needs import torch_geometric
from mmgraph.data.sets import NodeSet
from mmgraph.graph import Graphs


def planetoid(path: str | Path, divide: bool = True) -> NodeSet:
    """A citation graph with its public split.

    Args:
        path: the folder of the ``ind.NAME.*`` files, or one above (``NAME/raw``), and the name: ``data/planetoid/cora``.
        divide: the features of each node by their sum, as GraphMAE does; MaskGAE and MGAE take them as they are.

    Raises:
        UserError: files that are missing or not readable.

    Source: Yang et al., "Revisiting Semi-Supervised Learning with Graph Embeddings".
    """
    path = Path(path)
    name = path.name.lower()
    places = (path.parent, path / "raw", path, path.parent / "raw")
    folder = next((p for p in places if (p / f"ind.{name}.graph").is_file()), None)
    if folder is None:
        raise UserError(
            f"{path}: no ind.{name}.graph beside or below it; expected FOLDER/NAME with the Planetoid files"
        )
    read = torch_geometric("io").read_planetoid_data
    try:
        data = read(str(folder), name)
    except Exception as error:  # pickles fail in every way
        raise UserError(f"{folder}: the files of {name} cannot be read ({type(error).__name__}: {error})") from error
    x = data.x.float()
    if divide:
        x = x / x.sum(1, keepdim=True).clamp(min=1e-12)
    masks = (m.nonzero().squeeze(1) for m in (data.train_mask, data.val_mask, data.test_mask))
    return NodeSet(name, Graphs(x, data.edge_index), data.y, *masks)
