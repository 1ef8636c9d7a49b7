"""Molecules read as graphs and tokenised, against the plain way and torch_geometric: python -m benchmarks.tokenise_molecules"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.timing import Case, installed, run
from mmbio.config import MoleBertTokenizerConfig
from mmbio.data.smiles import nci
from mmbio.models.mole_bert_tokenizer import MoleBertTokenizer, groups_of
from mmbio.molecules.graphs import join_graphs, read_graph
from mmgraph.graph import Graphs

MOLECULES = 500


def read(texts: Sequence[str]) -> Graphs:
    """Ours."""
    return join_graphs([read_graph(text) for text in texts])


def plain_read(texts: Sequence[str]) -> tuple[Tensor, Tensor, Tensor]:
    """The peer: lists of tensors, a molecule at a time, by looking categories up in lists as pretrain-gnns does."""
    from rdkit import Chem

    elements = list(range(1, 119))
    tags = [Chem.ChiralType.values[i] for i in range(4)]
    kinds = [Chem.BondType.SINGLE, Chem.BondType.DOUBLE, Chem.BondType.TRIPLE, Chem.BondType.AROMATIC]
    ways = [Chem.BondDir.NONE, Chem.BondDir.ENDUPRIGHT, Chem.BondDir.ENDDOWNRIGHT]
    xs, edges, attributes, before = [], [], [], 0
    for text in texts:
        molecule = Chem.MolFromSmiles(text)
        atoms = [[elements.index(a.GetAtomicNum()), tags.index(a.GetChiralTag())] for a in molecule.GetAtoms()]
        ends, bonds = [], []
        for bond in molecule.GetBonds():
            i, j = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
            categories = [kinds.index(bond.GetBondType()), ways.index(bond.GetBondDir())]
            ends += [(i, j), (j, i)]
            bonds += [categories, categories]
        xs.append(torch.tensor(atoms, dtype=torch.long))
        edges.append(torch.tensor(ends, dtype=torch.long).view(-1, 2).T + before)
        attributes.append(torch.tensor(bonds, dtype=torch.long).view(-1, 2))
        before += len(atoms)
    return torch.cat(xs), torch.cat(edges, 1), torch.cat(attributes)


def from_smiles(texts: Sequence[str]) -> object:
    """The other peer: torch_geometric's own graphs of molecules, which have nine columns an atom and three a bond."""
    from torch_geometric.data import Batch
    from torch_geometric.utils import from_smiles

    return Batch.from_data_list([from_smiles(text) for text in texts])


def plain_ids(model: MoleBertTokenizer, graphs: Graphs) -> Tensor:
    """Codes the plain way: a message for every bond, distances of every atom to the codes of its element."""
    stack, nodes = model.encoder.stack, len(graphs.x)
    loop = torch.arange(nodes).expand(2, -1)
    own = torch.tensor([4, 0]).expand(nodes, 2)
    assert graphs.edge_attr is not None
    (source, target), attributes = torch.cat([graphs.edge_index, loop], 1), torch.cat([graphs.edge_attr, own])
    x = model.encoder.node_columns(graphs.x)
    for number, (layer, norm) in enumerate(zip(stack.layers, stack.norms, strict=True)):
        assert isinstance(layer, nn.Module)
        messages = x[source] + layer.edges(attributes)  # type: ignore[operator]
        x = norm(layer.outer(F.relu(layer.inner(torch.zeros_like(x).index_add(0, target, messages)))))  # type: ignore[operator]
        x = x if number == len(stack.layers) - 1 else F.relu(x)
    groups, ids, starts = groups_of(graphs), torch.empty(nodes, dtype=torch.long), model.quantizer.starts
    for group in range(4):
        mine = groups == group
        codes = model.quantizer.codebook[starts[group] : starts[group + 1]]
        ids[mine] = torch.cdist(x[mine], codes).argmin(1) + starts[group]
    return ids


def readable(texts: Sequence[str]) -> list[str]:
    """Molecules that the plain way can read."""
    found = []
    for text in texts:
        try:
            plain_read([text])
        except ValueError:
            continue
        found.append(text)
    return found


def cases(device: torch.device) -> list[Case]:
    texts = readable(nci().texts[: MOLECULES + 50])[:MOLECULES]
    ours, theirs = read(texts), plain_read(texts)
    assert ours.edge_attr is not None
    assert all(torch.equal(a, b) for a, b in zip((ours.x, ours.edge_index, ours.edge_attr), theirs, strict=True))
    torch.manual_seed(0)
    model = MoleBertTokenizer(MoleBertTokenizerConfig()).eval().requires_grad_(False).to(device)

    def fresh() -> Graphs:
        return Graphs(ours.x, ours.edge_index, ours.offsets, ours.edge_attr).to(device)

    same = (model.ids(fresh()) == plain_ids(model, fresh())).float().mean()
    assert same > 0.999, same  # rounding may decide between two codes
    plain, pyg = "pretrain-gnns' way", installed("torch-geometric") or "torch-geometric"
    reading = {plain: lambda: plain_read(texts), f"from_smiles of {pyg}": lambda: from_smiles(texts)}
    return [
        Case(f"{MOLECULES} SMILES to graphs", lambda: read(texts), reading),
        Case("graphs to codes, 5 x 300", lambda: model.ids(fresh()), {plain: lambda: plain_ids(model, fresh())}),
        Case(
            "SMILES to codes",
            lambda: model.ids(read(texts).to(device)),
            {plain: lambda: plain_ids(model, read(texts).to(device))},
        ),
    ]


if __name__ == "__main__":
    run(f"Tokenising {MOLECULES} molecules", cases, repeats=9)
