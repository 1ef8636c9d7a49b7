"""The reader of the Open Graph Benchmark on a tree of files in its format."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch

from core.errors import UserError
from mmgraph.data.ogb import ogb
from mmgraph.data.sets import NodeSet
from mmgraph.data.sources import load

X = np.random.default_rng(0).normal(size=(8, 3)).round(6) + np.arange(3)
EDGES = [(0, 1), (1, 0), (2, 1), (3, 3), (4, 5), (5, 6), (7, 0)]
LABELS = [0, 1, 2, 0, 1, 2, 0, 1]
PARTS = {"train": [0, 1, 4], "valid": [2, 5], "test": [3, 6, 7]}


def table(path: Path, rows: list) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt") as file:
        file.writelines(",".join(f"{value}" for value in np.atleast_1d(row).tolist()) + "\n" for row in rows)


def write(root: Path, name: str = "ogbn_arxiv") -> Path:
    folder = root / name
    for file, rows in {"edge": EDGES, "node-feat": [*X], "node-label": LABELS, "num-node-list": [8]}.items():
        table(folder / f"raw/{file}.csv.gz", rows)
    for part, nodes in PARTS.items():
        table(folder / f"split/time/{part}.csv.gz", nodes)
    return folder


def test_arxiv(tmp_path: Path) -> None:
    data = load(f"ogb:{write(tmp_path)}")
    assert isinstance(data, NodeSet)
    assert data.name == "ogbn_arxiv"
    expected = (X - X.mean(0)) / X.std(0)
    torch.testing.assert_close(data.graph.x, torch.from_numpy(expected).float(), rtol=1e-5, atol=1e-5)
    pairs = data.graph.edge_index.t().tolist()
    assert sorted(map(tuple, pairs)) == sorted({p for a, b in EDGES if a != b for p in ((a, b), (b, a))})
    assert data.labels.tolist() == LABELS
    assert [part.tolist() for part in (data.train, data.val, data.test)] == [*PARTS.values()]


def test_other_sets_keep_their_features(tmp_path: Path) -> None:
    data = ogb(write(tmp_path, "ogbn_products"))
    torch.testing.assert_close(data.graph.x, torch.from_numpy(X).float())


def test_nodes_without_labels(tmp_path: Path) -> None:
    folder = write(tmp_path)
    table(folder / "raw/node-label.csv.gz", [*LABELS[:6], "nan", 1])
    table(folder / "split/time/test.csv.gz", [3, 7])
    assert ogb(folder).labels.tolist() == [*LABELS[:6], -1, 1]


@pytest.mark.parametrize(
    ("file", "rows", "said"),
    [
        ("raw/edge", None, r"edge\.csv\.gz: not there"),
        ("raw/node-feat", None, r"node-feat\.csv\.gz: not there; expected a set with features of nodes"),
        ("raw/edge", [], r"edge\.csv\.gz: empty; expected a table of numbers"),
        ("split/time/valid", [], r"valid\.csv\.gz: empty"),
        ("raw/edge", [(0, 8)], "nodes from 0 to 7"),
        ("raw/edge", ["one,two"], r"edge\.csv\.gz: not readable"),
        ("raw/node-feat", [*X[:7]], "7 rows for 8 nodes"),
        ("raw/node-label", LABELS[:7], "labels for 8 nodes"),
        ("split/time/test", None, "0 folders with train"),
        ("split/time/test", [8], "not in the graph"),
    ],
)
def test_bad_files(tmp_path: Path, file: str, rows: list | None, said: str, recwarn: pytest.WarningsRecorder) -> None:
    folder = write(tmp_path)
    (folder / f"{file}.csv.gz").unlink()
    if rows is not None:
        table(folder / f"{file}.csv.gz", rows)
    with pytest.raises(UserError, match=said):
        ogb(folder)
    assert not recwarn.list


def test_damaged_files(tmp_path: Path) -> None:
    file = write(tmp_path) / "raw/edge.csv.gz"
    whole = bytearray(file.read_bytes())
    for content in (bytes(whole[:-12]), b"no archive", bytes(whole[:12]) + b"\xff" * 20 + bytes(whole[32:])):
        file.write_bytes(content)
        with pytest.raises(UserError, match=r"edge\.csv\.gz: not readable as a table of numbers"):
            ogb(tmp_path / "ogbn_arxiv")
