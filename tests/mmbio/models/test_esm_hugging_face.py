"""Files of ESM in the layout of Hugging Face: which network they are of, which their names do not always tell."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from esm_oracle import Peer, both, esm1b, esm2, far, hugging_face_names, unpadded, write_settings
from safetensors.torch import save_file
from tiny_mmbio import command
from torch import Tensor

from core.errors import UserError
from mmbio.contacts import ContactHead
from mmbio.models import load_model
from mmbio.models.esm1b import ESM1b
from mmbio.models.esm2 import ESM2
from mmbio.models.esm_official import load_official
from mmbio.models.esm_sizes import settings_beside
from mmbio.proteins.alphabet import ESM

PEERS = {"esm2": esm2, "esm1b": lambda: esm1b(True), "esm1v": lambda: esm1b(False)}
TABLE = "esm.embeddings.position_embeddings.weight"


@pytest.fixture(params=list(PEERS))
def peer(request: pytest.FixtureRequest) -> Peer:
    pytest.importorskip("esm")
    return PEERS[request.param]()


def names_of(peer: Peer) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in hugging_face_names(peer.model).items()}


def without(weights: dict[str, Tensor], part: str) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in weights.items() if part not in name}


@torch.no_grad()
def converts(peer: Peer, source: Path, *words: object) -> Any:
    """See that `mmbio convert` makes the peer's network of a file or folder; the model."""
    out = source.parent / "ours"
    said = command("convert", source, "--out", out, *words)
    assert said.status == 0, said.err
    ours, (tokens, batch) = load_model(out), both(peer)
    assert far(ours.logits(batch), unpadded(peer.model(tokens)["logits"], batch)) < 1e-4
    return ours


def test_one_file_with_its_settings(peer: Peer, tmp_path: Path) -> None:
    (tmp_path / "hub").mkdir()
    weights = names_of(peer)
    save_file(weights, tmp_path / "hub" / "model.safetensors")
    rotates = any("inv_freq" in name for name in weights)
    assert (TABLE in weights) is True  # also of ESM-2, which does not read it
    write_settings(tmp_path / "hub", 4 if rotates else 3, "rotary" if rotates else "absolute")
    ours = converts(peer, tmp_path / "hub" / "model.safetensors")
    assert isinstance(ours, ESM2 if rotates else ESM1b)
    head = ContactHead.load(tmp_path / "hub" / "ours")
    assert head.regression.in_features == ours.config.depth * ours.config.heads
    torch.save(weights, tmp_path / "hub" / "pytorch_model.bin")
    (tmp_path / "hub" / "model.safetensors").unlink()
    converts(peer, tmp_path / "hub")


def test_rotations_tell_esm2_in_either_place() -> None:
    pytest.importorskip("esm")
    peer = esm2()
    weights = names_of(peer)
    angles = next(tensor for name, tensor in weights.items() if name.endswith("inv_freq"))
    assert load_official(weights, "x").config.heads == 4
    for shared in ("esm.rotary_embeddings.inv_freq", "esm.encoder.layer.*.attention.self.rotary_embeddings.inv_freq"):
        found = load_official({**without(weights, "inv_freq"), shared: angles}, "x")
        assert isinstance(found, ESM2)
        assert found.config.heads == 4


def test_norms_by_the_names_that_transformers_5_writes() -> None:
    pytest.importorskip("esm")
    weights = names_of(esm2())
    old = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    renamed = {}
    for name, tensor in weights.items():
        end = next((end for end in old if name.endswith(f".{end}")), "")
        renamed[name.removesuffix(end) + old.get(end, "")] = tensor
    assert sum("gamma" in name for name in renamed) == 2 * 3
    one, other = load_official(weights, "x").state_dict(), load_official(renamed, "x").state_dict()
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_without_rotations_the_norm_before_or_the_settings_tell(tmp_path: Path) -> None:
    pytest.importorskip("esm")
    bare = without(names_of(esm2()), "inv_freq")
    assert isinstance(load_official(without(bare, "position_embeddings"), "x"), ESM2)
    assert isinstance(load_official(names_of(esm1b(True)), "x", heads=3), ESM1b)
    for weights in (bare, names_of(esm1b(False))):
        with pytest.raises(UserError, match=r"x: has a table of positions.* expected config\.json"):
            load_official(weights, "x", heads=2)
    assert isinstance(load_official(bare, "x", 4, {"position_embedding_type": "rotary"}), ESM2)
    save_file(bare, tmp_path / "model.safetensors")
    said = command("convert", tmp_path / "model.safetensors", "--out", tmp_path / "none")
    assert said.status == 2
    assert "ESM-1v reads and files of ESM-2 may hold unread" in said.err
    write_settings(tmp_path, 4, "rotary")
    assert isinstance(converts(esm2(), tmp_path / "model.safetensors"), ESM2)


