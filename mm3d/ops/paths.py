"""Which way each operator goes on which device, in words."""

from __future__ import annotations

from importlib import metadata

from mm3d.ops import kernels

# operator, on CPU, on GPU with Triton, on GPU without
PATHS = (
    ("farthest_point_sample", "numpy in place, one thread", "one kernel, up to 16,384 points", "torch, step by step"),
    (
        "knn",
        "bounded selection of all distances; scipy cKDTree for large clouds",
        "one kernel, up to 16,384 points and k = 256",
        "torch, in tiles",
    ),
    ("ball_query", "torch, in tiles", "one kernel", "torch, in tiles"),
    ("chamfer", "torch, analytic backward; trees for large clouds", "two kernels", "torch, analytic backward"),
    (
        "earth_mover_distance",
        "scipy, exact",
        "auction within 1e-3 of the largest distance, up to 128 points",
        "scipy on the CPU, exact",
    ),
    (
        "sparse convolution",
        "torch, an offset at a time, analytic backward",
        "torch; MM_BEYOND_SPARSE_CONV=triton or spconv takes these",
        "torch; MM_BEYOND_SPARSE_CONV=spconv takes that",
    ),
)


def paths() -> list[tuple[str, str, str]]:
    """Operator, what it does on CPU, what it does or would do on GPU on this machine."""
    why = kernels.why_plain()
    no_gpu = why == kernels.NO_GPU
    rows = []
    for operator, on_cpu, with_triton, without in PATHS:
        if why is None:
            rows.append((operator, on_cpu, f"triton {metadata.version('triton')}: {with_triton}"))
        else:
            rows.append((operator, on_cpu, "no GPU here" if no_gpu else f"{without} ({why})"))
    return rows
