"""Run folders: never overwritten, resumed only with the same settings, and readable after a kill."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.errors import UserError
from core.files import read_metrics
from core.training.run import RunFolder, differences, environment, plain

CONFIG: dict[str, Any] = {
    "model": {"dim": 8, "betas": (0.9, 0.95)},
    "train": {"epochs": 3, "seed": 0},
    "run": {"devices": 1},
}


def opened(folder: Path) -> RunFolder:
    run = RunFolder(folder)
    run.open(CONFIG, False, "A paper", {"seed": 0, "data": {"fingerprint": "abc"}})
    return run


def test_a_new_run_explains_itself(tmp_path: Path) -> None:
    run = opened(tmp_path / "a" / "run")
    text = (run.path / "config.yaml").read_text()
    assert text.startswith("# A paper\n")
    assert yaml.safe_load(text) == plain(CONFIG) == run.config()
    said = json.loads((run.path / "environment.json").read_text())
    assert said["data"]["fingerprint"] == "abc"
    assert said["seed"] == 0
    assert said.keys() >= environment().keys() >= {"python", "packages", "git", "system"}
    assert "torch" in said["packages"]
    assert sorted(os.listdir(run.path)) == ["config.yaml", "environment.json"]


def test_existing_things_are_never_overwritten(tmp_path: Path) -> None:
    run = opened(tmp_path / "run")
    before = {p.name: p.read_bytes() for p in run.path.iterdir()}
    with pytest.raises(UserError, match="run: holds a run already; continue it with --resume"):
        run.open(CONFIG, False, "", {})
    assert {p.name: p.read_bytes() for p in run.path.iterdir()} == before
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("years of work")
    for resume in (False, True):
        with pytest.raises(UserError, match="full: exists and is not empty"):
            RunFolder(tmp_path / "full").open(CONFIG, resume, "", {})
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file: is a file"):
        RunFolder(tmp_path / "file").check(CONFIG, False)
    (tmp_path / "empty").mkdir()
    RunFolder(tmp_path / "empty").open(CONFIG, False, "", {})
    with pytest.raises(UserError, match="cannot be written"):
        RunFolder(tmp_path / "file" / "below").open(CONFIG, False, "", {})


def test_checking_writes_nothing(tmp_path: Path) -> None:
    RunFolder(tmp_path / "run").check(CONFIG, False)
    assert not list(tmp_path.iterdir())


def test_resuming_with_other_settings_names_them(tmp_path: Path) -> None:
    run = opened(tmp_path / "run")
    run.check(CONFIG, True)
    run.check({**CONFIG, "run": {"devices": 4, "new": 1}}, True)
    run.check(plain(CONFIG), True)
    other = {
        **CONFIG,
        "train": {"epochs": 5, "seed": 0},
        "model": {"dim": 8, "betas": (0.9, 0.99), "depth": 2},
    }
    with pytest.raises(UserError) as caught:
        run.check(other, True)
    said = str(caught.value)
    assert "train.epochs: 3 -> 5" in said
    assert "model.betas: [0.9, 0.95] -> (0.9, 0.99)" in said
    assert "model.depth: None -> 2" in said
    assert "seed" not in said
    assert "\n" not in said


def test_resume_of_nothing_starts(tmp_path: Path) -> None:
    RunFolder(tmp_path / "run").open(CONFIG, True, "", {})
    assert (tmp_path / "run" / "config.yaml").exists()


@pytest.mark.parametrize(
    "left",
    [[], ["environment.json"], [".environment.json.12.tmp"], ["environment.json", ".config.yaml.12.tmp"]],
)
def test_a_kill_while_opening_does_not_block_the_folder(tmp_path: Path, left: list[str]) -> None:
    for name in left:
        (tmp_path / name).write_text("{")
    RunFolder(tmp_path).open(CONFIG, True, "", {"seed": 1})
    assert RunFolder(tmp_path).config() == plain(CONFIG)
    assert json.loads((tmp_path / "environment.json").read_text())["seed"] == 1


def test_unreadable_configurations(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a run folder"):
        RunFolder(tmp_path).config()
    for content, said in (("a: [", "not readable as YAML"), ("- 1", "expected keys and values")):
        (tmp_path / "config.yaml").write_text(content)
        with pytest.raises(UserError, match=said):
            RunFolder(tmp_path).config()


ROWS = [{"step": i, "loss": 1 / i} for i in range(1, 6)]


@pytest.mark.parametrize("torn", ["", "{", '{"step": 6, "lo', '{"step": 6, "loss": 0.1'])
def test_a_torn_last_line_is_left_out(tmp_path: Path, torn: str) -> None:
    run = RunFolder(tmp_path)
    run.metrics.write_text("".join(json.dumps(row) + "\n" for row in ROWS) + torn)
    assert read_metrics(run.metrics) == ROWS
    run.truncate_metrics(3)
    assert read_metrics(run.metrics) == ROWS[:3]
    assert run.metrics.read_text().endswith("\n")
    run.truncate_metrics(0)
    assert run.metrics.read_text() == ""


def test_truncating_nothing(tmp_path: Path) -> None:
    RunFolder(tmp_path).truncate_metrics(3)
    assert not list(tmp_path.iterdir())


def test_differences_of_nested_values() -> None:
    assert differences({"a": (1, 2)}, {"a": [1, 2]}) == []
    assert differences({"a": {"b": 1}}, {"a": 3}) == ["a: {'b': 1} -> 3"]
    assert differences({"a": 1}, {"b": 1}) == ["a: 1 -> None", "b: None -> 1"]


def test_one_training_a_folder(tmp_path: Path) -> None:
    first, second = RunFolder(tmp_path / "run"), RunFolder(tmp_path / "run")
    with first.lock(), pytest.raises(UserError, match="another process trains in this folder"), second.lock():
        pass
    with second.lock():
        pass
