"""Molecules as graphs: the arrays of the official featuriser, and rules for what its vocabulary lacks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from core.errors import UserError
from mmbio.data.smiles import nci
from mmbio.molecules.elements import ELEMENTS
from mmbio.molecules.graphs import ATOM_SIZES, BOND_SIZES, join_graphs, molecule_graphs, read_graph, to_pyg
from mmgraph.categories import check_categories
from mmgraph.graph import Graphs, join

pytest.importorskip("rdkit")


def bonds(graphs: Graphs) -> list[list[int]]:
    """Categories of the bonds, each once."""
    assert graphs.edge_attr is not None
    return graphs.edge_attr[::2].tolist()


def test_graphs_are_those_of_the_official_featuriser(shared: Path) -> None:
    golden = np.load(shared / "golden/pretrain_gnns_gin.npz")
    graphs = molecule_graphs(golden["in/smiles"].tolist())
    assert graphs.edge_attr is not None
    for ours, name in ((graphs.x, "x"), (graphs.edge_index, "edge_index"), (graphs.edge_attr, "edge_attr")):
        assert ours.dtype == torch.int64
        np.testing.assert_array_equal(ours.numpy(), golden[f"in/{name}"])
    np.testing.assert_array_equal(graphs.graph_of_node.numpy(), golden["in/batch"])


def test_single_atoms_and_fragments() -> None:
    graphs = molecule_graphs(["C", "[Na+].[Cl-]", "CCO.N"])
    assert graphs.offsets.tolist() == [0, 1, 3, 7]
    assert [ELEMENTS[i] for i in graphs.x[:, 0].tolist()] == ["C", "Na", "Cl", "C", "C", "O", "N"]
    assert graphs.edge_index.tolist() == [[3, 4, 4, 5], [4, 3, 5, 4]]


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("[NH3]->[Pt](Cl)Cl", [0, 0, 0]),  # a dative bond is single
        ("C~C", [0]),
        ("[Re]$[Re]", [2]),  # a quadruple bond is triple
        ("C=C", [1]),
        ("C#N", [2]),
        ("c1ccccc1", [3] * 6),
    ],
)
def test_bonds_outside_the_vocabulary_become_what_is_nearest(text: str, kinds: list[int]) -> None:
    assert [kind for kind, _ in bonds(molecule_graphs([text]))] == kinds


def test_atoms_outside_the_vocabulary() -> None:
    assert molecule_graphs(["*C"]).x.tolist() == [[118, 0], [5, 0]]
    assert ELEMENTS[118] == "*"
    assert len(ELEMENTS) == ATOM_SIZES[0]
    square = molecule_graphs(["C[Pt@SP1](F)(Cl)Br"])  # a stereo centre that is not tetrahedral
    assert square.x[1].tolist() == [77, 0]
    assert sorted(molecule_graphs(["C[C@H](N)O", "C[C@@H](N)O"]).x[[1, 5], 1].tolist()) == [1, 2]


def test_directions_of_bonds_tell_the_sides_of_double_bonds() -> None:
    trans, cis = bonds(molecule_graphs(["F/C=C/F"])), bonds(molecule_graphs(["F/C=C\\F"]))
    assert trans != cis
    assert {direction for _, direction in trans + cis} <= {0, 1, 2}
    assert trans[1] == cis[1] == [1, 0]


def test_everything_of_a_large_file_fits_the_tables() -> None:
    texts = nci().texts[::7]
    graphs = molecule_graphs(texts)
    check_categories(graphs, ATOM_SIZES, BOND_SIZES, "nci")
    one = join([join_graphs([read_graph(text)]) for text in texts])
    assert graphs.edge_attr is not None
    assert one.edge_attr is not None
    for ours, theirs in zip(
        (graphs.x, graphs.edge_index, graphs.offsets, graphs.edge_attr),
        (one.x, one.edge_index, one.offsets, one.edge_attr),
        strict=True,
    ):
        assert torch.equal(ours, theirs)


def test_what_is_no_molecule() -> None:
    with pytest.raises(UserError, match=r"molecule 1: 'CC\(C' is no molecule: 1 branches opened and 0 closed"):
        molecule_graphs(["CC", "CC(C"])
    with pytest.raises(UserError, match="an empty string"):
        read_graph("")


def test_as_torch_geometric_has_them() -> None:
    pytest.importorskip("torch_geometric")
    data, ours = to_pyg("CC(=O)O"), molecule_graphs(["CC(=O)O"])
    assert torch.equal(data.x, ours.x)
    assert torch.equal(data.edge_index, ours.edge_index)
    assert torch.equal(data.edge_attr, ours.edge_attr)
    assert (data.num_nodes, data.num_edges, data.smiles) == (4, 6, "CC(=O)O")
