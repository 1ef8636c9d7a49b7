"""AbBERT, masks of regions, and how residues of loops are recovered."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from tiny_antibodies import random_antibodies, write_antibodies
from torch import nn
from torch.nn import functional as F

from core.errors import UserError
from core.random import generator
from core.saving import load_strictly
from core.training.config import OptimConfig, RunConfig, TrainConfig
from core.training.job import Job, masked_step, run_training
from core.training.run import RunFolder
from mmbio.config import AbBERTConfig, AbBERTRecipe, ESM2Config, TokenMaskConfig
from mmbio.data.sets import AntibodySet, trained_on
from mmbio.data.sources import load
from mmbio.data.tokens import TokenData, split_held_out
from mmbio.models import load_model, new_model
from mmbio.models.abbert import AbBERT
from mmbio.models.abbert_official import from_official
from mmbio.probing import probe_rows
from mmbio.proteins.alphabet import ABBERT
from mmbio.recovery import KINDS, hidden_places, places_of, recover, recover_by_place, window
from mmbio.region_masks import one_region, whole_regions
from mmbio.sequences import Sequences, join

TINY = AbBERTConfig(dim=24, depth=2, heads=4, hidden=48, positions=150, dropout=0.0)


def batch_of(count: int) -> Sequences:
    chains = random_antibodies(count)
    regions = [torch.tensor([0, *map(int, digits), 0]) for _, digits in chains]
    return join([ABBERT.encode(text) for text, _ in chains], regions)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> AntibodySet:
    return load(write_antibodies(tmp_path_factory.mktemp("antibodies") / "a.jsonl", random_antibodies(80)))


def test_vocabulary_has_the_official_order() -> None:
    known = {
        "<s>": 0,
        "<pad>": 1,
        "</s>": 2,
        "<unk>": 3,
        "S": 4,
        "G": 5,
        "K": 13,
        "H": 23,
        "X": 24,
        "*": 25,
        "<mask>": 32,
    }
    assert {token: ABBERT.ids[token] for token in known} == known
    assert len(ABBERT) == 33


def test_only_loops_are_hidden_and_the_rest_keeps_its_token() -> None:
    model, batch = AbBERT(TINY), batch_of(50)
    mask = model.draw_mask(batch, generator(0))
    assert batch.regions is not None
    assert (batch.regions[mask.hidden] > 0).all()
    of_loops = torch.stack([(part > 0).sum() for part in batch.regions.split(batch.lengths.tolist())])
    assert mask.counts.tolist() == (of_loops // 2).tolist()
    read = mask.write(batch.ids)
    assert torch.equal(read[~mask.hidden], batch.ids[~mask.hidden])
    assert ABBERT.pad_id not in read  # what the released code makes of the others
    share = (read[mask.hidden] == ABBERT.mask_id).float().mean()
    assert 0.72 < share < 0.88
    kept = (read[mask.hidden] == batch.ids[mask.hidden]).float().mean()
    assert 0.05 < kept < 0.2


def test_tags_follow_regions_and_change_features() -> None:
    model, batch = AbBERT(TINY).eval(), batch_of(2)
    tags = model.encoder.tags(batch)
    assert tags is not None
    text, digits = random_antibodies(1)[0]
    row = {"0": 4, "1": 6, "2": 7, "3": 5}
    assert tags[: len(text) + 2].tolist() == [0, *(row[d] for d in digits), 2]
    assert not torch.allclose(model.encode(batch), model.encode(Sequences(batch.ids, batch.offsets)))
    alone = join([batch.split()[0]], [batch.regions[: len(text) + 2]])
    torch.testing.assert_close(model.encode(alone), model.encode(batch)[: len(text) + 2])


def test_masks_of_whole_regions() -> None:
    batch, corruption = batch_of(20), AbBERT(TINY).corruption
    usable = ABBERT.hideable_ids[batch.ids]
    regions = batch.regions
    for number in range(4):
        mask = one_region(batch.ids, batch.offsets, usable, regions, number, corruption)
        assert torch.equal(mask.hidden, (regions == number) & usable)
        assert (mask.written == ABBERT.mask_id).all()
    mask = whole_regions(batch.ids, batch.offsets, usable, regions, 0.7, corruption, [generator(i) for i in range(20)])
    for hidden, own in zip(
        mask.hidden.split(batch.lengths.tolist()), regions.split(batch.lengths.tolist()), strict=True
    ):
        names = set(own[hidden].tolist())
        assert len(names) == 2
        assert torch.equal(hidden, torch.isin(own, torch.tensor(sorted(names))))
    one = join(
        [ABBERT.encode("ACDEF"), ABBERT.encode("ACD")], [torch.tensor([0, 0, 3, 3, 0, 0, 0]), torch.zeros(5).long()]
    )
    mask = whole_regions(one.ids, one.offsets, ABBERT.hideable_ids[one.ids], one.regions, 0.3, corruption)
    assert mask.hidden_index.tolist() == [2, 3]


@pytest.mark.parametrize("kind", ["regions", "whole_regions"])
def test_other_models_can_hide_regions(data: AntibodySet, kind: str) -> None:
    config = ESM2Config(dim=16, depth=1, heads=2, mask=TokenMaskConfig(kind=kind, ratio=0.5))
    model = new_model(config)
    samples = TokenData(data.sequences, list(range(6)), model.vocabulary, 140)
    batch = samples.collate([samples.sample(i, generator(i)) for i in range(6)])
    mask = model.draw_mask(batch, [generator(i) for i in range(6)])
    assert (batch.regions[mask.hidden] > 0).all()
    assert model(batch, mask).loss.isfinite()
    with pytest.raises(UserError, match="no regions to hide"):
        model.draw_mask(Sequences(batch.ids, batch.offsets), generator(0))


class OfficialLayer(nn.Module):
    """What fairseq's layer computes, in its names and on (L, C)."""

    def __init__(self, dim: int, hidden: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.self_attn = nn.ModuleDict({f"{n}_proj": nn.Linear(dim, dim) for n in ("q", "k", "v", "out")})
        self.self_attn_layer_norm, self.final_layer_norm = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.fc1, self.fc2 = nn.Linear(dim, hidden), nn.Linear(hidden, dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (self.self_attn[f"{n}_proj"](x).unflatten(-1, (self.heads, -1)).transpose(0, 1) for n in "qkv")
        mixed = (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5).softmax(-1) @ v
        x = self.self_attn_layer_norm(x + self.self_attn["out_proj"](mixed.transpose(0, 1).flatten(1)))
        return self.final_layer_norm(x + self.fc2(F.gelu(self.fc1(x))))


def test_official_names_convert_and_compute_the_same() -> None:
    torch.manual_seed(0)
    layers = nn.ModuleList(OfficialLayer(24, 48, 4) for _ in range(2))
    dense, norm = nn.Linear(24, 24), nn.LayerNorm(24)
    tables = {"tokens": torch.randn(33, 24), "positions": torch.randn(152, 24), "segments": torch.randn(8, 24)}
    before, bias = nn.LayerNorm(24), torch.randn(33)
    encoder = {f"embed_{n}.weight": tables[n] for n in ("tokens", "positions")} | {
        "segment_embeddings.weight": tables["segments"],
        **{f"emb_layer_norm.{n}": p for n, p in before.named_parameters()},
        **{f"layers.{n}": p for n, p in layers.named_parameters()},
    }
    head = {"weight": tables["tokens"], "bias": bias, **{f"dense.{n}": p for n, p in dense.named_parameters()},
            **{f"layer_norm.{n}": p for n, p in norm.named_parameters()}}  # fmt: skip
    official = {f"encoder.sentence_encoder.{n}": p for n, p in encoder.items()}
    official |= {f"encoder.lm_head.{n}": p for n, p in head.items()} | {"structure_decoder.x": torch.zeros(1)}
    model = AbBERT(TINY).eval()
    load_strictly(model, {n: p.detach() for n, p in from_official(official).items()}, "official")
    batch = batch_of(1)
    tags = model.encoder.tags(batch)
    x = tables["tokens"][batch.ids] + tables["positions"][2 : 2 + len(batch.ids)] + tables["segments"][tags]
    x = before(x)
    for layer in layers:
        x = layer(x)
    logits = norm(F.gelu(dense(x))) @ tables["tokens"].T + bias
    torch.testing.assert_close(model.logits(batch), logits, rtol=1e-5, atol=1e-5)
    with pytest.raises(UserError, match="odd is not an entry"):
        from_official({"encoder.sentence_encoder.odd": torch.zeros(1)})
    with pytest.raises(UserError, match="only q of query"):
        from_official({"encoder.sentence_encoder.layers.0.self_attn.q_proj.bias": torch.zeros(1)})


def test_places_and_hidden_residues() -> None:
    regions = "001110330"
    assert places_of(regions) == [("behind 0", 0), ("behind 0", -1), ("1", 0), ("1", 1), ("1", -1), ("behind 1", 0),
                                  ("3", 0), ("3", -1), ("behind 3", 0)]  # fmt: skip
    assert hidden_places(regions, "CDR-H1", 0) == [2, 3, 4]
    assert hidden_places(regions, "CDR-H2", 0) == []
    assert len(hidden_places(regions, "50 % of CDRs", 0)) == 2
    assert max(hidden_places("0" * 40 + "111", "15 % of framework", 3)) < 40
    assert hidden_places("0" * 40, "15 % of all", 3) == hidden_places("0" * 40, "15 % of all", 3)
    assert len(hidden_places("0" * 40, "15 % of all", 3)) == 6
    assert window("A" * 50 + "C" * 5 + "A" * 45, "0" * 50 + "3" * 5 + "0" * 45, 30)[1] == "0" * 15 + "3" * 5 + "0" * 10
    assert window("A" * 50, "3" + "0" * 49, 30)[1] == "3" + "0" * 29


def test_recovery_counts_what_a_known_model_tells(data: AntibodySet) -> None:
    model = AbBERT(TINY)
    with torch.no_grad():  # a model that always names G, with the same chance for all others
        model.lm_head.norm.weight.zero_()
        model.lm_head.norm.bias.zero_()
        model.lm_head.bias.zero_()
        model.lm_head.bias[ABBERT.ids["G"]] = 1.0
    test = data.test.tolist()
    found = recover(model, data.sequences, test)
    loops = "".join(data.loop(i) for i in test)
    assert (found["CDR-H3"].residues, found["CDR-H3"].right) == (len(loops), loops.count("G"))
    share = loops.count("G") / len(loops)
    chance = torch.tensor([1.0] + [0.0] * 19).softmax(0)
    expected = torch.exp(-(share * chance[0].log() + (1 - share) * chance[1].log()))
    assert found["CDR-H3"].perplexity == pytest.approx(float(expected), rel=1e-4)
    control = recover_by_place(data.sequences, data.train.tolist(), test)
    assert control["15 % of framework"].share == 1.0  # all frameworks are the same here
    assert {kind: r.residues for kind, r in control.items()} == {kind: r.residues for kind, r in found.items()}


def test_it_trains_and_recovers(data: AntibodySet, tmp_path: Path) -> None:
    recipe = AbBERTRecipe(
        model=TINY,
        optim=OptimConfig(lr=3e-3, warmup_epochs=0),
        train=TrainConfig(epochs=4, batch_size=16),
        run=RunConfig(accelerator="cpu", log_steps=1),
    )
    some = trained_on(data)
    train, held = split_held_out(some, recipe.text)
    assert len(held) == len(data.validation)

    def make(main: bool) -> Job:
        model = AbBERT(recipe.model)
        return Job(model, TokenData(some, train, model.vocabulary, 140), masked_step(model), {})

    run_training(RunFolder(tmp_path / "run"), dataclasses.asdict(recipe), False, "", recipe, make)
    model = load_model(tmp_path / "run")
    rows = {(row.subject, row.probe): row.scores for row in probe_rows([model], data)}
    assert {subject for subject, _ in rows} == {"pretrained", "untrained", "most frequent there"}
    assert {kind for _, kind in rows} <= set(KINDS)
    scores = [rows[subject, "50 % of CDRs"]["perplexity"].mean for subject in ("pretrained", "untrained")]
    assert scores[0] < scores[1]
    assert (
        rows["pretrained", "15 % of framework"]["told right"].mean
        == recover(model, data.sequences, data.test.tolist())["15 % of framework"].share
    )


def test_too_long_is_an_error() -> None:
    with pytest.raises(UserError, match="152 tokens; this model has 150 positions"):
        AbBERT(TINY).encode(join([ABBERT.encode("A" * 150)]))
