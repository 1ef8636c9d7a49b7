"""Runs every benchmark that this machine can and renders benchmarks/README.md: make bench

python -m benchmarks [--only NAME ...] [--device cpu cuda] [--cora planetoid:FOLDER/cora]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.render import RESULTS, render

CORA = ("data/planetoid/cora", "shared/data/graphs/planetoid/cora", "../shared/data/graphs/planetoid/cora")


@dataclass(frozen=True)
class Row:
    """A script of this folder."""

    name: str
    on_gpu: bool = True
    needs_cora: bool = False


ROWS = (
    Row("farthest_point_sample"),
    Row("knn"),
    Row("chamfer"),
    Row("earth_mover"),
    Row("point_mae_step"),
    Row("esm2_step"),
    Row("esm2_forward"),
    Row("gat_layer", needs_cora=True),
    Row("graphmae_epoch", on_gpu=False, needs_cora=True),
    Row("sparse_conv"),
    Row("tokenise_clouds"),
    Row("tokenise_molecules"),
    Row("growth"),
)


def main() -> int:
    parser = argparse.ArgumentParser(description="Run benchmarks and render benchmarks/README.md")
    parser.add_argument("--only", nargs="+", choices=[row.name for row in ROWS], help="some of them (default: all)")
    parser.add_argument("--device", nargs="+", choices=("cpu", "cuda"), help="(default: what is there)")
    parser.add_argument("--cora", help="planetoid:FOLDER/cora (default: looked for in data/ and shared/)")
    parser.add_argument("--repeats", type=int, help="timed runs of each side (default: each script's own)")
    parser.add_argument("--threads", type=int, nargs="+", help="CPU threads (default: 1 and all)")
    given = parser.parse_args()
    devices = given.device or (["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"])
    cora = given.cora or next((f"planetoid:{p}" for p in CORA if Path(p).parent.is_dir()), None)
    failed = []
    for row in ROWS:
        if given.only and row.name not in given.only:
            continue
        for device in devices:
            if device == "cuda" and not row.on_gpu:
                continue
            if row.needs_cora and not cora:
                print(f"{row.name}: left out, Cora is not in {', '.join(CORA)} (--cora names it)")
                continue
            words = [sys.executable, "-m", f"benchmarks.{row.name}", *([cora] if row.needs_cora and cora else [])]
            words += ["--json", str(RESULTS / f"{row.name}.{device}.json")]
            words += ["--device", device] if row.on_gpu else []
            words += ["--repeats", str(given.repeats)] if given.repeats else []
            words += ["--threads", *map(str, given.threads)] if given.threads and row.name != "growth" else []
            print("$", *words[1:], flush=True)
            if subprocess.run(words, check=False).returncode:
                failed.append(f"{row.name} on {device}")
    render()
    if failed:
        print("failed:", ", ".join(failed), file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
