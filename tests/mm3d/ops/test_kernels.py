"""Kernels for GPUs: checked in Triton's interpreter without one, natively with one, and not used where they do not fit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mm3d.ops import kernels
from mm3d.ops.paths import paths

CHECKS = Path(__file__).with_name("kernels_on_device.py")
ROOT = Path(__file__).parents[3]


def environment(interpreted: bool) -> dict[str, str]:
    """MM_BEYOND_TRITON names a folder with ``triton==3.6.0`` and ``numpy<2.4``, which is what the interpreter needs."""
    folder = os.environ.get("MM_BEYOND_TRITON", "")
    paths = [folder, str(ROOT), os.environ.get("PYTHONPATH", "")]
    found = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in paths if p)}
    return {**found, "TRITON_INTERPRET": "1"} if interpreted else found


def test_kernels_equal_the_operators_on_cpu() -> None:
    interpreted = not torch.cuda.is_available()
    given = environment(interpreted)
    triton = subprocess.run([sys.executable, "-c", "import triton"], env=given, capture_output=True, check=False)
    if triton.returncode:
        pytest.skip(
            "triton is not installed (MM_BEYOND_TRITON names a folder of pip install --target with triton==3.6.0 'numpy<2.4')"
        )
    words = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", str(CHECKS)]
    done = subprocess.run(words, env=given, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    assert " passed" in done.stdout


def test_tensors_that_kernels_do_not_take(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not kernels.serves(torch.zeros(1, 4, 3))
    monkeypatch.setattr(kernels, "_unfit", lambda: None)
    monkeypatch.setattr(kernels, "_triton", lambda: True)
    assert kernels.why_plain() is None
    monkeypatch.setattr(kernels, "_triton", lambda: False)
    assert kernels.why_plain() == "triton is not installed"
    monkeypatch.setenv(kernels.SWITCH, "1")
    assert kernels.why_plain() == "MM3D_PLAIN is set"


def test_check_says_which_way_operators_go(monkeypatch: pytest.MonkeyPatch) -> None:
    from mm3d import ops

    monkeypatch.setattr(kernels, "_triton", lambda: False)
    for reason, said in ((kernels.NO_GPU, "no GPU here"), (None, "torch, step by step (triton is not installed)")):
        monkeypatch.setattr(kernels, "_unfit", lambda reason=reason: reason)
        rows = paths()
        assert rows[0][0] == "farthest_point_sample"
        assert rows[0][2] == said
        assert all(hasattr(ops, row[0]) or row[0] in ("chamfer", "sparse convolution") for row in rows)
