"""One live line on a terminal; silence elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any, Self


class Progress:
    """Loss parts, learning rate, samples a second and time left of a running training.

    Args:
        total: steps in all.
        done: steps that an earlier process did.
        enabled: show it; by default where standard error is a terminal.
    """

    def __init__(self, total: int, done: int = 0, enabled: bool | None = None) -> None:
        self.total, self.first, self.done = total, done, done
        self.enabled = sys.stderr.isatty() if enabled is None else enabled
        self.start = time.monotonic()
        self.bar: Any = None

    def __enter__(self) -> Self:
        if self.enabled:
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            columns = (
                BarColumn(24),
                TextColumn("{task.completed}/{task.total}"),
                TimeRemainingColumn(),
                TextColumn("{task.description}"),
            )
            self.bar = Bar(*columns, console=Console(stderr=True), transient=True)
            self.bar.start()
            self.task = self.bar.add_task("", total=self.total, completed=self.done)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar is not None:
            self.bar.stop()

    def update(self, step: int, row: dict[str, float] | None = None) -> None:
        """Show that a step is done, with its metrics where there are new ones."""
        self.done = step
        if self.bar is not None:
            self.bar.update(self.task, completed=step)
            if row is not None:
                said = "  ".join(f"{key} {value:.4g}" for key, value in row.items() if key not in ("step", "epoch"))
                self.bar.update(self.task, description=said)
