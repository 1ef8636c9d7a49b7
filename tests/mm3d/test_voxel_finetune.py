"""Fine-tuning on classes of voxels: the model, its loss, and `mm3d finetune` on tiny data."""

from __future__ import annotations

import dataclasses
import json
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_mm3d import command, write_recipe
from tiny_voxels import ENCODER, MODEL, RAW, TASK, streets, write_sweeps

from core.files import read_metrics
from core.random import generator
from core.saving import load_tensors
from core.training.data import Microbatch
from mm3d.config import SweepFinetuneRecipe, VoxelSegmenterConfig
from mm3d.config.patch_encoder import PatchEncoderConfig
from mm3d.config.point_mae import PointMAEConfig
from mm3d.models import load_model, new_model
from mm3d.models.point_mae import PointMAE
from mm3d.models.voxel_mae import VoxelMAE
from mm3d.models.voxel_segmenter import VoxelSegmenter
from mm3d.voxels.finetune import evaluate, supervised_step
from mm3d.voxels.labelled import LabelledSweepSamples, LabelledVoxels
from mm3d.voxels.parts import split_sweeps

CONFIG = VoxelSegmenterConfig(ENCODER, ("ground", "house", "car", "pole", "tree", "bush", "person"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved Voxel-MAE."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("saved") / "voxels"
    VoxelMAE(MODEL).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def sweeps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sweeps(tmp_path_factory.mktemp("sweeps") / "four", 4)


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory, sweeps: Path) -> Path:
    return write_recipe(tmp_path_factory.mktemp("task") / "tiny_task.yaml", TASK, data=str(sweeps))


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory, run: Path, task: Path) -> Path:
    out = tmp_path_factory.mktemp("tuned") / "ft"
    said = command("finetune", run, "--recipe", task, "--out", out)
    assert said.status == 0, said.err
    return out / "seed-0"


def a_batch() -> LabelledVoxels:
    data = LabelledSweepSamples(streets(2), SweepFinetuneRecipe().sweeps, ENCODER)
    return data.collate([data.sample(index, generator(index)) for index in range(2)])


def test_gradients_are_those_of_the_mean_over_labelled_voxels() -> None:
    torch.manual_seed(0)
    model, batch = VoxelSegmenter(CONFIG), a_batch()
    batch = batch._replace(labels=torch.where(torch.arange(len(batch.labels)) % 3 == 0, -1, batch.labels))
    loss, parts = supervised_step(model, Microbatch(batch, []), 0)
    loss.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())
    logits, known = model(batch.voxels).detach(), batch.labels >= 0
    expected = (logits.softmax(1) - torch.eye(7)[batch.labels])[known].mean(0)
    bias = model.head[1].bias
    assert isinstance(bias, torch.nn.Parameter)
    assert bias.grad is not None
    torch.testing.assert_close(bias.grad, expected, rtol=1e-4, atol=1e-6)
    right = (logits.argmax(1) == batch.labels)[known].float().mean()
    assert float(parts["train_accuracy"]) == pytest.approx(float(right))
    nothing = batch._replace(labels=torch.full_like(batch.labels, -1))
    assert supervised_step(model, Microbatch(nothing, []), 0)[0].item() == 0


def test_scenes_of_a_batch_do_not_see_each_other() -> None:
    model, batch = VoxelSegmenter(CONFIG).eval(), a_batch()
    data = LabelledSweepSamples(streets(2), SweepFinetuneRecipe().sweeps, ENCODER)
    alone = [data.collate([data.sample(index, generator(index))]).voxels for index in range(2)]
    with torch.no_grad():
        torch.testing.assert_close(model(batch.voxels), torch.cat([model(one) for one in alone]), rtol=1e-4, atol=1e-5)
        assert model.encode(batch.voxels).shape == (2, 16)


def test_it_learns_what_voxels_are() -> None:
    """Few steps of Adam on two sweeps find more classes of a third one's voxels than the most frequent class is."""
    torch.manual_seed(0)
    model = new_model(dataclasses.replace(CONFIG, encoder=dataclasses.replace(ENCODER, norm_momentum=0.1)))
    parts = split_sweeps(streets(4), SweepFinetuneRecipe().sweeps, ENCODER, 0.15)
    data = LabelledSweepSamples(parts.training, SweepFinetuneRecipe().sweeps, ENCODER)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for step in range(25):
        model.train()
        batch = data.collate([data.sample(index, generator(step, index)) for index in range(2)])
        optimizer.zero_grad()
        supervised_step(model, Microbatch(batch, []), 0)[0].backward()
        optimizer.step()
    true = torch.cat([part.labels[part.labels >= 0] for part in parts.test])
    most = float(true.bincount().max()) / len(true)
    assert evaluate(model, parts.test).accuracy > most + 0.1


