"""Fixtures for all tests."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))  # for what all tests share

settings.register_profile("default", deadline=None, derandomize=True, max_examples=25)
settings.load_profile("default")
torch.set_num_threads(1)  # here already for fixtures of whole modules, which come before those of single tests


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real data and golden arrays that lies beside the checkout; MM_BEYOND_SHARED names another place."""
    folder = Path(os.environ.get("MM_BEYOND_SHARED", Path(__file__).parents[2] / "shared"))
    if not (folder / "golden").is_dir():
        pytest.skip("no shared folder with golden arrays beside the checkout (MM_BEYOND_SHARED names it)")
    return folder


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Small tensors are slower on two threads than on one, and sums come out the same everywhere."""
    torch.set_num_threads(1)
