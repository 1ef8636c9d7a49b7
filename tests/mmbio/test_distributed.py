"""Two processes with sharded weights train what one trains, and the tied embedding stays one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_mmbio import RECIPE, command, random_proteins, write_fasta, write_recipe

from mmbio.models.esm2 import ESM2


def losses(folder: Path) -> list[float]:
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [row.get("loss", row.get("held_out_loss")) for row in rows]


def test_tied_weights_survive_sharding(tmp_path: Path) -> None:
    """Sequences are of one length, so that both processes hide as many tokens: a loss is the mean of their means."""
    data = write_fasta(tmp_path / "a.fasta", random_proteins(40, shortest=30, longest=30))
    words = [
        str(write_recipe(tmp_path / "r.yaml", RECIPE, data=data)),
        "--model.checkpointing",
        "true",
        "--optim.clip_norm",
        "0.5",
    ]
    assert command("pretrain", *words, "--out", tmp_path / "one").status == 0
    root = Path(__file__).parents[2]
    script = Path(__file__).with_name("run_mmbio.py")
    two = tmp_path / "two"
    shared = ["--run.devices", "2", "--run.strategy", "fsdp"]
    done = subprocess.run(
        [sys.executable, str(script), "pretrain", *words, *shared, "--out", str(two)],
        capture_output=True, text=True, timeout=150, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert losses(two) == pytest.approx(losses(tmp_path / "one"), rel=1e-4)
    one, weights = load_file(tmp_path / "one/weights.safetensors"), load_file(two / "weights.safetensors")
    assert weights.keys() == one.keys()
    assert torch.equal(weights["encoder.embedding.weight"], weights["objectives.lm.head.weight"])
    torch.testing.assert_close(
        weights["encoder.embedding.weight"], one["encoder.embedding.weight"], rtol=1e-3, atol=1e-4
    )
    model = ESM2.from_pretrained(two)
    assert model.lm_head.weight is model.encoder.embedding.weight
