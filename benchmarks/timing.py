"""Times an implementation of ours and named peers side by side, in one process."""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from core.training.config import OptimConfig
from core.training.optim import new_optimizer

GPU_BATCH_MS = 10.0  # calls are timed together on a GPU until they take this long


@dataclass(frozen=True)
class Case:
    """One row of a table: functions without arguments that give the same result.

    ``peers`` by name with version. ``goal``: how often as fast as the first peer ours is meant to be, or as the first few of
    them, a number each; None where no goal was set. ``one_thread``: peers give something else with more than one CPU thread
    and are left out there.
    """

    name: str
    ours: Callable[[], object]
    peers: Mapping[str, Callable[[], object]]
    goal: float | tuple[float, ...] | None = None
    one_thread: bool = False


def all_threads() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def installed(distribution: str) -> str | None:
    """Name and version of a peer, None where it is not installed."""
    try:
        return f"{distribution} {metadata.version(distribution)}"
    except metadata.PackageNotFoundError:
        return None


def one_time(function: Callable[[], object], device: torch.device, calls: int) -> tuple[float, float]:
    """Wall-clock and CPU milliseconds of a call; on a GPU the device's own time, the mean of some calls."""
    if device.type == "cpu":
        wall, cpu = time.perf_counter(), time.process_time()
        function()
        return (time.perf_counter() - wall) * 1e3, (time.process_time() - cpu) * 1e3
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    cpu = time.process_time()
    begin.record()
    for _ in range(calls):
        function()
    end.record()
    torch.cuda.synchronize()
    return begin.elapsed_time(end) / calls, (time.process_time() - cpu) * 1e3 / calls


def compare(case: Case, device: torch.device, threads: int, repeats: int = 15, warmup: int = 3) -> dict[str, Any]:
    """Runs all sides alternately, so that a change of load falls on all; prints a row and returns it.

    ``clock`` says what the ratios are of: CPU time with one thread, which another program's load changes least, else
    wall-clock time (on a GPU the device's). ``ratio`` is peer / ours of the medians: above 1 ours is faster.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    peers = {} if case.one_thread and threads > 1 and device.type == "cpu" else case.peers
    sides = {"ours": case.ours, **peers}
    times: dict[str, list[tuple[float, float]]] = {side: [] for side in sides}
    calls = dict.fromkeys(sides, 1)
    try:
        for repeat in range(warmup + repeats):
            for side, function in sides.items():
                taken = one_time(function, device, calls[side])
                if repeat >= warmup:
                    times[side].append(taken)
                elif device.type != "cpu":
                    calls[side] = max(1, min(100, int(GPU_BATCH_MS / max(taken[0], 1e-3))))
    finally:
        torch.set_num_threads(before)
    clock = "cpu" if device.type == "cpu" and threads == 1 else "wall"
    row: dict[str, Any] = {"name": case.name, "device": device.type, "threads": threads, "repeats": repeats}
    row |= {"clock": clock, "ours": _summary(times["ours"], clock), "peers": {}}
    goals = case.goal if isinstance(case.goal, tuple) else (case.goal,)
    for name, goal in itertools.zip_longest(peers, goals[: len(peers)]):
        row["peers"][name] = peer = _summary(times[name], clock)
        peer |= {"ratio": peer["ms"] / row["ours"]["ms"], "goal": goal}
    print(text(row), flush=True)
    return row


def _summary(times: list[tuple[float, float]], clock: str) -> dict[str, Any]:
    wall, cpu = ([pair[i] for pair in times] for i in range(2))
    low, median, high = statistics.quantiles(cpu if clock == "cpu" else wall, n=4)
    return {"ms": median, "quartiles_ms": [low, high], "wall_ms": statistics.median(wall), "least_cpu_ms": min(cpu)}


def text(row: dict[str, Any]) -> str:
    """A row as a line."""
    where = f"{row['threads']} thr" if row["device"] == "cpu" else "GPU"
    peers = (f"{name} {_cell(side)} = {side['ratio']:.2f}x" for name, side in row["peers"].items())
    return "  ".join([f"{row['name']:<44} {where:>6} {row['clock']:>4}  ours {_cell(row['ours'])}", *peers])


def _cell(side: dict[str, Any]) -> str:
    low, high = side["quartiles_ms"]
    return f"{side['ms']:.2f} [{low:.2f}, {high:.2f}]"


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


def run(title: str, cases: Callable[[torch.device], list[Case]], repeats: int = 15, warmup: int = 3) -> None:
    """The command line of a benchmark: each case with one thread and with all, or on a GPU.

    ``repeats`` is what it is without ``--repeats``.
    """
    parser = argparse.ArgumentParser(description=title)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows, machine and versions here")
    parser.add_argument("--repeats", type=int, default=repeats, help="timed runs of each side (default: %(default)s)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="(default: %(default)s)")
    parser.add_argument("--threads", type=int, nargs="+", help="CPU threads (default: 1 and all)")
    given = parser.parse_args()
    if given.repeats < 2:
        parser.error("--repeats must be at least 2: one time has no spread")
    if given.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: torch sees no GPU")
    device = torch.device(given.device)
    said = environment(device)
    print(f"{title}; median [quartiles] in ms; torch {said['versions']['torch']}, {said['machine']}")
    counts = [all_threads()] if given.device == "cuda" else given.threads or sorted({1, all_threads()})
    rows: list[dict[str, Any]] = []
    for case in cases(device):
        for count in counts:
            rows.append(compare(case, device, count, given.repeats, warmup))
            if given.json:  # after every row, so that what was measured stays where a later one is cut off
                write(given.json, title, device, rows)


def write(file: Path, title: str, device: torch.device, rows: list[dict[str, Any]]) -> None:
    """Rows with machine and versions as JSON."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"title": title, **environment(device), "rows": rows}, indent=1) + "\n")


def environment(device: torch.device | None = None) -> dict[str, Any]:
    """What the numbers depend on."""
    cores = all_threads()
    machine = f"{_processor()}, {cores} {'core' if cores == 1 else 'cores'}"
    if device is not None and device.type == "cuda":
        machine = f"{torch.cuda.get_device_name()}; {machine}"
    return {
        "machine": machine,
        "load_average": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
