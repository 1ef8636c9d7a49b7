"""`mmbio probe` on all kinds of data."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import pytest
from tiny_mmbio import OPTIONS, command

from core.errors import UserError
from mmbio.perplexity import LMScore
from mmbio.probing import evaluation_of, frequencies

SCORES = {
    "classes": ["accuracy", "mean class accuracy"],
    "values": ["Spearman", "RMSE"],
    "binary": ["ROC-AUC"],
    "residues": ["accuracy", "MCC", "average precision"],
}


@pytest.mark.parametrize("task", list(OPTIONS))
def test_all_tasks(pretrained: Path, table: Path, tmp_path: Path, task: str) -> None:
    runs = tmp_path / "runs"
    for seed in (0, 1):
        shutil.copytree(pretrained, runs / f"seed-{seed}")
    said = command("probe", runs, "--data", f"csv:{table},{OPTIONS[task]}", "--device", "cpu", "--epochs", "25")
    assert said.status == 0, said.err
    found = json.loads((runs / "probe.json").read_text())
    assert [row["features"] for row in found["rows"]][:2] == ["pretrained", "untrained"]
    raw = [row["features"] for row in found["rows"]][2:]
    assert raw == (["residue", "window of 17"] if task == "residues" else ["composition"])
    for row in found["rows"]:
        assert list(row["scores"]) == SCORES[task]
        assert row["features"] in said.out
    first = found["rows"][0]["scores"][SCORES[task][0]]
    assert first["seeds"] == 2
    if task != "residues":  # the same weights twice
        assert first["std"] == 0
    if task in ("classes", "binary"):  # composition tells the two kinds
        assert found["rows"][2]["scores"][SCORES[task][0]]["mean"] > 0.8
    if task == "residues":  # a linear layer on one-hot letters tells letters
        assert found["rows"][2]["scores"]["average precision"]["mean"] > 0.8


def test_methods_and_no_controls(pretrained: Path, table: Path, tmp_path: Path) -> None:
    data = f"csv:{table},{OPTIONS['classes']}"
    out = tmp_path / "found.json"
    said = command(
        "probe", pretrained, "--data", data, "--methods", "knn,logistic", "--controls", "false", "--out", out
    )
    assert said.status == 0, said.err
    rows = json.loads(out.read_text())["rows"]
    assert [(row["features"], row["probe"]) for row in rows] == [("pretrained", "knn"), ("pretrained", "logistic")]
    assert not (pretrained / "probe.json").exists()


def test_residues_by_the_window_around_them(pretrained: Path, table: Path, tmp_path: Path) -> None:
    out = tmp_path / "found.json"
    words = ("--controls", "false", "--epochs", "2", "--window", "5", "--out", out)
    said = command("probe", pretrained, "--data", f"csv:{table},{OPTIONS['residues']}", *words)
    assert said.status == 0, said.err
    rows = json.loads(out.read_text())["rows"]
    assert [row["probe"] for row in rows] == ["linear", "linear, window of 5"]
    alone, window = (row["scores"]["average precision"]["mean"] for row in rows)
    assert alone != window
    assert min(alone, window) > 0.2


def test_sequences_without_labels_give_perplexity(pretrained: Path, tmp_path: Path) -> None:
    said = command("probe", pretrained, "--out", tmp_path / "found.json")
    assert said.status == 0, said.err
    rows = {row["features"]: row["scores"] for row in json.loads((tmp_path / "found.json").read_text())["rows"]}
    assert list(rows) == ["pretrained", "untrained", "frequencies"]
    assert rows["pretrained"]["perplexity"]["mean"] < rows["untrained"]["perplexity"]["mean"]


def test_frequencies_are_the_entropy() -> None:
    found = frequencies(LMScore(0.0, 0.0, 8, [0, 4, 2, 2], [0, 0, 0, 0]))
    assert found["perplexity"] == pytest.approx(math.exp(1.5 * math.log(2)))
    assert found["accuracy"] == 0.5


@pytest.mark.parametrize(
    ("options", "words", "said"),
    [
        ("classes", ("--methods", "svm"), "expected some of logistic, linear_svm, knn"),
        ("values", ("--methods", "knn"), "probes are chosen for classes only"),
        ("residues", ("--epochs", "0"), "--epochs 0"),
        ("residues", ("--window", "2"), "--window 2: expected an odd number"),
        ("classes", ("--out", "no/folder/x.json"), "its folder does not exist"),
        ("classes", ("--metods", "knn"), "did you mean '--methods'"),
    ],
)
def test_bad_words(pretrained: Path, table: Path, options: str, words: tuple[str, ...], said: str) -> None:
    found = command("probe", pretrained, "--data", f"csv:{table},{OPTIONS[options]}", *words)
    assert found.status == 2
    assert said in found.err


def test_data_that_nothing_evaluates() -> None:
    with pytest.raises(UserError, match="dict: no models are evaluated"):
        evaluation_of({})
