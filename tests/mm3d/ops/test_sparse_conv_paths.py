"""The other paths of sparse convolution agree with the torch path, where their packages are to be had."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from core.errors import UserError
from mm3d.ops.sparse_conv import gather_conv
from mm3d.ops.voxel_grid import VoxelGrid

PACKAGES = "MM_BEYOND_PEERS"  # folders with packages that the environment of the tests does not hold


@pytest.mark.parametrize("path", ["triton", "spconv"])
def test_values_and_gradients_are_those_of_the_torch_path(path: str) -> None:
    """On a CPU: Triton in its interpreter (its version 3.6 needs numpy below 2.4 there), spconv by its CPU wheel."""
    peers = os.environ.get(PACKAGES, "")
    inside = any((Path(folder) / path).is_dir() for folder in peers.split(os.pathsep) if folder)
    if not inside and importlib.util.find_spec(path) is None:
        pytest.skip(f"{path} is not installed; pip install it --target a folder that {PACKAGES} names")
    script = Path(__file__).parent / "sparse_conv_paths.py"
    root = Path(__file__).parents[3]
    paths = os.pathsep.join(part for part in (peers, str(root), os.environ.get("PYTHONPATH", "")) if part)
    environment = {**os.environ, "PYTHONPATH": paths, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(script), path], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert f"{path} agrees with torch" in done.stdout


@pytest.mark.parametrize("path", ["triton", "spconv"])
def test_a_path_without_its_package_says_so(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, path, None)
    monkeypatch.delitem(sys.modules, "mm3d.ops.sparse_conv_kernels", raising=False)
    found = VoxelGrid(torch.tensor([[0, 1, 1, 1]]), (3, 3, 3), 1).neighbours((3, 3, 3)).map
    with pytest.raises(UserError, match="not installed"):
        gather_conv(torch.ones(1, 2), torch.ones(27, 2, 2), found, path)  # type: ignore[arg-type]
