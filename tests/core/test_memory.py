"""Giving memory back."""

from __future__ import annotations

import ctypes

import pytest
import torch

from core.memory import give_back_memory


def test_it_leaves_tensors_as_they_are() -> None:
    kept = [torch.full((n,), float(n)) for n in range(1, 2000, 7)]
    give_back_memory()
    assert all(bool((t == len(t)).all()) for t in kept)


def test_a_system_that_cannot_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    give_back_memory()
