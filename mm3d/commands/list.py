"""`mm3d list`."""

from __future__ import annotations

from core.cli.list import list_command


def main(words: list[str]) -> None:
    """Recipes with paper, parameters and data; with --data the layouts of data that can be named."""
    list_command("mm3d", words, _layouts)


def _layouts() -> list[tuple[str, str]]:
    from mm3d.data.sources import LAYOUTS
    from mm3d.data.sweeps import SWEEP_LAYOUTS

    return [*((name, text) for name, (_, text) in LAYOUTS.items()), *SWEEP_LAYOUTS.items()]
