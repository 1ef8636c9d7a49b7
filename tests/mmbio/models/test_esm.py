"""ESM-2 and ESM-1b against the modules of fair-esm, randomly initialised, and their behaviour on their own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from esm_oracle import PADDING, TEXTS, Peer, both, esm1b, esm2, far, regression, unpadded
from torch.nn import functional as F

from core.errors import UserError
from core.random import generator
from core.token_masks import TokenMask
from mmbio.config import ESM1bConfig, ESM2Config, TokenMaskConfig
from mmbio.contacts import ContactHead, predict_contacts
from mmbio.models.esm1b import ESM1b
from mmbio.models.esm2 import ESM2
from mmbio.models.esm_official import load_official
from mmbio.proteins.alphabet import ESM
from mmbio.sequences import join

PEERS = {"esm2": esm2, "esm1b": lambda: esm1b(True), "esm1v": lambda: esm1b(False)}


@pytest.fixture(params=list(PEERS))
def peer(request: pytest.FixtureRequest) -> Peer:
    pytest.importorskip("esm")
    return PEERS[request.param]()


def ours(peer: Peer) -> Any:
    return load_official(peer.content, "official.pt")


def small() -> ESM2:
    torch.manual_seed(0)
    return ESM2(ESM2Config(16, 2, 2)).eval()


def test_the_alphabet_is_the_official_one() -> None:
    alphabet = pytest.importorskip("esm").data.Alphabet.from_architecture("ESM-1b")
    assert list(ESM.tokens) == alphabet.all_toks
    assert ESM.encode("MKTAYX").tolist() == [alphabet.cls_idx, *alphabet.encode("MKTAYX"), alphabet.eos_idx]


@torch.no_grad()
def test_layers_logits_attention_and_contacts_are_the_official_ones(peer: Peer) -> None:
    """On padded batches of unequal length with mask tokens, against our packed ones; ``1e-4`` is relative."""
    model, (tokens, batch) = ours(peer), both(peer)
    depth = model.config.depth
    theirs = peer.model(tokens, repr_layers=range(depth + 1), return_contacts=True)
    x = model.encoder.embed(batch)
    layers = [x, *model.encoder.transformer.layers(x, offsets=batch.offsets)]
    layers[-1] = model.encode(batch)
    for number, layer in enumerate(layers):
        assert far(layer, unpadded(theirs["representations"][number], batch)) < 1e-4, number
    assert far(model.logits(batch), unpadded(theirs["logits"], batch)) < 1e-4
    weights = regression(peer.model)["model"]
    head = ContactHead.of(
        weights["contact_head.regression.weight"],
        weights["contact_head.regression.bias"],
        depth * model.config.heads,
        "official.pt",
    )
    maps, contacts = model.attention_maps(batch), predict_contacts(model, head, batch)
    for number, length in enumerate(batch.lengths.tolist()):
        assert far(maps[number], theirs["attentions"][number, :, :, :length, :length]) < 1e-4
        assert far(contacts[number], theirs["contacts"][number, : length - 2, : length - 2]) < 1e-4


def test_gradients_of_the_loss_are_the_official_ones(peer: Peer) -> None:
    model = ours(peer)
    tokens, batch = both(peer, ["MKTAYIAKQRQISFVK", "GALLV", "MKVLLLLLAWYGGCDH"])
    mask = model.draw_mask(batch, generator(0))
    loss = model(batch, mask).loss
    loss.backward()
    read = tokens.clone()
    read[tokens != PADDING] = mask.write(batch.ids)
    logits = unpadded(peer.model(read)["logits"], batch)
    expected = F.cross_entropy(logits[mask.hidden], batch.ids[mask.hidden])
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    block, layer = model.encoder.transformer.blocks[1], peer.model.layers[1]
    attention = layer.self_attn
    theirs = torch.cat([attention.q_proj.weight.grad, attention.k_proj.weight.grad, attention.v_proj.weight.grad])
    assert far(block.attn.qkv.weight.grad, theirs) < 1e-4
    assert far(block.mlp.fc1.weight.grad, layer.fc1.weight.grad) < 1e-4
    assert far(model.encoder.embedding.weight.grad, peer.model.embed_tokens.weight.grad) < 1e-4
    assert far(model.lm_head.dense.weight.grad, peer.model.lm_head.dense.weight.grad) < 1e-4


@torch.no_grad()
@pytest.mark.parametrize("kind", ["esm2", "esm1b"])
def test_a_sequence_alone_is_the_same_as_in_a_batch(kind: str) -> None:
    torch.manual_seed(0)
    config: Any = ESM2Config(16, 2, 2) if kind == "esm2" else ESM1bConfig(16, 2, 2, positions=40)
    model: Any = (ESM2 if kind == "esm2" else ESM1b)(config).eval()
    texts = ["MKTAYIAKQRQISFVK", "GA", "MKVLLLLLAWYGGCDXBUZOH", "MKTAYIAKQRQISFVK"]
    ids = [ESM.encode(text) for text in texts]
    together = model.encode(join(ids)).split([len(i) for i in ids])
    for alone, row in zip(ids, together, strict=True):
        torch.testing.assert_close(model.encode(join([alone])), row, rtol=1e-5, atol=1e-5)
    maps = model.attention_maps(join(ids))
    assert [m.shape for m in maps] == [(2, 2, len(i), len(i)) for i in ids]
    for m in maps:
        torch.testing.assert_close(m.sum(-1), torch.ones(m.shape[:-1]))
    assert model.embed(join(ids)).shape == (4, 16)


@torch.no_grad()
def test_nothing_but_mask_tokens_stays_finite() -> None:
    """The official code divides by the share of tokens that are no mask tokens; without begin and end that is zero."""
    model = small()
    masks = torch.full((5,), ESM.mask_id)
    for ids in (masks, ESM.wrap(masks.tolist())):
        assert model.logits(join([ids, ESM.encode("MK")])).isfinite().all()


def test_a_batch_without_anything_to_hide_is_named() -> None:
    model = small()
    with pytest.raises(UserError, match=r"2 sequence.* without two tokens that masks may hide"):
        model.draw_mask(join([ESM.encode("M"), ESM.encode("XXXX")]), generator(0))
    batch = join([ESM.encode("M"), ESM.encode("MK")])
    mask = model.draw_mask(batch, generator(0))
    assert mask.counts.tolist() == [0, 1]
    assert model(batch, mask).loss.isfinite()


def test_letters_that_are_no_residues_follow_one_rule() -> None:
    expected = ESM.encode("MKXAX")
    for text in ("mkjax", "MK*AX", "MKJAX*", " MKJ\nAX"):
        assert torch.equal(ESM.encode(text), expected), text
    assert ESM.decode(ESM.encode("MK-A.")) == "MK-A."
    with pytest.raises(UserError, match="character '1' at place 3"):
        ESM.encode("MK1")
    with pytest.raises(UserError, match="empty"):
        ESM.encode(" * ")


def test_a_sequence_that_is_longer_than_the_positions() -> None:
    model = ESM1b(ESM1bConfig(8, 1, 1, positions=6))
    model.encode(join([ESM.encode("MKTA")]))
    with pytest.raises(UserError, match="7 tokens; this model has 6 positions"):
        model.encode(join([ESM.encode("MK"), ESM.encode("MKTAY")]))


@pytest.mark.parametrize("kind", ["random", "span", "contiguous"])
def test_a_mask_can_be_given_again(kind: Any) -> None:
    torch.manual_seed(0)
    model = ESM2(ESM2Config(16, 1, 2, mask=TokenMaskConfig(kind, ratio=0.3)))
    batch = join([ESM.encode(text) for text in ("MKTAYIAKQRQISFVK", "GA", "XXX", "MKVLLLLLAWYGGCDXBUZOH")])
    mask = model.draw_mask(batch, [generator(number) for number in range(4)])
    assert mask.counts.tolist() == [4, 1, 0, 6]  # of 16, 2, 0 and 20 letters that may be hidden
    assert not mask.hidden[~ESM.hideable_ids[batch.ids]].any()
    first, again = model(batch, mask), model(batch, TokenMask(mask.hidden, batch.offsets, mask.written))
    assert torch.equal(first.loss, again.loss)
    assert first.predictions["lm"].shape == (11, len(ESM))
    assert torch.equal(first.targets["lm"], batch.ids[mask.hidden])
    filled = model.reconstruct(batch, mask)
    assert filled.ids.shape == (11,)
    torch.testing.assert_close(filled.chances.sum(-1), torch.ones(11))


def test_checkpointing_gives_the_same_gradients() -> None:
    batch = join([ESM.encode(text) for text in ("MKTAYIAKQRQISFVK", "GA")])
    grads = []
    for checkpointing in (False, True):
        torch.manual_seed(0)
        model = ESM2(ESM2Config(16, 2, 2, checkpointing=checkpointing)).train()
        model(batch, model.draw_mask(batch, generator(0))).loss.backward()
        grads.append([p.grad for p in model.parameters()])
    for plain, again in zip(*grads, strict=True):
        assert torch.equal(plain, again)  # type: ignore[arg-type]


def test_head_and_embedding_are_one_parameter(tmp_path: Any) -> None:
    model = small()
    assert model.lm_head.weight is model.encoder.embedding.weight
    names = [name for name, _ in model.named_parameters()]
    assert "encoder.embedding.weight" in names
    assert "objectives.lm.head.weight" not in names
    model.save_pretrained(tmp_path)
    again = ESM2.from_pretrained(tmp_path)
    assert again.lm_head.weight is again.encoder.embedding.weight
    batch = join([ESM.encode("MKTAY")])
    assert torch.equal(again.logits(batch), model.logits(batch))


@torch.no_grad()
def test_token_dropout_scales_by_the_mask_tokens_of_each_sequence() -> None:
    model = small()
    batch = join([ESM.encode("MKTA"), ESM.wrap([ESM.mask_id, *ESM.token_ids("KTA")])])
    plain = model.encoder.embedding(batch.ids)
    x = model.encoder.embed(batch)
    torch.testing.assert_close(x[:6], plain[:6] * (1 - 0.12))
    assert not x[7].any()
    torch.testing.assert_close(x[8:], plain[8:] * (1 - 0.12) / (1 - 1 / 6))
    without = ESM2(ESM2Config(16, 1, 2, token_dropout=False))
    assert torch.equal(without.encoder.embed(batch), without.encoder.embedding(batch.ids))


def test_half_precision_on_a_cpu() -> None:
    model = small()
    batch = join([ESM.encode(text) for text in TEXTS[:2]])
    expected = model.logits(batch)
    with torch.autocast("cpu", torch.bfloat16):
        assert far(model.logits(batch).float(), expected) < 0.1


def test_the_network_can_be_exported() -> None:
    """One graph without breaks for a sequence of a known length; how packed ones are cut depends on the data."""
    model = small()
    batch = join([ESM.encode("MKTAYIAKQRQISFVK")])
    x = model.encoder.embed(batch)
    exported = torch.export.export(model.encoder.transformer, (x[None],)).module()
    torch.testing.assert_close(model.lm_head.logits(exported(x[None])[0]), model.logits(batch))
