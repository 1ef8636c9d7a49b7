"""What holds for all models of molecular graphs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.errors import UserError
from core.random import generator
from mmbio.config import MoleBertConfig, MoleBertTokenizerConfig
from mmbio.embedding import embed_residues, embed_sequences
from mmbio.models import load_model, new_model
from mmbio.models.attr_masking import MoleculeAttrMasking
from mmbio.molecules.graphs import molecule_graphs
from mmgraph.config import AttrMaskingConfig
from mmgraph.graph import Graphs

pytest.importorskip("rdkit")

TOKENIZER = MoleBertTokenizerConfig(dim=16, depth=2, codes=(6, 3, 3, 2), kmeans=2)
CONFIGS = {
    "atoms": AttrMaskingConfig(dim=16, depth=2),
    "bonds": AttrMaskingConfig(dim=16, depth=2, mask_edges=True),
    "mole_bert": MoleBertConfig(TOKENIZER, dim=16, depth=2),
    "mole_bert_atoms": MoleBertConfig(TOKENIZER, dim=16, depth=2, mask_edges=False, contrast_weight=0),
    "tokenizer": TOKENIZER,
}
MASKED = [name for name in CONFIGS if name != "tokenizer"]
TEXTS = ["CC(=O)Oc1ccccc1C(=O)O", "C[C@H](N)C(=O)O", "C", "[Na+].[Cl-]", "C/C=C/C#N", "[NH3]->[Pt](Cl)Cl"]


@pytest.fixture(params=list(CONFIGS))
def model(request: pytest.FixtureRequest) -> Any:
    torch.manual_seed(0)
    return new_model(CONFIGS[request.param]).eval()


def permuted(graphs: Graphs, order: torch.Tensor) -> Graphs:
    """One molecule with its atoms in another order, and its bonds in another as well."""
    assert graphs.edge_attr is not None
    shuffled = torch.randperm(graphs.edge_index.shape[1], generator=generator(1))
    edges = order.argsort()[graphs.edge_index][:, shuffled]
    return Graphs(graphs.x[order], edges, None, graphs.edge_attr[shuffled])


def test_atoms_have_no_order(model: Any) -> None:
    one = molecule_graphs(TEXTS[:1])
    order = torch.randperm(len(one.x), generator=generator(0))
    other = permuted(one, order)
    torch.testing.assert_close(model.encode(other), model.encode(one)[order])
    torch.testing.assert_close(model.embed(other), model.embed(one))


def test_a_molecule_is_the_same_alone_and_among_others(model: Any) -> None:
    together = embed_sequences(model, TEXTS)
    atoms = embed_residues(model, TEXTS)
    for number, text in enumerate(TEXTS):
        np.testing.assert_allclose(embed_sequences(model, [text])[0], together[number], rtol=1e-4, atol=1e-5)
        mean = atoms.of(number).astype(np.float32).mean(0)
        np.testing.assert_allclose(mean, together[number], rtol=1e-2, atol=1e-2)
    assert atoms.offsets.tolist() == [0, 13, 19, 20, 22, 27, 31]


def test_saved_and_loaded(model: Any, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path)
    loaded, graphs = load_model(tmp_path), molecule_graphs(TEXTS)
    assert loaded.config == model.config
    assert torch.equal(loaded.encode(graphs), model.encode(graphs))


@pytest.mark.parametrize("name", MASKED)
@pytest.mark.parametrize("mode", ["train", "eval"])
def test_a_mask_replays_and_is_drawn_by_molecule(name: str, mode: str) -> None:
    torch.manual_seed(0)
    model, graphs = new_model(CONFIGS[name]).train(mode == "train"), molecule_graphs(TEXTS)
    draws = lambda: [generator(5, n) for n in range(len(TEXTS))]  # noqa: E731
    mask = model.draw_mask(graphs, draws())
    assert torch.equal(mask.hidden, model.draw_mask(graphs, draws()).hidden)
    assert torch.equal(model.draw_mask(molecule_graphs(TEXTS[:1]), draws()[:1]).hidden, mask.hidden[:13])
    assert mask.counts.tolist() == [2, 1, 1, 1, 1, 1]
    output = model(graphs, mask)
    assert output.loss.isfinite()
    assert torch.equal(model(graphs, mask).loss, output.loss)
    logits, ids = model.told(output)
    assert logits.shape == (7, len(model.token_names))
    assert torch.equal(ids, model.true_ids(graphs)[mask.hidden_index])
    filled = model.reconstruct(graphs, mask)
    torch.testing.assert_close(filled.chances.sum(1), torch.ones(7))


@pytest.mark.parametrize("name", MASKED)
def test_what_is_hidden_is_not_seen(name: str) -> None:
    torch.manual_seed(0)
    model, graphs = new_model(CONFIGS[name]).eval(), molecule_graphs(TEXTS)
    mask = model.draw_mask(graphs, generator(3))
    x = graphs.x.clone()
    x[mask.hidden_index, 0] = (x[mask.hidden_index, 0] + 7) % 119
    changed = Graphs(x, graphs.edge_index, graphs.offsets, graphs.edge_attr)
    one, other = model(graphs, mask), model(changed, mask)
    assert torch.equal(model.told(one)[0], model.told(other)[0])


def test_a_single_atom_cannot_be_normalised_by(model: Any) -> None:
    atom = molecule_graphs(["C"])
    assert model.embed(atom).isfinite().all()
    with pytest.raises(UserError, match="single atom"):
        model.train().encode(atom)


@pytest.mark.parametrize("config", [{"node_vocabulary": (7,)}, {"edge_vocabulary": ()}, {"predict_nodes": (1,)}])
def test_other_vocabularies_are_refused(config: dict) -> None:
    with pytest.raises(ValueError, match=r"^(node_vocabulary|predict_nodes)"):
        MoleculeAttrMasking(AttrMaskingConfig(**config))
