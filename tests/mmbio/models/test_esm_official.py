"""Official files of ESM: both layouts, both ways, and files that must be refused."""

from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import torch
from esm_oracle import Peer, both, esm1b, esm2, far, regression, saved, unpadded
from tiny_mmbio import command

from core.errors import UserError
from core.saving import load_foreign
from mmbio.contacts import ContactHead, predict_contacts
from mmbio.models import load_model
from mmbio.models.esm_official import from_official, load_official, to_official
from mmbio.proteins.alphabet import ESM

PEERS = {"esm2": esm2, "esm1b": lambda: esm1b(True), "esm1v": lambda: esm1b(False)}


@pytest.fixture(params=list(PEERS))
def peer(request: pytest.FixtureRequest) -> Peer:
    pytest.importorskip("esm")
    return PEERS[request.param]()


@torch.no_grad()
def test_convert_is_what_the_official_loader_makes_of_the_file(peer: Peer, tmp_path: Path) -> None:
    file = saved(peer.content, tmp_path / "official.pt")
    contacts = saved(regression(peer.model), tmp_path / "official-contact-regression.pt")
    said = command("convert", file, "--contacts", contacts, "--out", tmp_path / "ours")
    assert said.status == 0, said.err
    assert "with its regression of contacts" in said.out
    from esm.pretrained import load_model_and_alphabet_core

    kind = "esm2" if "cfg" in peer.content else "esm1"
    content = torch.load(file, weights_only=False)
    theirs, alphabet = load_model_and_alphabet_core(kind, content, torch.load(contacts, weights_only=False))
    theirs.load_state_dict(peer.model.state_dict())
    ours, (tokens, batch) = load_model(tmp_path / "ours"), both(Peer(theirs.eval(), {}, alphabet))
    found = theirs(tokens, return_contacts=True)
    assert far(ours.logits(batch), unpadded(found["logits"], batch)) < 1e-4
    predicted = predict_contacts(ours, ContactHead.load(tmp_path / "ours"), batch)
    for row, expected in zip(predicted, found["contacts"], strict=True):
        assert far(row, expected[: len(row), : len(row)]) < 1e-4
    again = command("convert", file, "--out", tmp_path / "ours")
    assert again.status == 2
    assert "not empty" in again.err


def test_the_way_back_gives_every_official_weight(peer: Peer) -> None:
    model = load_official(peer.content, "official.pt")
    state = peer.model.state_dict()
    back = to_official(model)
    left = {name for name in state if name not in back}
    assert all("contact_head" in name or name.endswith("inv_freq") for name in left)
    for name, tensor in back.items():
        expected = state[name].clone()
        if name == "embed_positions.weight":
            expected[:2] = 0  # rows that no residue has
        assert torch.equal(tensor, expected), name
    again = from_official(back, model)
    assert all(torch.equal(tensor, again[name]) for name, tensor in model.state_dict().items())
    assert again.keys() == model.state_dict().keys()


def test_the_mask_tokens_embedding_of_esm1b_becomes_zero() -> None:
    pytest.importorskip("esm")
    for peer, expected in ((esm1b(True), False), (esm2(), True)):
        with torch.no_grad():
            peer.model.embed_tokens.weight[ESM.mask_id] = 1.0
        model = load_official(peer.content, "official.pt")
        assert bool(model.encoder.embedding.weight[ESM.mask_id].any()) is expected
        assert model.lm_head.weight is model.encoder.embedding.weight


def test_heads_are_told_by_settings_rotations_contacts_or_the_user(tmp_path: Path) -> None:
    pytest.importorskip("esm")
    two, one = esm2(heads=2), esm1b(True)
    assert load_official(two.content, "x").config.heads == 2
    assert load_official({"model": two.content["model"]}, "x").config.heads == 2  # the rotations
    assert load_official({**one.content["model"], **regression(one.model)["model"]}, "x").config.heads == 3
    with pytest.raises(UserError, match="x: does not say how many attention heads"):
        load_official(one.content["model"], "x")
    assert load_official(one.content["model"], "x", heads=6).config.heads == 6
    with pytest.raises(UserError, match="x: 7 attention heads do not divide its width 24"):
        load_official(one.content["model"], "x", heads=7)
    file = saved(one.content["model"], tmp_path / "bare.pt")
    assert "--recipe" in command("convert", file, "--out", tmp_path / "ours").err
    assert command("convert", file, "--heads", 3, "--out", tmp_path / "ours").status == 0


