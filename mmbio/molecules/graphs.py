"""Molecules as graphs: atoms and bonds as the categories that pretrain-gnns reads."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch

from core.errors import MissingPackage, UserError
from mmbio.molecules.chemistry import parse, rdkit_chem
from mmgraph.graph import Graphs

ATOM_SIZES = (119, 3)
"""Categories of an atom's columns, as the tables of the official weights have them: element (atomic number less 1; 118 is an atom
without element, ``*``) and chirality (0 none or of another kind, 1 clockwise, 2 counterclockwise)."""

BOND_SIZES = (4, 3)
"""Categories of a bond's columns: type (0 single, 1 double, 2 triple, 3 aromatic) and direction (0 none, 1 up, 2 down)."""

NO_ELEMENT = 118
MOST_ATOMS = 2**16

BOND = 4
"""Numbers that a bond is kept as, uint16 each: its two atoms, type and direction."""


class PackedGraph(NamedTuple):
    """A molecule's graph in few bytes: two an atom, eight (:data:`BOND`) a bond."""

    atoms: bytes
    bonds: bytes

    @property
    def size(self) -> int:
        """Number of atoms."""
        return len(self.atoms) // 2


def read_graph(text: str) -> PackedGraph:
    """A SMILES string as a graph; hydrogens that it does not write as atoms are none.

    What the vocabulary lacks becomes what is nearest, where the official featuriser stops with an error or runs over its
    tables: dative, ionic, hydrogen and zero-order bonds are single, bonds of an order above three triple, one-and-a-half
    aromatic; stereo centres other than tetrahedral ones are none; an atom without element has category 118. Fragments are
    parts of one graph that no bond joins; a single atom is a graph without bonds.

    Raises:
        UserError: no molecule, with the reason; or more than 65,536 atoms.

    Source: mol_to_graph_data_obj_simple in chem/loader.py of pretrain-gnns (Hu et al.).
    """
    molecule = parse(text)
    if molecule.GetNumAtoms() > MOST_ATOMS:
        raise UserError(f"a molecule of {molecule.GetNumAtoms()} atoms; expected at most {MOST_ATOMS}")
    known = _categories()
    # Only these signs of SMILES give atoms a chirality and bonds a direction, and asking every atom and bond takes time.
    elements = [known.elements[atom.GetAtomicNum()] for atom in molecule.GetAtoms()]
    atoms = np.zeros((len(elements), 2), np.uint8)
    atoms[:, 0] = elements
    if "@" in text:
        atoms[:, 1] = [known.chirality.get(atom.GetChiralTag(), 0) for atom in molecule.GetAtoms()]
    types = known.types
    rows: list[int] = []
    for bond in molecule.GetBonds():
        rows += bond.GetBeginAtomIdx(), bond.GetEndAtomIdx(), types.get(bond.GetBondType(), 0), 0
    if "/" in text or "\\" in text:
        rows[3::4] = [known.directions.get(bond.GetBondDir(), 0) for bond in molecule.GetBonds()]
    return PackedGraph(atoms.tobytes(), array("H", rows).tobytes())


class _Categories(NamedTuple):
    elements: tuple[int, ...]
    chirality: dict[Any, int]
    types: dict[Any, int]
    directions: dict[Any, int]


@cache
def _categories() -> _Categories:
    """rdkit's enumerations as categories; what is missing in a dictionary has category 0."""
    chem = rdkit_chem()
    tag, kind, direction = chem.ChiralType, chem.BondType, chem.BondDir
    types = {kind.SINGLE: 0, kind.DOUBLE: 1, kind.TWOANDAHALF: 1, kind.TRIPLE: 2, kind.AROMATIC: 3, kind.ONEANDAHALF: 3}
    types |= dict.fromkeys((kind.THREEANDAHALF, kind.QUADRUPLE, kind.QUINTUPLE, kind.HEXTUPLE), 2)
    return _Categories(
        (NO_ELEMENT, *range(NO_ELEMENT)),
        {tag.CHI_TETRAHEDRAL_CW: 1, tag.CHI_TETRAHEDRAL_CCW: 2},
        types,
        {direction.ENDUPRIGHT: 1, direction.ENDDOWNRIGHT: 2},
    )


def join_graphs(graphs: Sequence[PackedGraph]) -> Graphs:
    """Molecules as one batch: ``x`` (T, 2) int64 of :data:`ATOM_SIZES`, ``edge_attr`` (E, 2) int64 of :data:`BOND_SIZES`.

    Every bond is there in both directions, one behind the other.
    """
    atoms = np.frombuffer(b"".join(graph.atoms for graph in graphs), np.uint8).reshape(-1, 2)
    bonds = np.frombuffer(b"".join(graph.bonds for graph in graphs), np.uint16).reshape(-1, BOND)
    sizes = np.array([graph.size for graph in graphs], np.int64)
    counts = np.array([len(graph.bonds) // (2 * BOND) for graph in graphs], np.int64)
    offsets = np.concatenate([[0], sizes.cumsum()])
    ends = bonds[:, :2].astype(np.int64)
    ends += np.repeat(offsets[:-1], counts)[:, None]
    edges = np.stack([ends, ends[:, ::-1]], 1).reshape(-1, 2).T
    attributes = bonds[:, 2:].astype(np.int64).repeat(2, 0)
    return Graphs(
        torch.from_numpy(atoms.astype(np.int64)),
        torch.from_numpy(np.ascontiguousarray(edges)),
        torch.from_numpy(offsets),
        torch.from_numpy(attributes),
    )


def molecule_graphs(texts: Sequence[str]) -> Graphs:
    """SMILES strings as one batch.

    Raises:
        UserError: a text that is no molecule, with its number.
    """
    found = []
    for number, text in enumerate(texts):
        try:
            found.append(read_graph(text))
        except UserError as error:
            raise UserError(f"molecule {number}: {error}") from error
    return join_graphs(found)


def to_pyg(text: str) -> Any:
    """A SMILES string as torch_geometric's ``Data`` with ``x``, ``edge_index``, ``edge_attr`` and ``smiles``.

    Raises:
        UserError: no molecule.
        MissingPackage: torch_geometric is not installed.
    """
    try:
        from torch_geometric.data import Data
    except ImportError as error:
        raise MissingPackage("torch-geometric", "graph", "graphs as torch_geometric has them") from error
    graph = join_graphs([read_graph(text)])
    return Data(x=graph.x, edge_index=graph.edge_index, edge_attr=graph.edge_attr, smiles=text)
