"""Everything that wants a GPU, in one go: python -m benchmarks.on_gpu [--cora planetoid:FOLDER/cora]

The kernels' correctness first, natively; then which number of warps a kernel is fastest with; then every row that runs on a GPU,
written to benchmarks/results and to the page. Takes a few minutes. Stops where the kernels are wrong.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from unittest import mock

import torch

from benchmarks.timing import environment, one_time
from mm3d.ops import farthest_point_sample, knn

CHECKS = "tests/mm3d/ops/kernels_on_device.py"
TESTS = ("tests/mm3d/ops", "tests/core/test_attention.py", "tests/mmgraph/ops")


def best_of(function: Callable[[], object], device: torch.device) -> float:
    """Milliseconds of a call: the least of some means, after the kernel is compiled."""
    function()
    return min(one_time(function, device, 20)[0] for _ in range(5))


def warps() -> None:
    """The time of the kernels by the number of their warps; the library's own choice is marked."""
    from mm3d.ops.kernels import farthest_point_sample as fps
    from mm3d.ops.kernels import knn as nearest

    device = torch.device("cuda")
    draws = torch.Generator().manual_seed(0)
    for batch, size, count in ((128, 1024, 64), (128, 2048, 128), (8, 8192, 512), (128, 8192, 512)):
        points = torch.randn(batch, size, 3, generator=draws).to(device)
        queries = points[:, :count].contiguous()
        for name, module, call in (
            ("FPS", fps, partial(farthest_point_sample, points, count)),
            ("kNN, k = 32", nearest, partial(knn, queries, points, 32)),
        ):
            own, times = module.warps(size), []
            for number in (1, 2, 4, 8, 16, 32):
                if size // (32 * number) > 64 or 32 * number > size:
                    continue
                with mock.patch.object(module, "warps", lambda _, number=number: number):
                    mark = "*" if number == own else ""
                    times.append(f"{number}{mark}: {best_of(call, device):.4f} ms")
            print(f"{name}, {batch} x {size} -> {count}; warps {', '.join(times)}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Correctness and speed on a GPU")
    parser.add_argument("--cora", help="planetoid:FOLDER/cora")
    given = parser.parse_args()
    if not torch.cuda.is_available():
        print("torch sees no GPU", file=sys.stderr)
        return 1
    print(environment(torch.device("cuda")))
    kernels = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", CHECKS], check=False)
    if kernels.returncode:
        print("the kernels are wrong; nothing is timed", file=sys.stderr)
        return 1
    tests = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS], check=False)
    warps()
    words = [sys.executable, "-m", "benchmarks", "--device", "cuda", *(["--cora", given.cora] if given.cora else [])]
    rows = subprocess.run(words, check=False)
    return int(bool(tests.returncode or rows.returncode))


if __name__ == "__main__":
    sys.exit(main())
