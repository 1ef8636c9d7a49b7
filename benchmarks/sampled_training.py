"""Training on subgraphs of a generated graph of a million nodes: memory and speed, beside steps on whole graphs.

python -m benchmarks.sampled_training [--json FILE]

Each row is a process of its own. The graph lies on disk and is mapped into memory; what is counted is anonymous memory, so
without the mapped files: what the compressed rows of the edges add to the bare process, and the most that was held while
subgraphs were drawn and trained on. Times are CPU seconds of the process, its threads together, which on a shared machine say
more than the clock. torch_geometric's ``NeighborLoader`` is the peer where it runs, which needs pyg-lib or
torch-sparse; otherwise it is a step on the whole graph, at sizes where that fits.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.timing import environment, training_step
from core.random import generator
from core.training.config import OptimConfig
from mmgraph.config import GraphEncoderConfig, GraphMAEConfig, SamplingConfig
from mmgraph.data.npy import npy
from mmgraph.data.sampling import SampledGraph
from mmgraph.models.graphmae import GraphMAE

WIDTH, DEGREE = 128, 10  # features a node, undirected edges a node
SIZES = {"sampled": (10_000, 100_000, 1_000_000), "neighbor_loader": (1_000_000,), "whole": (10_000, 100_000)}
SAMPLING = SamplingConfig(256, (10, 10))
MODEL = GraphMAEConfig(WIDTH, GraphEncoderConfig(dim=256, heads=4))
PIECE = 2**20


def write_graph(folder: Path, nodes: int) -> None:
    """Edges between nodes of unequal degree: the expected degree of node i falls as the cube root of i."""
    folder.mkdir(parents=True)
    draws, edges = np.random.default_rng(0), nodes * DEGREE
    index = np.lib.format.open_memmap(folder / "edge_index.npy", "w+", np.int64, (2, 2 * edges))
    for first in range(0, edges, PIECE):
        count = min(PIECE, edges - first)
        pairs = (draws.random((2, count)) ** 1.5 * nodes).astype(np.int64)
        index[:, first : first + count] = pairs
        index[:, edges + first : edges + first + count] = pairs[::-1]
    x = np.lib.format.open_memmap(folder / "x.npy", "w+", np.float32, (nodes, WIDTH))
    for first in range(0, nodes, PIECE):
        x[first : first + PIECE] = draws.standard_normal((min(PIECE, nodes - first), WIDTH), np.float32)


def anonymous() -> float:
    """Resident memory of this process that is not mapped from files, in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