def test_with_a_recipe_the_sizes_are_the_recipes(tmp_path: Path) -> None:
    pytest.importorskip("esm")
    peer = esm2(depth=1, dim=16, heads=2)
    recipe = tmp_path / "tiny.yaml"
    recipe.write_text("# A test\nsystem: esm2\nmodel: {dim: 16, depth: 1, heads: 2}\n")
    file = saved(peer.content["model"], tmp_path / "a.pt")
    assert command("convert", file, "--recipe", recipe, "--out", tmp_path / "ours").status == 0
    recipe.write_text("# A test\nsystem: esm2\nmodel: {dim: 16, depth: 2, heads: 2}\n")
    said = command("convert", file, "--recipe", recipe, "--out", tmp_path / "other")
    assert said.status == 2
    assert "layers.1.self_attn.q_proj.weight is missing" in said.err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"encoder.sentence_encoder.layers.0.fc9.weight": torch.zeros(1)}, "layers.0.fc9.weight is not an entry"),
        ({"encoder.sentence_encoder.layers.0.fc1.weight": torch.zeros(3, 3)}, "of another shape"),
        ({"encoder.lm_head.weight": torch.zeros(33, 32)}, "tied to the embeddings"),
        ({"encoder.sentence_encoder.layers.1.self_attn.q_proj.bias": None}, "q_proj.bias is missing"),
        ({"encoder.sentence_encoder.embed_tokens.weight": None}, "not the weights of ESM-1b, ESM-1v or ESM-2"),
        ({"encoder.lm_head.dense.bias": None}, "1 missing"),
    ],
)
def test_another_architecture_is_named(change: dict[str, Any], said: str) -> None:
    pytest.importorskip("esm")
    content = esm2().content
    state = {name: tensor for name, tensor in {**content["model"], **change}.items() if tensor is not None}
    with pytest.raises(UserError, match=said) as caught:
        load_official({**content, "model": state}, "a.pt")
    assert str(caught.value).startswith("a.pt: ")


def test_a_regression_of_another_size_or_none(tmp_path: Path) -> None:
    pytest.importorskip("esm")
    file = saved(esm2(depth=1).content, tmp_path / "a.pt")
    other = saved(regression(esm2(depth=2).model), tmp_path / "b.pt")
    said = command("convert", file, "--contacts", other, "--out", tmp_path / "out")
    assert said.status == 2
    assert "b.pt: a regression of 8 attention maps; the model has 4" in said.err
    said = command("convert", file, "--contacts", file, "--out", tmp_path / "out")
    assert said.status == 2
    assert "no contact_head.regression in it" in said.err
    assert not (tmp_path / "out").exists()
    with pytest.raises(UserError, match=r"contacts\.safetensors: no such file"):
        ContactHead.load(tmp_path)


class Attack:
    """Its pickle makes a folder when it is read by a careless reader."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("where", ["beside", "inside"])
def test_settings_are_read_and_code_beside_them_is_not(tmp_path: Path, where: str) -> None:
    """A Namespace is let in, a call in it or beside it is refused before it is made."""
    attack = Attack(tmp_path / "made")
    args = Namespace(layers=3, inner=attack) if where == "inside" else Namespace(layers=3)
    file = saved({"args": args, "model": {}, **({"x": attack} if where == "beside" else {})}, tmp_path / "a.pt")
    with pytest.raises(UserError, match=r"holds objects that could execute code, refused"):
        load_foreign(file)
    said = command("convert", file, "--out", tmp_path / "out")
    assert said.status == 2
    assert "refused" in said.err
    assert not (tmp_path / "made").exists()
    harmless = load_foreign(saved({"args": Namespace(layers=3)}, tmp_path / "b.pt"))
    assert harmless["args"].layers == 3
    with pytest.raises(Exception, match="Namespace"):  # the list of allowed classes is a matter of load_foreign only
        torch.load(tmp_path / "b.pt", weights_only=True)


def test_a_file_without_weights() -> None:
    with pytest.raises(UserError, match=r"a\.pt: holds no state dict"):
        load_official({"epoch": 3}, "a.pt")
