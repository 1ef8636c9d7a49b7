"""`mmbio pretrain` from end to end: what a run leaves, resuming to the same bits, seeds, span masks, help, bad settings."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_mmbio import RECIPE, command, write_recipe

from mmbio.models import load_model
from mmbio.models.esm2 import ESM2


def metrics(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def learned(folder: Path) -> list[tuple]:
    """What must be the same to the bit, of every row: not how fast it went."""
    return [tuple((k, v) for k, v in row.items() if "per_second" not in k) for row in metrics(folder)]


def test_a_run_leaves_what_is_needed(pretrained: Path) -> None:
    for name in (
        "config.yaml",
        "metrics.jsonl",
        "weights.safetensors",
        "model.json",
        "report.html",
        "environment.json",
    ):
        assert (pretrained / name).is_file(), name
    rows = metrics(pretrained)
    trained = [row for row in rows if "loss" in row]
    looked = [row for row in rows if "held_out_perplexity" in row]
    assert len(trained) == 8  # 32 of 40 sequences, two epochs of four steps
    assert all(row["residues_per_second"] > row["samples_per_second"] > 0 for row in trained)
    assert len(looked) == 2
    assert looked[-1]["held_out_loss"] < math.log(33)
    assert looked[-1]["held_out_perplexity"] == pytest.approx(math.exp(looked[-1]["held_out_loss"]))
    model = load_model(pretrained)
    assert isinstance(model, ESM2)
    assert not model.training
    assert model.lm_head.weight is model.encoder.embedding.weight
    page = (pretrained / "report.html").read_text()
    assert "perplexity" in page
    assert "told right" in page


def test_residues_a_second_are_tokens_over_time(pretrained: Path) -> None:
    """Tokens and samples are counted over the same time, so their ratio is the mean length of a sequence."""
    rows = [row for row in metrics(pretrained) if "loss" in row]
    means = [row["residues_per_second"] / row["samples_per_second"] for row in rows]
    assert all(12 <= mean <= 42 for mean in means)


def test_the_terminal_says_residues_a_second(recipe: Path, tmp_path: Path) -> None:
    said = command("pretrain", recipe, "--out", tmp_path / "run")
    assert said.status == 0, said.err
    samples, residues = re.search(r"([\d.]+) samples/s, ([\d,]+) residues/s;", said.out).groups()  # type: ignore[union-attr]
    assert 12 <= float(residues.replace(",", "")) / float(samples) <= 42
    again = command("pretrain", recipe, "--out", tmp_path / "run", "--resume")
    assert "finished" in again.out
    assert "residues/s" not in again.out


def test_resuming_is_bit_identical(tmp_path: Path, recipe: Path) -> None:
    words = ("--run.save_steps", 3, "--train.bucket", 2, "--optim.clip_norm", 1.0)
    assert command("pretrain", recipe, "--out", tmp_path / "whole", *words).status == 0
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    for name in ("weights.safetensors", "report.html"):
        (tmp_path / "cut" / name).unlink()
    kept = sorted((tmp_path / "cut/state").glob("step-*"))
    shutil.rmtree(kept[-1])
    assert kept[0].name.endswith("6")
    said = command("pretrain", tmp_path / "cut", "--resume")
    assert said.status == 0, said.err
    assert learned(tmp_path / "cut") == learned(tmp_path / "whole")
    whole, cut = (load_file(tmp_path / name / "weights.safetensors") for name in ("whole", "cut"))
    assert all(torch.equal(tensor, cut[name]) for name, tensor in whole.items())
    said = command("pretrain", tmp_path / "cut", "--resume")
    assert "finished" in said.out


def test_several_seeds(tmp_path: Path, recipe: Path) -> None:
    said = command("pretrain", recipe, "--seeds", 2, "--train.epochs", 1, "--out", tmp_path / "runs")
    assert said.status == 0, said.err
    first, second = (load_file(tmp_path / f"runs/seed-{seed}/weights.safetensors") for seed in (0, 1))
    assert not torch.equal(first["encoder.embedding.weight"], second["encoder.embedding.weight"])


@pytest.mark.parametrize("kind", ["span", "contiguous"])
def test_other_masks(tmp_path: Path, recipe: Path, kind: str) -> None:
    said = command("pretrain", recipe, "--model.mask.kind", kind, "--train.epochs", 1, "--out", tmp_path / "run")
    assert said.status == 0, said.err
    assert load_model(tmp_path / "run").config.mask.kind == kind


def test_esm1b_and_windows(tmp_path: Path, proteins: str) -> None:
    values = {**RECIPE, "system": "esm1b", "model": {"dim": 16, "depth": 1, "heads": 2, "positions": 22}}
    recipe = write_recipe(tmp_path / "r.yaml", values, data=proteins, train={"epochs": 1})
    said = command("pretrain", recipe, "--out", tmp_path / "run")
    assert said.status == 2
    assert "text.longest 40: with begin and end more than the model's 22 positions; expected at most 20" in said.err
    assert not (tmp_path / "run").exists()
    said = command("pretrain", recipe, "--text.longest", 20, "--out", tmp_path / "run")
    assert said.status == 0, said.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--model.mask.ratio", "1.2"), "--model.mask.ratio 1.2"),
        (("--model.mask.random_share", "0.5"), "more than all"),
        (("--model.heads", "3"), "model.dim 16: expected an even multiple of the 3 heads"),
        (("--model.dim", "0"), "--model.dim 0"),
        (("--model.headss", "3"), "headss"),
        (("--data", "fasta:nowhere.fasta"), "nowhere.fasta: cannot be read"),
        (("--data", "protein"), "no such layout"),
        (("--train.batch_size", "1000"), "larger than the 32 training samples"),
        (("--text.held_out", "1"), "--text.held_out 1"),
    ],
)
def test_bad_settings_are_one_line(tmp_path: Path, recipe: Path, words: tuple[str, ...], said: str) -> None:
    found = command("pretrain", recipe, "--out", tmp_path / "run", *words)
    assert found.status == 2
    assert said in found.err
    assert found.err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_help_answers_without_torch() -> None:
    code = (
        "import sys\nfrom mmbio.cli import ABOUT, COMMANDS\nfrom core.cli.app import run\n"
        "for words in (['--help'], ['list'], ['pretrain', '--help']):\n"
        "    try:\n        run('mmbio', ABOUT, COMMANDS, words)\n    except SystemExit:\n        pass\n"
        "assert 'torch' not in sys.modules, 'torch was imported'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "--model.mask.kind" in done.stdout
    assert "esm2_8m" in done.stdout
