"""SMILES-BERT: torch's own encoder as oracle, positions, vocabularies, a pretraining from the command line."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
import torch
from tiny_mmbio import command, write_recipe
from torch import nn

from core.random import generator
from mmbio.config import SmilesBertConfig
from mmbio.layers.sinusoids import sinusoids
from mmbio.models import load_model
from mmbio.models.smiles_bert import FIRST_POSITION, SmilesBert
from mmbio.molecules.vocabulary import SPECIAL
from mmbio.sequences import join

TINY = SmilesBertConfig(dim=16, depth=2, heads=4, hidden=24)
TEXTS = ("CC(=O)Oc1ccccc1C(=O)O", "C", "CCO", "c1ccncc1")


def test_torch_as_oracle() -> None:
    torch.manual_seed(0)
    model = SmilesBert(TINY).eval()
    layer = nn.TransformerEncoderLayer(16, 4, 24, activation="gelu", batch_first=True)
    oracle = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval()
    for theirs, block in zip(oracle.layers, model.encoder.transformer.blocks, strict=True):
        theirs.load_state_dict(
            {
                "self_attn.in_proj_weight": block.attn.qkv.weight,
                "self_attn.in_proj_bias": block.attn.qkv.bias,
                **{f"self_attn.out_proj.{n}": p for n, p in block.attn.proj.named_parameters()},
                **{f"linear1.{n}": p for n, p in block.mlp.fc1.named_parameters()},
                **{f"linear2.{n}": p for n, p in block.mlp.fc2.named_parameters()},
                **{f"norm1.{n}": p for n, p in block.norm1.named_parameters()},
                **{f"norm2.{n}": p for n, p in block.norm2.named_parameters()},
            }
        )
    batch = join([model.vocabulary.encode(text) for text in TEXTS])
    for ids, found in zip(batch.split(), model.encode(batch).split(batch.lengths.tolist()), strict=True):
        x = 4 * model.encoder.embedding(ids) + sinusoids(torch.arange(len(ids)) + FIRST_POSITION, 16)
        torch.testing.assert_close(found, oracle(x.unsqueeze(0))[0], rtol=1e-4, atol=1e-5)


def test_positions() -> None:
    found = sinusoids(torch.tensor([0, 3, 700]), 8)
    for row, position in enumerate((0, 3, 700)):
        rates = [10000 ** (-i / 3) for i in range(4)]
        expected = [math.sin(position * r) for r in rates] + [math.cos(position * r) for r in rates]
        torch.testing.assert_close(found[row], torch.tensor(expected), rtol=1e-4, atol=1e-4)


def test_a_sequence_alone_is_as_in_a_batch() -> None:
    torch.manual_seed(0)
    model = SmilesBert(TINY).eval()
    ids = [model.vocabulary.encode(text) for text in TEXTS]
    for one, found in zip(ids, model.embed(join(ids)), strict=True):
        torch.testing.assert_close(model.embed(join([one]))[0], found, rtol=1e-4, atol=1e-5)


def test_masks_and_replay() -> None:
    torch.manual_seed(0)
    model = SmilesBert(TINY).eval()
    batch = join([model.vocabulary.encode(text) for text in TEXTS])
    mask = model.draw_mask(batch, [generator(0, n) for n in range(4)])
    assert not model.vocabulary.special_ids[batch.ids[mask.hidden]].any()
    assert [int(part.sum()) for part in mask.hidden.split(batch.lengths.tolist())] == [3, 0, 1, 1]
    assert torch.equal(model(batch, mask).loss, model(batch, mask).loss)
    assert model.reconstruct(batch, mask).chances.shape == (5, len(model.vocabulary))


def test_characters() -> None:
    model = SmilesBert(dataclasses.replace(TINY, splitting="characters")).eval()
    assert len(model.vocabulary) == 46
    batch = join([model.vocabulary.encode("C[C@@H](Cl)Br")])
    assert model.logits(batch).shape == (13, 46)


def test_saved_with_its_tokens(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = SmilesBert(dataclasses.replace(TINY, tokens=(*SPECIAL, "C", "N"))).eval()
    model.save_pretrained(tmp_path)
    loaded = load_model(tmp_path)
    assert isinstance(loaded, SmilesBert)
    assert loaded.vocabulary.tokens == model.vocabulary.tokens
    batch = join([model.vocabulary.encode("CNCO")])
    assert batch.ids.tolist() == [0, 5, 6, 5, 4, 1]
    assert torch.equal(loaded.logits(batch), model.logits(batch))


def test_it_learns() -> None:
    torch.manual_seed(0)
    model = SmilesBert(dataclasses.replace(TINY, dropout=0.0)).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    batch = join([model.vocabulary.encode(text) for text in TEXTS])
    mask = model.draw_mask(batch, generator(0))
    losses = []
    for _ in range(30):
        loss = model(batch, mask).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > 3
    assert losses[-1] < 0.1


@pytest.mark.parametrize(
    ("system", "model"),
    [
        ("smiles_bert", {"dim": 16, "depth": 1, "heads": 2, "hidden": 16}),
        ("molformer", {"dim": 16, "depth": 1, "heads": 2, "hidden": 16, "features": 8}),
    ],
)
def test_command_line(tmp_path: Path, system: str, model: dict) -> None:
    pytest.importorskip("rdkit")
    (tmp_path / "some.smi").write_text("\n".join(["CCO", "CC(=O)O", "c1ccccc1N", "CCCCl", "C[C@H](N)C(=O)O"] * 8))
    recipe = write_recipe(
        tmp_path / "tiny.yaml",
        {
            "system": system,
            "data": f"smiles:{tmp_path / 'some.smi'}",
            "model": model,
            "text": {"held_out": 0.2},
            "optim": {"warmup_epochs": 0, "lr": 0.01},
            "train": {"epochs": 2, "batch_size": 8, "bucket": 0},
            "run": {"accelerator": "cpu", "log_steps": 1},
        },
    )
    said = command("pretrain", recipe, "--out", tmp_path / "run")
    assert said.status == 0, said.err
    assert (tmp_path / "run/report.html").exists()
    loaded = load_model(tmp_path / "run")
    assert loaded.embed(join([loaded.vocabulary.encode("CCO")])).shape == (1, 16)

    (tmp_path / "some.smi").write_text("CCO\nC1CC\n")
    said = command("pretrain", recipe, "--out", tmp_path / "again")
    assert said.status == 2
    assert "some.smi, line 2" in said.err
    assert "ring 1" in said.err


@pytest.mark.parametrize("wrong", [{"dim": 18}, {"dim": 2, "heads": 1}, {"dropout": -0.1}, {"hidden": 0}])
def test_settings_that_make_no_model(wrong: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        dataclasses.replace(TINY, **wrong)
