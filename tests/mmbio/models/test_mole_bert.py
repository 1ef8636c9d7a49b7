"""Mole-BERT: its tokenizer, its masks and its losses."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from core.masking import Mask
from core.random import generator
from core.training.data import Microbatch
from core.training.job import masked_step, tokenizer_step
from mmbio.config import MoleBertConfig, MoleBertTokenizerConfig
from mmbio.data.graphs import GraphData
from mmbio.data.sets import SequenceSet
from mmbio.data.smiles import nci
from mmbio.models.mole_bert import MoleBert
from mmbio.models.mole_bert_tokenizer import MoleBertTokenizer, groups_of
from mmbio.models.views import Pair, TwoMasks, pair_cross_entropy, two_views_loss
from mmbio.molecules.graphs import molecule_graphs

pytest.importorskip("rdkit")

CODES = (6, 3, 3, 2)
SMALL = MoleBertTokenizerConfig(dim=16, depth=2, codes=CODES, kmeans=3, decay=0.8, revive=0.5)
TEXTS = nci().texts[:60]


@pytest.fixture
def tokenizer() -> MoleBertTokenizer:
    torch.manual_seed(0)
    return MoleBertTokenizer(SMALL)


def test_published_size() -> None:
    config = MoleBertTokenizerConfig()
    assert sum(config.codes) == 512
    with torch.device("meta"):
        model = MoleBertTokenizer(config)
    assert model.quantizer.codebook.shape == (512, 300)
    assert model.code_names[0] == "C:0"
    assert model.code_names[378] == "N:0"
    assert model.code_names[-1] == "other:22"


def test_codes_are_of_their_element(tokenizer: MoleBertTokenizer) -> None:
    graphs = molecule_graphs(TEXTS)
    optimizer = torch.optim.Adam(tokenizer.parameters(), 0.01)
    first = None
    for _ in range(25):
        output = tokenizer(graphs)
        first = first or float(output.loss.detach())
        output.loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert float(output.loss.detach()) < 0.7 * first
    starts = torch.tensor([0, 6, 9, 12, 14])
    groups = groups_of(graphs)
    assert groups[graphs.x[:, 0] == 7].unique().tolist() == [2]
    for ids in (output.ids, tokenizer.eval().ids(graphs)):
        assert (ids >= starts[groups]).all()
        assert (ids < starts[groups + 1]).all()
        assert len(ids.unique()) > 10


def test_the_loss_is_its_terms(tokenizer: MoleBertTokenizer) -> None:
    graphs = molecule_graphs(TEXTS)
    output = tokenizer.eval()(graphs)
    assert graphs.edge_attr is not None
    expected = {
        "elements": F.cross_entropy(output.decoded.elements, graphs.x[:, 0]),
        "chirality": F.cross_entropy(output.decoded.chirality, graphs.x[:, 1]),
        "bonds": F.cross_entropy(output.decoded.bonds, graphs.edge_attr[:, 0]),
        "commitment": F.mse_loss(tokenizer.encode(graphs), tokenizer.quantizer.decode(output.ids)),
    }
    for name, term in expected.items():
        torch.testing.assert_close(output.parts[name], term.detach(), msg=name)
    total = expected["elements"] + expected["chirality"] + expected["bonds"] + 0.25 * expected["commitment"]
    torch.testing.assert_close(output.loss, total)
    assert torch.equal(output.ids, tokenizer.ids(graphs))
    back = tokenizer.reconstruct(graphs)
    torch.testing.assert_close(back.elements, output.decoded.elements.argmax(-1))
    assert tokenizer(molecule_graphs(["C", "[Na+].[Cl-]"])).loss.isfinite()  # no bonds


def test_what_is_logged(tokenizer: MoleBertTokenizer) -> None:
    data = GraphData(SequenceSet("some", "molecule", TEXTS), range(len(TEXTS)))
    tokenizer(molecule_graphs(TEXTS))
    found = tokenizer.held_out_scores(data)
    assert tokenizer.training
    graphs = molecule_graphs(TEXTS)
    back = tokenizer.eval().reconstruct(graphs)
    assert found["held_out_elements_right"] == pytest.approx(float((back.elements == graphs.x[:, 0]).float().mean()))
    counts = tokenizer.ids(graphs).bincount()
    assert found["held_out_codes"] == int((counts > 0).sum())
    share = counts[counts > 0] / counts.sum()
    assert found["held_out_perplexity"] == pytest.approx(math.exp(-float((share * share.log()).sum())), rel=1e-5)


def test_the_training_steps_run_and_the_tokenizer_stays(tokenizer: MoleBertTokenizer) -> None:
    model = MoleBert(MoleBertConfig(SMALL, dim=16, depth=2))
    tokenizer(molecule_graphs(TEXTS))
    model.start_from(tokenizer)
    before = {name: tensor.clone() for name, tensor in model.tokenizer.state_dict().items()}
    micro = Microbatch(molecule_graphs(TEXTS[:20]), [(0, i) for i in range(20)])
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], 0.01)
    losses = []
    for _ in range(5):
        loss, parts = masked_step(model.train())(model, micro, 0)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]
    assert set(parts) == {"loss_codes", "loss_bonds", "loss_views"}
    assert not model.tokenizer.training
    for name, tensor in model.tokenizer.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    loss, parts = tokenizer_step(tokenizer)(tokenizer, micro, 0)
    assert set(parts) == {"loss_elements", "loss_chirality", "loss_bonds", "loss_commitment"}


def test_targets_are_the_codes_of_either_mask(tokenizer: MoleBertTokenizer) -> None:
    model = MoleBert(MoleBertConfig(SMALL, dim=16, depth=2)).eval()
    model.start_from(tokenizer)
    graphs = molecule_graphs(TEXTS)
    masks = model.draw_mask(graphs, generator(0))
    moved = masks.to("cpu")
    assert isinstance(moved, TwoMasks)
    assert torch.equal(moved.second.scored, masks.second.scored)
    assert int(masks.second.counts.sum()) > int(masks.counts.sum())
    assert not masks.second.hidden[masks.hidden].all()  # drawn by itself
    output = model(graphs, masks)
    ids = tokenizer.eval().ids(graphs)
    for name, one in (("first", masks), ("second", masks.second)):
        assert torch.equal(getattr(output.targets["codes"], name), ids[one.hidden_index])
        assert graphs.edge_attr is not None
        assert torch.equal(getattr(output.targets["bonds"], name), graphs.edge_attr[one.scored, 0])
    weights = {"codes": 1.0, "bonds": 1.0, "views": 1.0}
    torch.testing.assert_close(output.loss.float(), sum(w * output.parts[n].float() for n, w in weights.items()))
    assert isinstance(masks, Mask)


def test_losses_by_hand() -> None:
    logits = Pair(torch.tensor([[0.0, 0.0], [0.0, 0.0]]), torch.tensor([[0.0, math.log(3.0)]]))
    ids = Pair(torch.tensor([0, 1]), torch.tensor([1]))
    assert float(pair_cross_entropy(logits, ids)) == pytest.approx(math.log(2) + math.log(4 / 3))
    nothing = Pair(torch.zeros(0, 2), torch.zeros(0, dtype=torch.int64))
    assert float(pair_cross_entropy(Pair(logits.first, nothing.first), Pair(ids.first, nothing.second))) == (
        pytest.approx(math.log(2))
    )
    first = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    second = torch.tensor([[3.0, 0.0], [3.0, 4.0]])  # cosines 1, .6; 0, .8
    whole = torch.tensor([[1.0, 0.0], [3.0, 4.0]])  # nearer to the first view; is the second view
    same = torch.arange(2)
    contrast = ((0.6 - 1.0) / 0.5 + (0.0 - 0.8) / 0.5) / 2
    triplet = (0 + math.sqrt(13)) / 2
    found = two_views_loss(0.5, 0.1)(torch.stack([first, second, whole]), same)
    assert float(found) == pytest.approx(contrast + 0.1 * triplet, abs=1e-4)
    alone = two_views_loss(0.5, 0.1)(torch.stack([first, second, whole])[:, :1], same[:1])
    assert float(alone) == pytest.approx(0, abs=1e-6)
