"""The commands around tokenizers: `mm3d tokenize`, `mm3d pretrain point_bert`, and what is done with both."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_mm3d import command, write_recipe

from core.errors import Interrupted
from core.random import generator
from core.saving import load_tensors
from mm3d.config import PointClassifierConfig
from mm3d.finetune import load_encoder
from mm3d.models import load_model
from mm3d.models.point_bert import PointBERT
from mm3d.models.point_bert_official import dvae_to_official, pretrain_to_official
from mm3d.models.point_classifier import PointClassifier
from mm3d.models.point_dvae import PointDVAE
from mm3d.tokenize import held_out_scores

DVAE: dict[str, Any] = {
    "system": "point_dvae",
    "held_out": 0.25,
    "points": {"count": 64},
    "model": {
        "groups": 8,
        "group_size": 8,
        "codes": 16,
        "dim": 12,
        "widths": [8, 8, 12],
        "graph_widths": [8, 8, 8, 12, 16],
        "coarse_width": 16,
        "fold_width": 8,
        "temperature": {"start": 1.0, "end": 0.1, "steps": 8},
        "kl_weight": {"start": 0.0, "end": 0.1, "wait": 2, "steps": 8},
    },
    "optim": {"warmup_epochs": 0.5},
    "train": {"epochs": 2, "batch_size": 4},
    "run": {"accelerator": "cpu", "log_steps": 1},
}
BERT: dict[str, Any] = {
    "system": "point_bert",
    "points": {"count": 64},
    "model": {
        "encoder": {
            "groups": 8, "group_size": 8, "dim": 24, "depth": 2, "heads": 3, "widths": [8, 8, 12], "embed_dim": 12
        },
        "contrast": ["mixed", "plain"],
        "contrast_dim": 8,
        "queue": 20,
    },
    "optim": {"warmup_epochs": 0.5},
    "train": {"epochs": 1, "batch_size": 4},
    "run": {"accelerator": "cpu", "log_steps": 1},
}  # fmt: skip


@pytest.fixture(scope="module")
def dvae_recipe(tmp_path_factory: pytest.TempPathFactory, clouds: Path) -> Path:
    return write_recipe(tmp_path_factory.mktemp("dvae") / "tiny_dvae.yaml", DVAE, data=str(clouds))


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory, dvae_recipe: Path) -> Path:
    out = tmp_path_factory.mktemp("tokenizer") / "dvae"
    said = command("tokenize", dvae_recipe, "--out", out)
    assert said.status == 0, said.err
    return out


@pytest.fixture(scope="module")
def bert_recipe(tmp_path_factory: pytest.TempPathFactory, clouds: Path) -> Path:
    return write_recipe(tmp_path_factory.mktemp("bert") / "tiny_bert.yaml", BERT, data=str(clouds))


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory, bert_recipe: Path, tokenizer: Path) -> Path:
    out = tmp_path_factory.mktemp("point_bert") / "bert"
    said = command("pretrain", bert_recipe, "--tokenizer", tokenizer, "--out", out)
    assert said.status == 0, said.err
    return out


def rows(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_a_tokenizer_is_trained_and_says_what_its_codes_are_worth(tokenizer: Path) -> None:
    model = load_model(tokenizer)
    assert isinstance(model, PointDVAE)
    assert int(model.steps) == 8  # 18 shapes, 4 a batch, 2 epochs
    scored = [row for row in rows(tokenizer) if "held_out_chamfer" in row]
    assert [row["step"] for row in scored] == [4, 8]
    for row in scored:
        assert row["codes_share"] == row["codes_used"] / 16
        assert 1 <= row["codes_perplexity"] <= row["codes_used"]
        assert row["held_out_chamfer"] > 0
    trained = [row for row in rows(tokenizer) if "loss" in row]
    assert {"loss_coarse", "loss_fine", "loss_uniform"} <= trained[0].keys()
    first, last = trained[0], trained[-1]
    assert first["loss"] == pytest.approx(first["loss_coarse"] + first["loss_fine"], rel=1e-5)
    assert last["loss"] > last["loss_coarse"] + last["loss_fine"]  # the divergence has a weight by now
    said = json.loads((tokenizer / "environment.json").read_text())
    assert said["data"]["clouds"] == 18
    assert said["data"]["held_out"] == 6
    report = (tokenizer / "report.html").read_text()
    for heading in ("Reconstruction", "What the codes look like", "How often each code occurs", "Training"):
        assert heading in report
    assert {"reconstruction.png", "curves.png", "held-out-codes.png", "held-out-usage.png"} <= {
        path.name for path in tokenizer.iterdir()
    }


def test_a_resumed_tokenizer_is_the_same(tokenizer: Path, dvae_recipe: Path, tmp_path: Path) -> None:
    """Temperature and weight of the divergence go on from the step they were at."""
    whole = load_tensors(tokenizer / "weights.safetensors")
    out, calls = tmp_path / "run", []

    def stop_at_three(model: PointDVAE, steps: int) -> None:
        before(model, steps)
        calls.append(steps)
        if steps == 3:
            raise Interrupted("enough")

    before = PointDVAE.after_step
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PointDVAE, "after_step", stop_at_three)
        assert command("tokenize", dvae_recipe, "--out", out, "--run.save_steps", 2).status != 0
    said = command("tokenize", dvae_recipe, "--out", out, "--run.save_steps", 2, "--resume")
    assert said.status == 0, said.err
    again = load_tensors(out / "weights.safetensors")
    assert calls == [1, 2, 3]
    assert int(again["steps"]) == 8
    for name, tensor in whole.items():
        assert torch.equal(again[name], tensor), name
    losses = [row["loss"] for row in rows(out) if "loss" in row]
    assert losses == [row["loss"] for row in rows(tokenizer) if "loss" in row]


def test_point_bert_takes_the_tokenizer_with_it(bert: Path, tokenizer: Path) -> None:
    model, dvae = load_model(bert), load_model(tokenizer)
    assert isinstance(model, PointBERT)
    assert model.config.tokenizer == dvae.config
    for name, tensor in dvae.state_dict().items():
        assert torch.equal(model.tokenizer.state_dict()[name], tensor), name
    assert {"loss_codes", "loss_mixed_codes", "loss_mixed_contrast", "loss_contrast"} <= rows(bert)[0].keys()
    assert int(model.queue.position) == 24 % 20  # every key of the epoch
    assert "named the codes" in (bert / "report.html").read_text()


def test_a_resumed_point_bert_is_the_same(bert: Path, bert_recipe: Path, tokenizer: Path, tmp_path: Path) -> None:
    out, words = tmp_path / "run", ("--tokenizer", tokenizer, "--run.save_steps", 2)
    before = PointBERT.after_step

    def stop_at_three(model: PointBERT, steps: int) -> None:
        before(model, steps)
        if steps == 3:
            raise Interrupted("enough")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PointBERT, "after_step", stop_at_three)
        assert command("pretrain", bert_recipe, *words, "--out", out).status != 0
    said = command("pretrain", bert_recipe, *words, "--out", out, "--resume")
    assert said.status == 0, said.err
    whole, again = (load_tensors(run / "weights.safetensors") for run in (bert, out))
    for name, tensor in whole.items():
        assert torch.equal(again[name], tensor), name


def test_features_of_both_are_probed_and_embedded(bert: Path, tokenizer: Path, clouds: Path, tmp_path: Path) -> None:
    inputs = [clouds / "test" / "ball" / "0.npy", clouds / "test" / "box" / "0.npy"]
    for run, width in ((bert, 48), (tokenizer, 88)):
        out = tmp_path / "features.npz"
        assert command("embed", run, *inputs, "-o", out).status == 0
        assert np.load(out)["features"].shape == (2, width)
        said = command(
            "probe", run, "--data", clouds, "--methods", "[knn]", "--seeds", 1, "--controls", "false", "--out",
            tmp_path / "probe.json",
        )  # fmt: skip
        assert said.status == 0, said.err
        assert "12 test clouds" in said.out


def test_pictures_of_both(bert: Path, tokenizer: Path, clouds: Path, tmp_path: Path) -> None:
    inputs = [clouds / "test" / "ball" / "0.npy", clouds / "test" / "box" / "0.npy"]
    said = command("reconstruct", bert, *inputs, "--out", tmp_path / "bert", "--mask_ratio", 0.5)
    assert said.status == 0, said.err
    assert [Path(line).name for line in said.out.split()] == ["bert.png", "bert.html"]
    assert "the network saw 32 of them (50% hidden) and drew 32." in (tmp_path / "bert.html").read_text()
    said = command("reconstruct", tokenizer, *inputs, "--out", tmp_path / "dvae")
    assert said.status == 0, said.err
    names = [Path(line).name for line in said.out.split()]
    assert names == ["dvae.png", "dvae.html", "dvae-codes.png", "dvae-usage.png"]
    assert all((tmp_path / name).stat().st_size > 1000 for name in names)
    assert "64 points in 8 patches, which have" in (tmp_path / "dvae.html").read_text()
    said = command("reconstruct", tokenizer, *inputs, "--mask_ratio", 0.5)
    assert (said.status, "a PointDVAE hides nothing" in said.err) == (2, True)


def test_fine_tuning_takes_encoder_and_class_token(bert: Path, task: Path, tmp_path: Path) -> None:
    model = load_model(bert)
    classifier = PointClassifier(
        PointClassifierConfig(model.config.encoder, ("a", "b"), head_layers=1, head_norm=False)
    )
    load_encoder(classifier, bert)
    assert torch.equal(classifier.cls_token, model.special.cls_token)
    assert torch.equal(classifier.cls_position, model.special.cls_position)
    points = torch.rand(2, 64, 3, generator=generator("points"))
    tokens = classifier.eval().tokens(points)
    assert torch.allclose(tokens.roll(-1, 1), model._context(points), atol=1e-5)
    said = command(
        "finetune", bert, "--recipe", task, "--out", tmp_path, "--head_layers", 1, "--head_norm", "false",
        "--label_smoothing", 0.2,
    )  # fmt: skip
    assert said.status == 0, said.err
    assert load_model(tmp_path / "seed-0").config.head_layers == 1


def test_label_smoothing_is_that_of_the_official_code(task: Path) -> None:
    from core.cli.recipes import build_recipe, find_recipe
    from core.training.data import Microbatch
    from mm3d.config import FinetuneRecipe
    from mm3d.data.samples import PointBatch
    from mm3d.finetune import supervised_step

    recipe = build_recipe(find_recipe("mm3d", str(task)), FinetuneRecipe)
    recipe.label_smoothing = 0.2
    logits = torch.randn(5, 4, generator=generator("logits"))
    labels = torch.tensor([0, 3, 1, 1, 2])
    batch = PointBatch(torch.zeros(5, 1, 3), labels, torch.full((5, 1), -1))
    loss, _ = supervised_step(recipe)(lambda points, labels: logits, Microbatch(batch, []), 0)  # type: ignore[arg-type]
    wanted = torch.full((5, 4), 0.2 / 3).scatter(1, labels[:, None], 0.8)
    assert torch.allclose(loss, -(wanted * logits.log_softmax(-1)).sum(1).mean(), atol=1e-6)


def test_official_files_of_both_convert(bert: Path, tokenizer: Path, tmp_path: Path) -> None:
    for run, official in ((tokenizer, dvae_to_official), (bert, pretrain_to_official)):
        model = load_model(run)
        state = official(model.state_dict())
        torch.save({"base_model": {f"module.{name}": t for name, t in state.items()}}, tmp_path / "official.pth")
        out = tmp_path / f"{run.name}-converted"
        words = ("--heads", 3, "--groups", 8, "--group_size", 8)
        said = command("convert", tmp_path / "official.pth", out, *words)
        assert said.status == 0, said.err
        assert type(model).__name__ in said.out
        again = load_model(out)
        for name, tensor in model.state_dict().items():
            assert name.endswith("steps") or torch.equal(again.state_dict()[name], tensor), name
    said = command("convert", tmp_path / "official.pth", tmp_path / "other", "--heads", 3, "--groups", 8)
    assert said.status == 2
    assert "give --group_size 8" in said.err


def test_scores_leave_the_model_as_it_was(tokenizer: Path) -> None:
    from mm3d.config import PointsConfig
    from mm3d.data import furniture

    model = load_model(tokenizer).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    shapes = furniture("test").subset([0, 1, 2])
    one = held_out_scores(model, shapes, PointsConfig(count=64), batch_size=2)
    assert model.training
    assert one == pytest.approx(held_out_scores(model, shapes, PointsConfig(count=64), batch_size=3))
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), name


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (None, "tokenizer: none is named; .*mm3d tokenize point_dvae"),
        ("missing", "missing: no such folder; expected a run folder"),
        ("empty", r"empty/model.json: missing; expected a run folder"),
        ("bert", r"model.json: holds a PointBERT, expected a PointDVAE"),
        ("broken", r"weights.safetensors: truncated or not a safetensors file"),
    ],
)
def test_a_tokenizer_that_cannot_be_used(
    given: str | None, said: str, bert: Path, tokenizer: Path, bert_recipe: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    shutil.copytree(tokenizer, tmp_path / "broken")
    (tmp_path / "broken" / "weights.safetensors").write_bytes(b"no")
    places = {"bert": bert}
    words = [] if given is None else ["--tokenizer", places.get(given, tmp_path / given)]
    found = command("pretrain", bert_recipe, *words, "--out", tmp_path / "run")
    assert found.status == 2
    assert "Traceback" not in found.err
    assert re.search(said, found.err), found.err
    assert not (tmp_path / "run").exists()


def test_other_things_that_are_refused(tokenizer: Path, bert_recipe: Path, dvae_recipe: Path, tmp_path: Path) -> None:
    for words, said in (
        (("pretrain", bert_recipe, "--tokenizer", tokenizer, "--model.encoder.groups", 4),
         "this tokenizer does not fit: model.encoder.groups 4: the tokenizer has 8"),
        (("pretrain", bert_recipe, "--tokenizer", tokenizer, "--model.encoder.embed_dim", 8), "embed_from tokenizer"),
        (("pretrain", dvae_recipe), "system 'point_dvae' cannot be pretrained"),
        (("tokenize", bert_recipe), "system 'point_bert' cannot be trained as a tokenizer"),
        (("tokenize", dvae_recipe, "--held_out", 1.0), "--held_out 1.0: expected a share between 0 and 1"),
        (("tokenize", dvae_recipe, "--model.codes", 15), "--model.codes 15: expected a multiple of 4"),
        (("tokenize", dvae_recipe, "--data", "missing"), "missing"),
        (("finetune", tokenizer), "this model has no patch encoder to fine-tune"),
    ):  # fmt: skip
        found = command(*words, "--out", tmp_path / "run")
        assert found.status == 2, words
        assert said in found.err, found.err
        assert "Traceback" not in found.err
