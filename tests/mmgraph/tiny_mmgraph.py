"""The command line in this process, and tiny data and recipes to use it on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from one_command import Said, command_of, write_recipe
from scipy import sparse

from mmgraph.cli import ABOUT, COMMANDS

NODES, WIDTH = 120, 8
RECIPE = {
    "system": "graphmae",
    "model": {"width": WIDTH, "encoder": {"dim": 12, "depth": 1, "heads": 2}, "mask_ratio": 0.5},
    "optim": {"algorithm": "adam", "warmup_epochs": 0, "lr": 0.01},
    "train": {"epochs": 6, "batch_size": 1},
    "probe_nodes": {"epochs": 20},
    "run": {"accelerator": "cpu", "log_steps": 1},
}
ON_GRAPHS = {
    **RECIPE,
    "model": {"width": 3, "encoder": {"kind": "gin", "dim": 8, "depth": 2, "norm": "batchnorm"}},
    "train": {"epochs": 2, "batch_size": 8, "last_batch": "keep"},
    "probe_graphs": {"pool": "sum"},
}
TASK = {
    "task": "nodes",
    "optim": {"algorithm": "adam", "warmup_epochs": 0, "lr": 0.02},
    "train": {"epochs": 5, "batch_size": 1},
    "run": {"accelerator": "cpu", "log_steps": 1},
}


command = command_of("mmgraph", ABOUT, COMMANDS)
"""Runs ``mmgraph WORDS`` in this process."""


def write_nodes(
    path: Path, x: np.ndarray | None = None, edge: np.ndarray | None = None, y: np.ndarray | None = None
) -> str:
    """A ring of nodes whose features tell their two classes, as `arrays:` reads it; the source word."""
    labels = np.arange(NODES) % 2
    if x is None:
        x = np.eye(WIDTH, dtype=np.float32)[labels] + np.random.default_rng(0).random((NODES, WIDTH), np.float32) / 3
    if edge is None:
        edge = np.stack([np.arange(NODES), np.roll(np.arange(NODES), 2)])
    rows = sparse.csr_matrix(x)
    parts = {"x_data": rows.data, "x_indices": rows.indices, "x_indptr": rows.indptr, "x_shape": np.array(x.shape)}
    np.savez(path, edge=edge, y=labels if y is None else y, **parts)
    return f"arrays:{path}"


def write_graphs(folder: Path, count: int = 40, classes: int = 2) -> str:
    """Rings and paths of 4 to 6 nodes with one-hot degrees, as `tu:` reads them; the source word."""
    folder.mkdir()
    edges, indicator, first = [], [], 1
    for graph in range(count):
        size = 4 + graph % 3
        pairs = [(first + i, first + i + 1) for i in range(size - 1)] + (
            [(first + size - 1, first)] if graph % 2 else []
        )
        edges += [pair for a, b in pairs for pair in ((a, b), (b, a))]
        indicator += [graph + 1] * size
        first += size
    name = folder.name
    (folder / f"{name}_A.txt").write_text("".join(f"{a}, {b}\n" for a, b in edges))
    (folder / f"{name}_graph_indicator.txt").write_text("".join(f"{i}\n" for i in indicator))
    (folder / f"{name}_graph_labels.txt").write_text("".join(f"{i % classes}\n" for i in range(count)))
    return f"tu:{folder}"


__all__ = ["Said", "write_recipe"]