def test_a_run_folder_explains_itself_and_its_model_is_loaded(tuned: Path, run: Path, sweeps: Path) -> None:
    result = json.loads((tuned / "result.json").read_text())
    assert set(result) == {"accuracy", "miou", "validation"}
    rows = read_metrics(tuned / "metrics.jsonl")
    chosen = [row["validation_miou"] for row in rows if "validation_miou" in row]
    assert len(chosen) == 3
    assert result["validation"] == max(chosen)
    assert all(row["voxels_per_second"] > 0 for row in rows if "loss" in row)
    said = json.loads((tuned / "environment.json").read_text())
    assert said["pretrained"] == str(run)
    assert said["data"]["held_out"] == "the last 1 of 4 sweeps are tested on, the 1 before them select the epoch"
    assert "of the test part" in (tuned / "report.html").read_text().lower()
    model = load_model(tuned)
    assert isinstance(model, VoxelSegmenter)
    assert len(model.config.classes) == 19
    best = load_tensors(tuned / "state" / "best.safetensors")
    assert all(torch.equal(tensor, best[name]) for name, tensor in model.state_dict().items())


def test_commands_take_the_model(tuned: Path, sweeps: Path, tmp_path: Path) -> None:
    said = command("embed", tuned, sweeps, "-o", tmp_path / "x.npz")
    assert said.status == 0, said.err
    assert np.load(tmp_path / "x.npz")["features"].shape == (4, 16)
    probed = command("probe", tuned, "--data", sweeps, "--seeds", 1)
    assert probed.status == 0, probed.err
    exported = command("convert", tuned, tmp_path / "backbone.pth")
    assert exported.status == 0, exported.err
    wrong = command("reconstruct", tuned, sweeps, "--out", tmp_path / "look")
    assert wrong.status == 2
    assert "a VoxelSegmenter is fine-tuned and reconstructs nothing" in wrong.err


def test_the_same_words_give_the_same_run_and_a_finished_one_is_left(
    tuned: Path, run: Path, task: Path, tmp_path: Path
) -> None:
    words = ("finetune", run, "--recipe", task, "--out", tmp_path / "again", "--seeds", 2)
    said = command(*words)
    assert said.status == 0, said.err
    assert "2 seed(s)" in said.out
    assert "the epoch was selected on validation data, the test part scored once" in said.out
    for name in ("weights.safetensors", "result.json"):
        assert (tmp_path / "again" / "seed-0" / name).read_bytes() == (tuned / name).read_bytes()
    other = load_tensors(tmp_path / "again" / "seed-1" / "weights.safetensors")
    assert not torch.equal(other["head.1.weight"], load_model(tuned).head[1].weight)
    assert command(*words, "--resume").out == said.out
    again = command(*words)
    assert again.status == 2
    assert "holds a run already" in again.err


