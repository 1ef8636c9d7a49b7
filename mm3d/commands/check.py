"""`mm3d check`."""

from __future__ import annotations

from importlib import metadata
from importlib.util import find_spec

from core.reporting.tables import Table

NEEDED = ("torch", "numpy", "scipy", "scikit-learn", "lightning-fabric", "safetensors", "trimesh", "matplotlib", "plotly")
OPTIONAL = {"tensorboard": "tensorboard", "wandb": "wandb"}


def check() -> None:
    """What is installed, which optional parts there are, and which paths the operators take."""
    rows = [("mm-beyond", _version("mm-beyond"), ""), *((name, _version(name), "") for name in NEEDED)]
    for name, extra in OPTIONAL.items():
        there = find_spec(name) is not None
        rows.append((name, _version(name) if there else "not installed", "" if there else f"pip install 'mm-beyond[{extra}]'"))
    print(Table(("package", "version", "to install"), rows).text())
    import torch

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    print(Table(("device", "what"), [("CPU", f"{torch.get_num_threads()} threads"), ("GPU", ", ".join(gpus) or "none")]).text())
    paths = [
        ("farthest_point_sample", "torch, in place, one thread", "torch"),
        ("knn", "torch for small clouds, scipy cKDTree for large", "torch, in chunks"),
        ("ball_query", "torch", "torch"),
        ("chamfer", "torch, analytic backward", "torch, analytic backward"),
        ("earth_mover_distance", "scipy, exact", "scipy on the CPU, exact"),
    ]
    print(Table(("operator", "on CPU", "on GPU"), paths).text())


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"
