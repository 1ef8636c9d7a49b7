"""The MSA Transformer against fair-esm, and as a model of ours."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from esm_oracle import msa_transformer
from tiny_mmbio import command, write_recipe
from tiny_msas import random_rows, write_a3m

from core.errors import UserError
from core.random import generator
from core.saving import load_strictly
from core.training.config import OptimConfig, RunConfig, TrainConfig
from core.training.job import Job, masked_step, run_training
from core.training.run import RunFolder
from mmbio.alignments import Alignments, join_alignments
from mmbio.config import CellMaskConfig, MSADataConfig, MSATransformerConfig, MSATransformerRecipe
from mmbio.data.msa import MSAData
from mmbio.data.sources import load
from mmbio.layers.axial import ColumnAttention
from mmbio.models import load_model, new_model
from mmbio.models.msa_official import from_official
from mmbio.models.msa_transformer import MSATransformer
from mmbio.msa_score import score_by_column, score_msa
from mmbio.proteins.alphabet import AF2, ESM_MSA

TINY = MSATransformerConfig(dim=32, depth=2, heads=4, hidden=64, positions=64, row_positions=1024, dropout=0.0)
SMALL_AF2 = dataclasses.replace(TINY, alphabet="af2", row_positions=0)


def tokens(rows: int, columns: int, seed: int) -> torch.Tensor:
    return torch.stack([ESM_MSA.encode(row) for row in random_rows(rows, columns, seed)])


@pytest.fixture(scope="module")
def official() -> Any:
    pytest.importorskip("esm")
    model = msa_transformer()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 1 or "norm" in name:
                parameter.add_(0.1 * torch.randn_like(parameter))
        model.msa_position_embedding.mul_(30)
    return model


@pytest.fixture(scope="module")
def ours(official: Any) -> MSATransformer:
    model = MSATransformer(TINY).eval()
    load_strictly(model, from_official(official.state_dict()), "fair-esm")
    return model


def near(found: torch.Tensor, expected: torch.Tensor) -> None:
    assert (found - expected).abs().max() <= 1e-4 * expected.abs().max()


def test_logits_states_and_maps_are_those_of_fair_esm(official: Any, ours: MSATransformer) -> None:
    given = [tokens(6, 11, 0), tokens(1, 15, 1), tokens(9, 5, 2)]
    batch = join_alignments(given)
    with torch.no_grad():
        logits, features, maps = (
            batch.split(ours.logits(batch)),
            batch.split(ours.encode(batch)),
            ours.attention_maps(batch),
        )
        for number, ids in enumerate(given):
            expected = official(ids.unsqueeze(0), repr_layers=[2], need_head_weights=True)
            near(logits[number], expected["logits"][0])
            near(features[number], expected["representations"][2][0])
            near(maps[number], expected["row_attentions"][0])


def test_gradients_are_those_of_fair_esm(official: Any, ours: MSATransformer) -> None:
    ids = tokens(6, 11, 0)
    official.zero_grad()
    ours.zero_grad()
    official(ids.unsqueeze(0))["logits"].square().mean().backward()
    ours.logits(join_alignments([ids])).square().mean().backward()
    block = official.layers[0]
    near(ours.encoder.blocks[0].rows.qkv.weight.grad[:32], block.row_self_attention.layer.q_proj.weight.grad)
    near(
        ours.encoder.blocks[1].columns.proj.weight.grad,
        official.layers[1].column_self_attention.layer.out_proj.weight.grad,
    )
    near(ours.encoder.row_position.grad, official.msa_position_embedding.grad[0, :, 0])


def test_released_files_have_rows_and_columns_the_other_way_round(official: Any, ours: MSATransformer) -> None:
    def turned(name: str) -> str:
        return name.replace("row", "#").replace("column", "row").replace("#", "column")

    state = official.state_dict()
    file = {f"encoder.{'' if 'lm_head' in n else 'sentence_encoder.'}{turned(n)}": p for n, p in state.items()}
    again = from_official(file)
    assert all(torch.equal(again[name], tensor) for name, tensor in ours.state_dict().items())
    file["encoder.sentence_encoder.msa_position_embedding"] = torch.zeros(1, 1024, 1, 1)  # as the first release has it
    assert from_official(file)["encoder.row_position"].shape == (1024, 32)
    with pytest.raises(UserError, match="odd is not an entry"):
        from_official({"odd": torch.zeros(1)})


@pytest.mark.parametrize("config", [TINY, SMALL_AF2], ids=["esm", "af2"])
def test_an_alignment_alone_is_as_in_a_batch(config: MSATransformerConfig, tmp_path: Path) -> None:
    model = new_model(config).eval()
    words = model.vocabulary
    given = [torch.stack([words.encode(row) for row in random_rows(*shape)]) for shape in [(4, 9), (1, 12), (4, 9)]]
    batch = join_alignments(given)
    alone = torch.cat([model.encode(join_alignments([ids])) for ids in given])
    torch.testing.assert_close(model.encode(batch), alone)
    embedded = model.embed(batch)
    first = batch.split(model.encode(batch))[0][0, words.before :].mean(0)
    torch.testing.assert_close(embedded[0], first)
    model.save_pretrained(tmp_path)
    assert torch.equal(load_model(tmp_path).logits(batch), model.logits(batch))


def test_order_of_rows_does_not_matter_without_positions() -> None:
    model = MSATransformer(SMALL_AF2).eval()
    ids = torch.stack([AF2.encode(row) for row in random_rows(6, 10)])
    order = torch.tensor([0, 3, 5, 1, 4, 2])
    plain = join_alignments([ids]).split(model.encode(join_alignments([ids])))[0]
    moved = model.encode(join_alignments([ids[order]])).view(6, 10, -1)
    torch.testing.assert_close(moved, plain[order], rtol=1e-4, atol=1e-5)


def test_masks_replay_and_what_is_hidden_is_scored() -> None:
    model = MSATransformer(SMALL_AF2).eval()
    ids = [torch.stack([AF2.encode(row) for row in random_rows(*shape)]) for shape in [(8, 20), (3, 30)]]
    batch = join_alignments(ids)
    mask = model.draw_mask(batch, [generator(0), generator(1)])
    output = model(batch, mask)
    assert output.loss == model(batch, mask).loss
    assert output.predictions["lm"].shape == (int(mask.hidden.sum()), 23)
    read = Alignments(mask.write(batch.ids), batch.shapes)
    by_hand = torch.nn.functional.cross_entropy(model.logits(read)[mask.hidden], batch.ids[mask.hidden])
    torch.testing.assert_close(output.loss, by_hand)
    filled = model.reconstruct(batch, mask)
    assert torch.equal(filled.ids, output.predictions["lm"].argmax(-1))


def test_too_large_alignments_are_errors() -> None:
    with pytest.raises(UserError, match="65 columns, begin counted; this model has 64 positions"):
        MSATransformer(TINY).encode(join_alignments([tokens(2, 64, 0)]))
    model = MSATransformer(dataclasses.replace(TINY, row_positions=3))
    with pytest.raises(UserError, match="4 rows; this model has positions for 3"):
        model.encode(join_alignments([tokens(4, 8, 0)]))
    with pytest.raises(ValueError, match="same_share"):
        CellMaskConfig(profile_share=0.9)


def test_samples_fit_into_the_model(tmp_path: Path) -> None:
    write_a3m(tmp_path / "x.a3m", random_rows(9, 100))
    data, config = load(f"msa:{tmp_path}"), MSADataConfig(depth=6, width=80)
    sizes = {}
    for name, changed in (
        ("both", {"positions": 64, "row_positions": 4}),
        ("no rows", {"positions": 64, "row_positions": 0}),
        ("af2", {"positions": 64, "row_positions": 4, "alphabet": "af2"}),
        ("large", {"positions": 200, "row_positions": 200}),
        ("smallest", {"positions": 2, "row_positions": 1}),
    ):
        model = MSATransformer(dataclasses.replace(TINY, **changed))
        samples = model.samples(data, [0], config)
        batch = samples.collate([samples.sample(0, generator(0))])
        assert model.encode(batch).shape[0] == len(batch.ids)
        sizes[name] = (samples.depth, samples.width)
    assert sizes == {"both": (4, 63), "no rows": (6, 63), "af2": (4, 64), "large": (6, 80), "smallest": (1, 1)}


def test_wide_and_deep_alignments_are_cropped_on_the_command_line(tmp_path: Path) -> None:
    for number in range(6):
        write_a3m(tmp_path / f"{number}.a3m", random_rows(9, 51, number))
    (tmp_path / "bad.a3m").write_text(">a\nA1\n")
    values = {
        "system": "msa_transformer",
        "data": f"msa_skip:{tmp_path}",
        "model": {"dim": 16, "depth": 1, "heads": 2, "hidden": 32, "positions": 32, "row_positions": 4},
        "msa": {"held_out": 0.4},
        "optim": {"warmup_epochs": 0},
        "train": {"epochs": 1, "batch_size": 2},
        "run": {"accelerator": "cpu"},
    }
    recipe = write_recipe(tmp_path / "r.yaml", values)
    said = command("pretrain", recipe, "--out", tmp_path / "run")
    assert said.status == 0, said.err
    described = json.loads((tmp_path / "run/environment.json").read_text())["data"]
    assert described["largest_sample"] == [4, 31]
    assert ["bad.a3m, line 2: a: character '1'" in line for line in described["skipped"]] == [True]
    for words in ((), ("--data", f"msa_skip:{tmp_path}")):
        said = command("probe", tmp_path / "run", *words)
        assert said.status == 0, said.err
    said = command("probe", tmp_path / "run", "--data", f"msa:{tmp_path}")
    assert (said.status, said.err.count("\n")) == (2, 1)
    assert "bad.a3m, line 2" in said.err


def test_dropout_is_only_in_training() -> None:
    model = MSATransformer(dataclasses.replace(TINY, dropout=0.3))
    batch = join_alignments([tokens(4, 8, 0)])
    assert not torch.equal(model.encode(batch), model.encode(batch))
    model.eval()
    assert torch.equal(model.encode(batch), model.encode(batch))


def test_a_single_row_loses_no_values_to_dropout() -> None:
    """Its only weight is 1; fair-esm takes the values as they are."""
    attention = ColumnAttention(8, 2, dropout=0.9).train()
    values = torch.randn(1, 5, 2, 4, generator=generator(0))
    torch.testing.assert_close(attention.mix(values, values, values), values)
    two = torch.randn(2, 5, 2, 4, generator=generator(1))
    assert not torch.equal(attention.mix(two, two, two), attention.mix(two, two, two))


@pytest.mark.parametrize("alphabet", ["esm", "af2"])
def test_it_trains(alphabet: Any, tmp_path: Path) -> None:
    folder = tmp_path / "alignments"
    folder.mkdir()
    for number in range(8):
        write_a3m(folder / f"{number}.a3m", random_rows(12 + number, 24, number))
    data = load(f"msa:{folder}")
    recipe = MSATransformerRecipe(
        model=dataclasses.replace(TINY, alphabet=alphabet),
        optim=OptimConfig(lr=3e-3, warmup_epochs=0),
        train=TrainConfig(epochs=15, batch_size=4, bucket=2),
        run=RunConfig(accelerator="cpu", log_steps=1),
    )

    def make(main: bool) -> Job:
        model = MSATransformer(recipe.model)
        samples = MSAData(data, list(range(8)), model.vocabulary, 8, 20)
        return Job(model, samples, masked_step(model), {}, counted=("cells", lambda batch: len(batch.ids)))

    outcome = run_training(RunFolder(tmp_path / "run"), dataclasses.asdict(recipe), False, "", recipe, make)
    samples = outcome.job.data
    torch.manual_seed(0)
    untrained = score_msa(MSATransformer(recipe.model), samples)
    trained = score_msa(load_model(tmp_path / "run"), samples)
    assert trained.loss < untrained.loss - 0.3
    assert trained.tokens == untrained.tokens
    control = score_by_column(load_model(tmp_path / "run"), samples)
    assert control.hidden == trained.hidden
    assert untrained.loss > control.loss > 0


def test_the_control_counts_what_is_visible_in_a_column(tmp_path: Path) -> None:
    write_a3m(tmp_path / "x.a3m", ["AC"] * 50)
    model = MSATransformer(SMALL_AF2)
    found = score_by_column(model, MSAData(load(f"msa:{tmp_path}"), [0], AF2, 50, 2))
    assert found.accuracy == 1.0
    visible = 100 - found.tokens
    assert found.loss == pytest.approx(-math.log((visible / 2 + 1) / (visible / 2 + 22)), rel=0.02)
