"""TAPE's transformer against its official code, and as a model of ours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from core.errors import UserError
from core.random import generator
from core.saving import load_strictly
from core.token_masks import TokenMask
from mmbio.config import TapeConfig
from mmbio.models import load_model, new_model
from mmbio.models.tape import Tape
from mmbio.models.tape_official import from_official
from mmbio.proteins.alphabet import IUPAC
from mmbio.sequences import Sequences, join

TINY = TapeConfig(dim=48, depth=2, heads=4, hidden=96, positions=64)


class Golden:
    """The official arrays, and the same batch packed."""

    def __init__(self, path: Path) -> None:
        self.arrays = dict(np.load(path))
        self.real = torch.tensor(self["in/input_mask"]).bool()
        clean = torch.tensor(self["in/token_ids_clean"])
        self.batch = join([row[keep] for row, keep in zip(clean, self.real, strict=True)])
        hidden = torch.tensor(self["in/targets"])[self.real] >= 0
        read = torch.tensor(self["in/input_ids"])[self.real]
        self.mask = TokenMask(hidden, self.batch.offsets, read[hidden])
        self.read = Sequences(read, self.batch.offsets)
        self.model = Tape(TINY).eval()
        official = {
            k.removeprefix("weight/"): torch.tensor(v) for k, v in self.arrays.items() if k.startswith("weight/")
        }
        load_strictly(self.model, from_official(official), "golden")

    def __getitem__(self, name: str) -> np.ndarray:
        return self.arrays[name]

    def packed(self, name: str) -> torch.Tensor:
        return torch.tensor(self[name])[self.real]


@pytest.fixture(scope="module")
def golden(shared: Path) -> Golden:
    return Golden(shared / "golden/tape_transformer.npz")


def close(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_vocabulary_has_the_official_order(golden: Golden) -> None:
    for text, ids in zip(golden["in/sequences"], golden.batch.split(), strict=True):
        assert IUPAC.encode(str(text)).tolist() == ids.tolist()
    assert (len(IUPAC), IUPAC.pad_id, IUPAC.mask_id) == (30, 0, 1)


def test_states_maps_and_pooler_are_the_official_ones(golden: Golden) -> None:
    model, read = golden.model, golden.read
    with torch.no_grad():
        for number, state in enumerate(model.hidden_states(read)):
            close(state, golden.packed(f"out/hidden_states/{number}"))
        close(model.logits(read), golden.packed("out/logits"))
        close(model.pooled(read), torch.tensor(golden["hook/bert.pooler/0"]))
        maps = model.attention_maps(read)
    for sample, (found, length) in enumerate(zip(maps, read.lengths.tolist(), strict=True)):
        for layer in range(2):
            close(found[layer], torch.tensor(golden[f"out/attentions/{layer}"])[sample, :, :length, :length])


def test_loss_and_gradients_are_the_official_ones(golden: Golden) -> None:
    model = golden.model
    model.zero_grad()
    output = model(golden.batch, golden.mask)
    output.loss.backward()
    close(output.loss.detach(), torch.tensor(golden["out/loss"]))
    grad = model.encoder.bert.embedding.weight.grad
    theirs = torch.tensor(golden["grad/bert.embeddings.word_embeddings.weight"])
    close(grad[1:], theirs[1:])  # nothing reads the padding row here; both send it what the tied decoder sends
    close(model.encoder.bert.transformer.blocks[0].attn.qkv.weight.grad[:48],
          torch.tensor(golden["grad/bert.encoder.layer.0.attention.self.query.weight"]))  # fmt: skip
    close(model.lm_head.bias.grad, torch.tensor(golden["grad/mlm.bias"]))
    close(model.encoder.bert.transformer.blocks[1].norm2.weight.grad,
          torch.tensor(golden["grad/bert.encoder.layer.1.output.LayerNorm.weight"]))  # fmt: skip
    model.zero_grad()


def test_special_tokens_are_neither_hidden_nor_drawn() -> None:
    model = Tape(TINY)
    batch = join([IUPAC.encode("ACDEFGHIKLMNPQRSTVWY" * 2)] * 20)
    mask = model.draw_mask(batch, generator(0))
    special = IUPAC.special_ids[batch.ids]
    assert not (mask.hidden & special).any()
    assert mask.counts.tolist() == [6] * 20
    drawn = {IUPAC.tokens[i] for i in mask.written.tolist()} - {"<mask>"}
    assert drawn <= set("ACDEFGHIKLMNPQRSTVWY")


def test_a_sequence_alone_is_as_in_a_batch(golden: Golden) -> None:
    alone = [golden.model.encode(join([ids])) for ids in golden.read.split()]
    torch.testing.assert_close(torch.cat(alone), golden.model.encode(golden.read))


def test_saved_and_loaded(golden: Golden, tmp_path: Path) -> None:
    golden.model.save_pretrained(tmp_path)
    again = load_model(tmp_path)
    assert torch.equal(again.logits(golden.read), golden.model.logits(golden.read))


def test_too_long_and_foreign_weights_are_errors() -> None:
    model = new_model(TINY)
    with pytest.raises(UserError, match="66 tokens; this model has 64 positions"):
        model.encode(join([IUPAC.encode("A" * 64)]))
    with pytest.raises(UserError, match=r"bert\.strange is not an entry"):
        from_official({"bert.strange": torch.zeros(1)})
    with pytest.raises(UserError, match=r"key\.weight is missing"):
        from_official({"bert.encoder.layer.0.attention.self.query.weight": torch.zeros(1)})


def test_the_pooler_has_no_gradient() -> None:
    model = Tape(TINY)
    batch = join([IUPAC.encode("ACDEFGHIKL" * 3)])
    model(batch, model.draw_mask(batch, generator(0))).loss.backward()
    assert [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None] == []
