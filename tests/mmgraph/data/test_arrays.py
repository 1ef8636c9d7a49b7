"""The two forms of .npz graphs, as the public files have them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import sparse

from core.errors import UserError
from mmgraph.data.sets import NodeSet
from mmgraph.data.sources import load

X = np.array([[1, 0, 2], [0, 0, 0], [0, 3, 0], [1, 1, 1]] * 20, dtype=np.float32)
LABELS = np.arange(80) % 2


def parts(name: str, matrix: sparse.csr_matrix) -> dict[str, np.ndarray]:
    return {
        f"{name}_data": matrix.data,
        f"{name}_indices": matrix.indices,
        f"{name}_indptr": matrix.indptr,
        f"{name}_shape": np.array(matrix.shape),
    }


@pytest.mark.parametrize("form", ["coauthor", "amazon"])
def test_both_forms(tmp_path: Path, form: str) -> None:
    one_way = np.array([[0, 1, 2, 2], [1, 2, 3, 79]])
    if form == "coauthor":
        adjacency = sparse.csr_matrix((np.ones(4), (one_way[0], one_way[1])), shape=(80, 80))
        arrays = {**parts("adj", adjacency), **parts("attr", sparse.csr_matrix(X)), "labels": LABELS}
        arrays["class_names"] = np.array(["a", "b"], dtype=object)  # as some public files have; never read
    else:
        x = {key.replace("attr", "x"): value for key, value in parts("attr", sparse.csr_matrix(X)).items()}
        arrays = {**x, "edge": one_way, "y": LABELS}
    np.savez(tmp_path / "tiny.npz", **arrays)
    data = load(f"arrays:{tmp_path / 'tiny.npz'}")
    assert isinstance(data, NodeSet)
    assert data.name == "tiny"
    torch.testing.assert_close(data.graph.x, torch.from_numpy(X))
    pairs = {*map(tuple, data.graph.edge_index.t().tolist())}
    assert pairs == {*map(tuple, one_way.T.tolist()), *map(tuple, one_way[::-1].T.tolist())}
    assert data.labels.tolist() == LABELS.tolist()
    assert (len(data.train), len(data.val), len(data.test)) == (8, 8, 64)


def test_other_files(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npz.npy", LABELS)
    (tmp_path / "text.npz").write_text("x, y")
    for name in ("one.npz.npy", "text.npz"):
        with pytest.raises(UserError, match=rf"{name}: not readable as an \.npz of plain arrays") as said:
            load(f"arrays:{tmp_path / name}")
        assert "allow_pickle" not in str(said.value)


def test_objects_are_not_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "evil.npz", labels=np.array([print], dtype=object))
    with pytest.raises(UserError, match=r"evil\.npz"):
        load(f"arrays:{tmp_path / 'evil.npz'}")


@pytest.mark.parametrize("wrong", [10**7, -1])
def test_an_index_outside_the_matrix(tmp_path: Path, wrong: int) -> None:
    """It would be written outside the array, which ends the process."""
    x = {key.replace("attr", "x"): value for key, value in parts("attr", sparse.csr_matrix(X)).items()}
    x["x_indices"] = x["x_indices"].copy()
    x["x_indices"][3] = wrong
    np.savez(tmp_path / "bad.npz", **x, edge=np.array([[0, 1], [1, 2]]), y=LABELS)
    with pytest.raises(UserError, match=r"bad\.npz: not a sparse matrix"):
        load(f"arrays:{tmp_path / 'bad.npz'}")


@pytest.mark.parametrize(
    ("arrays", "missing"),
    [
        ({**parts("x", sparse.csr_matrix(X)), "y": LABELS}, "'edge'"),
        ({**parts("attr", sparse.csr_matrix(X)), "labels": LABELS}, "'adj_indptr'"),
    ],
)
def test_no_edges(tmp_path: Path, arrays: dict[str, np.ndarray], missing: str) -> None:
    np.savez(tmp_path / "bare.npz", **arrays)
    with pytest.raises(
        UserError, match=rf"bare\.npz: no array {missing}; expected edge, .* or adj_\*, attr_\*, labels"
    ):
        load(f"arrays:{tmp_path / 'bare.npz'}")