def test_a_recipe_tells_too(tmp_path: Path) -> None:
    pytest.importorskip("esm")
    (tmp_path / "tiny.yaml").write_text("# A test\nsystem: esm2\nmodel: {dim: 32, depth: 3, heads: 4}\n")
    save_file(without(names_of(esm2()), "inv_freq"), tmp_path / "model.safetensors")
    converts(esm2(), tmp_path / "model.safetensors", "--recipe", tmp_path / "tiny.yaml")
    sizes = "{dim: 32, depth: 3, heads: 4, positions: 38, norm_before: false}"
    (tmp_path / "other.yaml").write_text(f"# A test\nsystem: esm1b\nmodel: {sizes}\n")
    save_file(names_of(esm2()), tmp_path / "with.safetensors")
    said = command(
        "convert", tmp_path / "with.safetensors", "--recipe", tmp_path / "other.yaml", "--out", tmp_path / "o"
    )
    assert said.status == 2
    assert (
        "embed_positions.weight is missing" in said.err
    )  # a network that rotates is not ESM-1v, whatever the recipe says


def test_the_mask_tokens_embedding_stays() -> None:
    """Unlike in fair-esm's files, whose loader sets it to zero."""
    pytest.importorskip("esm")
    weights = names_of(esm1b(True))
    for name in ("esm.embeddings.word_embeddings.weight", "lm_head.decoder.weight"):
        weights[name][ESM.mask_id] = 1.0
    assert bool((load_official(weights, "x", heads=3).encoder.embedding.weight[ESM.mask_id] == 1).all())


@pytest.mark.parametrize(
    ("kind", "positions", "said"),
    [
        ("esm2", "absolute", "position_embedding_type absolute beside it, but it has rotations"),
        ("esm2", "relative_key", "'relative_key' beside it; expected rotary or absolute"),
        ("esm1b", "rotary", "is not an entry of the state dict of ESM2"),
    ],
)
def test_settings_that_contradict_the_weights(tmp_path: Path, kind: str, positions: str, said: str) -> None:
    pytest.importorskip("esm")
    save_file(names_of(PEERS[kind]()), tmp_path / "model.safetensors")
    write_settings(tmp_path, 4 if kind == "esm2" else 3, positions)
    found = command("convert", tmp_path, "--out", tmp_path / "out")
    assert found.status == 2
    assert said in found.err
    bare = without(names_of(esm2()), "inv_freq")
    with pytest.raises(UserError, match="has no table of positions"):
        load_official(without(bare, "position_emb"), "x", 4, {"position_embedding_type": "absolute"})


def test_settings_beside(tmp_path: Path) -> None:
    assert settings_beside(tmp_path) == settings_beside(tmp_path / "model.safetensors") == {}
    write_settings(tmp_path, 20, "rotary", token_dropout=False, layer_norm_eps=1e-5)
    expected = {"attention_heads": 20, "token_dropout": False, "position_embedding_type": "rotary"}
    assert settings_beside(tmp_path) == settings_beside(tmp_path / "model.safetensors") == expected
    write_settings(tmp_path, 20, "rotary", layer_norm_eps=1e-12)
    with pytest.raises(UserError, match=r"config\.json: layer_norm_eps 1e-12; expected 1e-05"):
        settings_beside(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    assert settings_beside(tmp_path) == {}
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(UserError, match=r"config\.json: not JSON"):
        settings_beside(tmp_path)


def test_weights_in_several_files(tmp_path: Path) -> None:
    pytest.importorskip("esm")
    peer, hub = esm2(), tmp_path / "hub"
    hub.mkdir()
    weights, places = names_of(peer), {}
    for number in range(3):
        some = dict(list(weights.items())[number::3])
        save_file(some, hub / f"model-{number}.safetensors")
        places |= dict.fromkeys(some, f"model-{number}.safetensors")
    (hub / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    converts(peer, hub)
    (hub / "model-1.safetensors").unlink()
    said = command("convert", hub / "model.safetensors.index.json", "--out", tmp_path / "other")
    assert said.status == 2
    assert "1 of 3 files with its weights are missing (model-1.safetensors)" in said.err
