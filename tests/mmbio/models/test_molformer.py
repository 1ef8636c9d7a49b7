"""MolFormer: parity with the official encoder and head, replay, feature maps, packed batches, saved weights."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from core.errors import UserError
from core.random import generator
from mmbio.config import MolFormerConfig
from mmbio.layers.linear_attention import EPS, linear_attention, random_directions
from mmbio.models import load_model
from mmbio.models.molformer import MolFormer, MolFormerMask
from mmbio.models.molformer_official import OMEGA, from_official, renamed
from mmbio.molecules.vocabulary import SPECIAL
from mmbio.sequences import Sequences, join

TINY = MolFormerConfig(dim=24, depth=2, heads=2, hidden=24, features=8)
TOKENS = ("<bos>", "<eos>", "<pad>", "<mask>", *(f"[{n}]" for n in range(45)), "<unk>")


def arrays(shared: Path) -> dict[str, Tensor]:
    with np.load(shared / "golden/molformer_layers.npz") as found:
        return {name: torch.from_numpy(found[name]) for name in found.files}


def official_weights(golden: dict[str, Tensor], run: str = "") -> dict[str, Tensor]:
    """The official state dict; with the features of a run as a checkpoint has them."""
    weights = {name.removeprefix("weight/"): value for name, value in golden.items() if name.startswith("weight/")}
    if run:
        weights |= {f"blocks.layers.{n}.{OMEGA}": golden[f"{run}/omega/{n}"] for n in range(2)}
    return weights


@pytest.mark.parametrize("run", ["nomask", "lengthmask"])
def test_official_outputs_and_gradients(shared: Path, run: str) -> None:
    golden = arrays(shared)
    lengths = golden["in/lengths"] if run == "lengthmask" else torch.full((3,), 19)
    inside = torch.arange(19) < lengths.unsqueeze(1)
    clean, read = golden["in/ids_clean"][inside], golden["in/input_ids"][inside]
    targets = golden["in/targets"][inside]
    batch = Sequences(clean, torch.cat([lengths.new_zeros(1), lengths.cumsum(0)]))
    omega = torch.stack([golden[f"{run}/omega/{n}"] for n in range(2)])
    hidden = targets != -100
    mask = MolFormerMask(hidden, batch.offsets, read[hidden], omega)
    assert torch.equal(mask.write(clean), read)

    model = from_official(official_weights(golden), TOKENS, heads=4)
    output = model(batch, mask)
    close = {"rtol": 1e-5, "atol": 1e-5}
    torch.testing.assert_close(output.latent, golden[f"{run}/hidden"][inside], **close)
    torch.testing.assert_close(model.lm_head.logits(output.latent), golden[f"{run}/logits"][inside], **close)
    torch.testing.assert_close(output.predictions["lm"], golden[f"{run}/logits"][inside][hidden], **close)
    assert output.loss.item() == pytest.approx(float(golden[f"{run}/loss"]), rel=1e-5)

    output.loss.backward()
    gradients = {name: p.grad for name, p in model.named_parameters()}
    key = gradients["encoder.blocks.0.attn.qkv.weight"]
    assert key is not None
    for ours, theirs in (
        (gradients["encoder.embedding.weight"], "tok_emb.weight"),
        (key.chunk(3)[1], "blocks.layers.0.attention.key_projection.weight"),
        (gradients["encoder.blocks.1.fc2.weight"], "blocks.layers.1.linear2.weight"),
    ):
        torch.testing.assert_close(ours, golden[f"{run}/grad/{theirs}"], **close)


def test_features_of_a_checkpoint_are_those_of_evaluation(shared: Path) -> None:
    golden = arrays(shared)
    model = from_official(official_weights(golden, "nomask"), TOKENS, heads=4)
    batch = join(list(golden["in/input_ids"]))
    torch.testing.assert_close(model.encode(batch), golden["nomask/hidden"].flatten(0, 1), rtol=1e-5, atol=1e-5)


def test_features_are_drawn_as_officially(shared: Path) -> None:
    golden = arrays(shared)
    draws = torch.Generator().manual_seed(11)
    for layer in range(2):
        torch.testing.assert_close(
            random_directions(12, 32, draws), golden[f"nomask/omega/{layer}"], rtol=1e-5, atol=1e-5
        )


def test_official_files(shared: Path, tmp_path: Path) -> None:
    weights = official_weights(arrays(shared))
    with pytest.raises(UserError, match=r"blocks\.extra\.weight is not an entry"):
        renamed({**weights, "blocks.extra.weight": torch.zeros(1)})
    with pytest.raises(UserError, match="needs queries, keys and values"):
        renamed({n: w for n, w in weights.items() if "layers.1.attention.key_projection.bias" not in n})
    with pytest.raises(UserError, match=r"embeddings of 50 tokens; the vocabulary has 49"):
        from_official(weights, (*TOKENS[:48], "<unk>"), heads=4)
    with pytest.raises(UserError, match="not of such a model"):
        from_official({}, TOKENS, heads=4)


def smiles(model: MolFormer, *texts: str) -> Sequences:
    return join([model.vocabulary.encode(text) for text in texts])


def test_linear_attention_is_its_formula() -> None:
    draws = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(9, 2, 6, generator=draws) for _ in range(3))
    omega = random_directions(6, 10, draws)
    offsets = torch.tensor([0, 5, 9])
    for head in range(2):
        for begin, end in ((0, 5), (5, 9)):
            q, k, v = (t[begin:end, head] for t in (query, key, value))
            weights = F.relu(q @ omega) @ F.relu(k @ omega).T
            expected = weights @ v / (weights.sum(1, keepdim=True) + EPS)
            found = linear_attention(query, key, value, offsets, omega)[begin:end, head]
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_directions_are_orthogonal_in_groups() -> None:
    found = random_directions(6, 10, torch.Generator().manual_seed(0))
    for group in (found[:, :6], found[:, 6:]):
        product = group.T @ group
        torch.testing.assert_close(product, product.diagonal().diag(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("attention", ["linear", "exact"])
def test_a_sequence_alone_is_as_in_a_batch(attention: str) -> None:
    torch.manual_seed(0)
    model = MolFormer(dataclasses.replace(TINY, attention=attention)).eval()
    texts = ("CCO", "c1ccccc1C(=O)O", "C", "CCN")
    together = model.encode(smiles(model, *texts)).split([5, 16, 3, 5])
    for text, found in zip(texts, together, strict=True):
        torch.testing.assert_close(model.encode(smiles(model, text)), found, rtol=1e-4, atol=1e-5)


def test_a_mask_replays_in_training_mode() -> None:
    torch.manual_seed(0)
    model = MolFormer(dataclasses.replace(TINY, dropout=0.0, embedding_dropout=0.0)).train()
    batch = smiles(model, "CCOC(=O)c1ccccc1", "CCN")
    mask, other = model.draw_mask(batch, generator(0)), model.draw_mask(batch, generator(1))
    assert mask.omega is not None
    assert mask.omega.shape == (2, 12, 8)
    assert torch.equal(model(batch, mask).loss, model(batch, mask).loss)
    assert not torch.equal(mask.omega, other.omega)
    again = MolFormerMask(mask.hidden, mask.offsets, mask.written, other.omega)
    assert not torch.equal(model(batch, mask).loss, model(batch, again).loss)
    one_a_sample = model.draw_mask(batch, [generator(0, 0), generator(0, 1)])
    assert torch.equal(one_a_sample.omega, model.draw_mask(batch, [generator(0, 0), generator(0, 1)]).omega)
    assert model.eval().draw_mask(batch, generator(0)).omega is None
    special = model.vocabulary.special_ids
    assert not special[batch.ids[mask.hidden]].any()
    assert model.vocabulary.tokens[:5] == SPECIAL


def test_exact_attention_draws_no_features() -> None:
    model = MolFormer(dataclasses.replace(TINY, attention="exact")).train()
    batch = smiles(model, "CCOC(=O)c1ccccc1")
    mask = model.draw_mask(batch, generator(0))
    assert mask.omega is None
    assert model(batch, mask).loss.isfinite()
    assert not list(model.buffers())


def test_weights_of_exact_attention_are_under_dropout() -> None:
    config = dataclasses.replace(TINY, attention="exact", tokens=TOKENS, dropout=0.25, embedding_dropout=0.5)
    model = MolFormer(config)
    assert {block.attn.dropout for block in model.encoder.blocks} == {0.25}  # type: ignore[union-attr]


def test_saved_with_its_features_and_tokens(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = MolFormer(dataclasses.replace(TINY, tokens=(*SPECIAL, "C", "N", "[Pt+2]"))).eval()
    model.save_pretrained(tmp_path)
    torch.manual_seed(1)
    loaded = load_model(tmp_path)
    assert loaded.vocabulary.tokens == model.vocabulary.tokens
    batch = smiles(model, "CCN[Pt+2]C", "OC")
    assert batch.ids.tolist()[-3] == SPECIAL.index("<unk>")
    assert torch.equal(loaded.encode(batch), model.encode(batch))


def test_bfloat16_keeps_its_sums_exact() -> None:
    torch.manual_seed(0)
    model = MolFormer(TINY).eval()
    batch = smiles(model, "CCOC(=O)c1ccccc1" * 20)
    exact = model.encode(batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = model.encode(batch)
    assert (exact - rounded.float()).abs().mean() < 0.05


@pytest.mark.parametrize("wrong", [{"dim": 25}, {"heads": 0}, {"dropout": 1.0}, {"features": 0}])
def test_settings_that_make_no_model(wrong: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        dataclasses.replace(TINY, **wrong)
