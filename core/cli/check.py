"""What the `check` command of every domain says: packages and devices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import metadata

from core.reporting.tables import Table


def print_packages(needed: Sequence[str], optional: Mapping[str, str]) -> None:
    """Print which packages are installed, in which version, and the line that installs what is not.

    Args:
        needed: distributions that come with the package.
        optional: what pip is asked for, by distribution: an extra of ours such as ``mm-beyond[wandb]``,
            or the distribution itself.
    """
    rows = [(name, version(name) or "not installed", "") for name in ("mm-beyond", *needed)]
    for name, requirement in optional.items():
        found = version(name)
        rows.append((name, found or "not installed", "" if found else f"pip install '{requirement}'"))
    print(Table(("package", "version", "to install"), rows).text())


def print_devices() -> None:
    """Print how many CPU threads torch uses, and the GPUs that it sees."""
    import torch

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    rows = [("CPU", f"{torch.get_num_threads()} threads"), ("GPU", ", ".join(gpus) or "none")]
    print(Table(("device", "what"), rows).text())


def version(name: str) -> str | None:
    """The installed version of a distribution, None where it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
