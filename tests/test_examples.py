"""The examples run as they stand, and do what they say."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch

EXAMPLES = Path(__file__).parents[1] / "examples"
TESTED = {"own_loop", "custom_mask"}


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_example_is_tested() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == TESTED


def test_own_loop_learns(capsys: pytest.CaptureFixture[str]) -> None:
    before, after = load("own_loop").main()
    assert after < before / 2
    assert "epoch 2: training loss" in capsys.readouterr().out


def test_custom_mask_hides_one_side_and_trains(capsys: pytest.CaptureFixture[str]) -> None:
    example = load("custom_mask")
    centers = torch.randn(5, 10, 3, generator=torch.Generator().manual_seed(0))
    mask = example.half_space_mask(centers, 0.6, torch.Generator().manual_seed(1))
    assert mask.counts.tolist() == [6] * 5
    # A plane parts the two sides: every hidden centre is farther along than every visible one.
    directions = torch.nn.functional.normalize(torch.randn(5, 3, generator=torch.Generator().manual_seed(1)), dim=-1)
    for cloud, hidden, direction in zip(centers, mask.hidden, directions, strict=True):
        assert (cloud[hidden] @ direction).min() > (cloud[~hidden] @ direction).max()
    losses = example.main()
    assert sum(losses[-5:]) < sum(losses[:5])
    assert capsys.readouterr().out.startswith("9 of 16 patches hidden")
