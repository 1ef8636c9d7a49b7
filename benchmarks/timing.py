"""Times an implementation of ours and a named peer side by side, in one process."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from core.training.config import OptimConfig
from core.training.optim import new_optimizer


@dataclass(frozen=True)
class Case:
    """One row of a table: two functions without arguments that give the same result."""

    name: str
    ours: Callable[[], object]
    peer: Callable[[], object]


def all_threads() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def compare(case: Case, peer_name: str, threads: int, repeats: int = 15, warmup: int = 3) -> dict[str, Any]:
    """Runs both alternately, so that a change of load falls on both; prints a row and returns it.

    Times are wall-clock milliseconds: median and quartiles. `ratio` is peer / ours of the medians: above 1
    ours is faster.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    times: dict[str, list[float]] = {"ours": [], "peer": []}
    try:
        for repeat in range(warmup + repeats):
            for side, function in (("ours", case.ours), ("peer", case.peer)):
                begin = time.perf_counter()
                function()
                if repeat >= warmup:
                    times[side].append((time.perf_counter() - begin) * 1e3)
    finally:
        torch.set_num_threads(before)
    row: dict[str, Any] = {"name": case.name, "peer": peer_name, "threads": threads, "repeats": repeats}
    for side, values in times.items():
        low, median, high = statistics.quantiles(values, n=4)
        row |= {f"{side}_ms": median, f"{side}_quartiles_ms": [low, high]}
    row["ratio"] = row["peer_ms"] / row["ours_ms"]
    print(
        f"{case.name:<36} {threads:>2} thr  ours {_cell(row, 'ours')}  {peer_name} {_cell(row, 'peer')}"
        f"  ratio {row['ratio']:.2f}",
        flush=True,
    )
    return row


def training_step(model: nn.Module, loss: Callable[[], Tensor], config: OptimConfig) -> Callable[[], float]:
    """Loss, backward pass and a step of the optimiser, as a function without arguments."""
    optimizer = new_optimizer(model, config)

    def step() -> float:
        value = loss()
        value.backward()
        optimizer.step()
        optimizer.zero_grad()
        return float(value.detach())

    return step


def run(
    description: str, peer_name: str, cases: list[Case], repeats: int = 15, warmup: int = 3
) -> list[dict[str, Any]]:
    """The command line of a benchmark: each case with one thread and with all; `--json FILE` keeps them.

    ``repeats`` is what it is without `--repeats`.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows, machine and versions here")
    parser.add_argument("--repeats", type=int, default=repeats, help="timed runs of each side (default: %(default)s)")
    arguments = parser.parse_args()
    if arguments.repeats < 2:
        parser.error("--repeats must be at least 2: one time has no spread")
    print(f"{description}; median [quartiles] in ms, wall clock; torch {torch.__version__}, {_processor()}")
    counts = sorted({1, all_threads()})
    rows = [compare(case, peer_name, count, arguments.repeats, warmup) for case in cases for count in counts]
    if arguments.json:
        arguments.json.write_text(
            json.dumps({"benchmark": description, **environment(), "rows": rows}, indent=1) + "\n"
        )
    return rows


def environment() -> dict[str, Any]:
    """What the numbers depend on."""
    return {
        "machine": {"processor": _processor(), "cores": all_threads(), "system": platform.system()},
        "load_average": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _cell(row: dict[str, Any], side: str) -> str:
    low, high = row[f"{side}_quartiles_ms"]
    return f"{row[f'{side}_ms']:8.2f} [{low:.2f}, {high:.2f}]"