@contextmanager
def watched() -> Iterator[list[float]]:
    """The most anonymous memory while something is done, looked at every 20 ms, as the only item of a list."""
    most, done = [anonymous()], threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            most[0] = max(most[0], anonymous())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield most
    finally:
        done.set()
        thread.join()


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds, and the result."""
    begin = time.process_time()
    result = action()
    return time.process_time() - begin, result


def measure(side: str, folder: Path, repeats: int) -> dict[str, Any]:
    """One row; what does not run says why."""
    data = npy(folder)
    torch.manual_seed(0)
    model = GraphMAE(MODEL).train()
    row: dict[str, Any] = {"side": side, "nodes": len(data.graph.x), "edges": data.graph.edge_index.shape[1]}
    row["files_mib"] = sum(path.stat().st_size for path in folder.iterdir()) / 2**20
    if side == "neighbor_loader":
        return row | _neighbor_loader(folder)
    batch = [data.graph]
    step = training_step(
        model, lambda: model(batch[0], model.draw_mask(batch[0], generator(0, "mask"))).loss, OptimConfig()
    )
    row["bare_mib"] = bare = anonymous()
    drawn, steps, sizes = [], [], []
    with watched() as most:
        if side == "sampled":
            row["rows_s"], samples = timed(lambda: SampledGraph(data.graph, SAMPLING, 0))
            row["rows_mib"] = anonymous() - bare
        for repeat in range(repeats + 1):
            if side == "sampled":
                seconds, batch[0] = timed(lambda at=repeat: samples.sample(at % len(samples), generator(0, at)))
                drawn.append(seconds)
            steps.append(timed(step)[0])
            sizes.append((len(batch[0].x), batch[0].edge_index.shape[1]))
    row["most_mib"] = most[0] - bare
    row["sample_nodes"], row["sample_edges"] = (statistics.mean(part[1:]) for part in zip(*sizes, strict=True))
    for name, seconds in (("draw", drawn[1:]), ("step", steps[1:])):
        if seconds:
            low, median, high = statistics.quantiles([1e3 * s for s in seconds], n=4)
            row |= {f"{name}_ms": median, f"{name}_quartiles_ms": [low, high]}
    return row


def _neighbor_loader(folder: Path) -> dict[str, Any]:
    from torch_geometric.data import Data
    from torch_geometric.loader import NeighborLoader

    graph = npy(folder).graph
    try:
        loader = NeighborLoader(
            Data(x=graph.x, edge_index=graph.edge_index),
            list(SAMPLING.fanouts),
            batch_size=SAMPLING.roots,
            shuffle=True,
        )
        batches = iter(loader)
        next(batches)
        return {"draw_ms": 1e3 * statistics.median(timed(lambda: next(batches))[0] for _ in range(10))}
    except ImportError as error:
        return {"does_not_run": str(error)}


def text(row: dict[str, Any]) -> str:
    said = f"{row['side']:<16} {row['nodes']:>9,} nodes {row['edges']:>10,} edges  files {row['files_mib']:6,.0f} MiB"
    if "does_not_run" in row:
        return f"{said}  does not run: {row['does_not_run']}"
    if "step_ms" not in row:
        return f"{said}  draw {row['draw_ms']:.0f} ms"
    if "rows_mib" in row:
        said += f"  rows {row['rows_mib']:4.0f} MiB in {row['rows_s']:.1f} s"
    said += f"  at most {row['most_mib']:5,.0f} MiB  a step of {row['sample_nodes']:,.0f} nodes {row['sample_edges']:,.0f} edges"
    for name in ("draw", "step"):
        if f"{name}_ms" in row:
            low, high = row[f"{name}_quartiles_ms"]
            rates = (row[f"sample_{what}"] / row[f"{name}_ms"] * 1e3 for what in ("nodes", "edges"))
            said += f"  {name} {row[f'{name}_ms']:,.0f} [{low:,.0f}, {high:,.0f}] ms, "
            said += " and ".join(f"{rate:,.0f} {what}/s" for rate, what in zip(rates, ("nodes", "edges"), strict=True))
    return said


def main() -> None:
    parser = argparse.ArgumentParser(description="Training on subgraphs of a large graph")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows, machine and versions here")
    parser.add_argument("--repeats", type=int, default=3, help="timed steps (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of torch (default: %(default)s)")
    parser.add_argument("--one", nargs=2, metavar=("SIDE", "FOLDER"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.one:
        print(json.dumps(measure(given.one[0], Path(given.one[1]), given.repeats)))
        return
    said = environment()
    print(
        f"GraphMAE of {MODEL.encoder.depth} x {MODEL.encoder.dim}, {SAMPLING.roots} roots, fan-outs {SAMPLING.fanouts}; {said}"
    )
    rows = []
    with tempfile.TemporaryDirectory() as place:
        for side, sizes in SIZES.items():
            for nodes in sizes:
                folder = Path(place) / str(nodes)
                if not folder.exists():
                    write_graph(folder, nodes)
                words = [sys.executable, "-m", "benchmarks.sampled_training", "--one", side, str(folder)]
                words += ["--repeats", str(given.repeats), "--threads", str(given.threads)]
                done = subprocess.run(words, capture_output=True, text=True, check=False)
                if done.returncode:
                    print(f"{side} {nodes:,} nodes: {done.stderr.strip().splitlines()[-1:]}", flush=True)
                    continue
                rows.append(json.loads(done.stdout.splitlines()[-1]))
                print(text(rows[-1]), flush=True)
    if given.json:
        given.json.write_text(json.dumps({"benchmark": "sampled training", **said, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