def test_resuming_is_exact(tuned: Path, run: Path, task: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    collate, calls = LabelledSweepSamples.collate, []

    def interrupting(self: LabelledSweepSamples, samples: Sequence[LabelledVoxels]) -> LabelledVoxels:
        calls.append(1)
        if len(calls) == 2:
            signal.raise_signal(signal.SIGINT)
        return collate(self, samples)

    monkeypatch.setattr(LabelledSweepSamples, "collate", interrupting)
    words = ("finetune", run, "--recipe", task, "--out", tmp_path / "ft")
    stopped = command(*words)
    assert stopped.status == 130
    assert "Go on with the same command and --resume" in stopped.err
    assert not (tmp_path / "ft/seed-0/result.json").exists()
    assert command(*words, "--resume").status == 0
    for name in ("weights.safetensors", "result.json"):
        assert (tmp_path / "ft/seed-0" / name).read_bytes() == (tuned / name).read_bytes()


def losses(folder: Path) -> list[tuple[float, float | None]]:
    return [(row.get("loss"), row.get("validation_miou")) for row in read_metrics(folder / "metrics.jsonl")]


def test_test_labels_change_neither_training_nor_selection(tuned: Path, run: Path, task: Path, tmp_path: Path) -> None:
    """The last sweep's classes are shuffled; then those of the one before, which selects."""
    for shuffled, same_selection in ((3, True), (2, False)):
        data = write_sweeps(tmp_path / f"data-{shuffled}", 4, {shuffled: np.roll(RAW, 2)})
        out = tmp_path / f"ft-{shuffled}"
        said = command("finetune", run, "--recipe", task, "--data", data, "--out", out)
        assert said.status == 0, said.err
        ours, theirs = losses(out / "seed-0"), losses(tuned)
        assert [loss for loss, _ in ours] == [loss for loss, _ in theirs]
        assert (ours == theirs) == same_selection
        if same_selection:
            weights, result = "weights.safetensors", "result.json"
            assert (out / "seed-0" / weights).read_bytes() == (tuned / weights).read_bytes()
            assert json.loads((out / "seed-0" / result).read_text()) != json.loads((tuned / result).read_text())


def test_scratch_takes_sizes_and_not_weights(run: Path, task: Path, tmp_path: Path) -> None:
    still = ("--optim.lr", 0, "--optim.warmup_lr", 0, "--optim.min_lr", 0, "--train.epochs", 1)
    for name, words in (("with", ()), ("without", ("--scratch",))):
        said = command("finetune", run, "--recipe", task, "--out", tmp_path / name, *words, *still)
        assert said.status == 0, said.err
    old = load_tensors(run / "weights.safetensors")["encoder.stem.conv.weight"]
    new = [
        load_tensors(tmp_path / name / "seed-0/weights.safetensors")["encoder.stem.conv.weight"]
        for name in ("with", "without")
    ]
    assert torch.equal(new[0], old)
    assert not torch.equal(new[1], old)
    assert json.loads((tmp_path / "without/seed-0/environment.json").read_text())["pretrained"] is None


def test_the_recipe_of_models_on_sweeps_is_taken_by_itself(run: Path, sweeps: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    shutil.copytree(run, mine)
    one = write_sweeps(tmp_path / "one", 1)
    quick = ("--train.epochs", 1, "--sweeps.minimum", 50, "--run.accelerator", "cpu")
    said = command("finetune", mine, "--data", one, *quick)
    assert said.status == 0, said.err
    told = json.loads((tmp_path / "mine-finetune_voxels/seed-0/environment.json").read_text())
    assert "a smoke test" in told["data"]["held_out"]


def test_sweeps_that_cannot_be_used(run: Path, task: Path, tmp_path: Path) -> None:
    data = write_sweeps(tmp_path / "data", 5)
    (data / "velodyne" / "000001.bin").write_bytes(b"0" * 30)
    words = ("finetune", run, "--recipe", task, "--data", data, "--out", tmp_path / "ft", "--train.epochs", 1)
    stopped = command(*words)
    assert (stopped.status, stopped.err.count("\n")) == (2, 1)
    assert "000001.bin: 30 bytes" in stopped.err
    assert not (tmp_path / "ft").exists()
    said = command(*words, "--sweeps.on_error", "skip")
    assert said.status == 0, said.err
    assert "sweeps_left_out" in said.out
    told = json.loads((tmp_path / "ft/seed-0/environment.json").read_text())
    assert "000001.bin" in told["data"]["skipped"][0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--recipe", "finetune_voxel"), "no recipe 'finetune_voxel' for mm3d; did you mean 'finetune_voxels'?"),
        (("--recipe", "finetune"), "a model on LiDAR sweeps; recipe finetune is for clouds"),
        (("--data", "nowhere"), "no such folder or .npz file"),
        (("--steps", 3), "unknown option --steps"),
        (("--ways", 2), "unknown option --ways"),
        (("--seeds", 0), "--seeds 0: expected at least 1"),
        (("--validation", 1.5), "--validation 1.5: expected a share between 0 and 1"),
        (("--norm_momentum", 0), "--norm_momentum 0.0: expected a share between 0 and 1"),
        (("--train.batch_size", 3, "--train.last_batch", "drop"), "train.batch_size 3 is larger than the 2 training"),
    ],
)
def test_bad_words_are_one_line(run: Path, sweeps: Path, tmp_path: Path, words: tuple[object, ...], said: str) -> None:
    given = () if "--data" in words else ("--data", sweeps, "--sweeps.minimum", 50)
    done = command("finetune", run, *given, "--out", tmp_path / "ft", *words)
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert said in done.err
    assert not (tmp_path / "ft").exists()


def test_other_models_and_unlabelled_sweeps_are_one_line(run: Path, task: Path, sweeps: Path, tmp_path: Path) -> None:
    sizes = PatchEncoderConfig(groups=8, group_size=8, dim=24, depth=1, heads=3)
    PointMAE(PointMAEConfig(sizes, decoder_depth=1, decoder_heads=3)).save_pretrained(tmp_path / "clouds")
    unlabelled = tmp_path / "unlabelled"
    shutil.copytree(sweeps, unlabelled)
    shutil.rmtree(unlabelled / "labels")
    for words, said in (
        ((tmp_path / "clouds", "--recipe", task), "clouds: a PointMAE; expected a model on voxels of LiDAR sweeps"),
        ((run, "--recipe", task, "--data", unlabelled), "no labelled sweeps; expected velodyne/N.bin"),
        ((tmp_path / "nothing", "--recipe", task), "no such folder"),
    ):
        done = command("finetune", *words, "--out", tmp_path / "ft")
        assert (done.status, done.err.count("\n")) == (2, 1)
        assert said in done.err
    assert not (tmp_path / "ft").exists()
