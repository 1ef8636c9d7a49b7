"""A command line in this process, and recipe files; what the tests of all three domains share."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import yaml

from core.cli.app import Command, run


class Said(NamedTuple):
    """Exit status of a command, and what it wrote to standard output and standard error."""

    status: int
    out: str
    err: str


def command_of(program: str, about: str, commands: Sequence[Command]) -> Callable[..., Said]:
    """A function that runs ``PROGRAM WORDS`` in this process."""

    def command(*words: object) -> Said:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                status = run(program, about, commands, [str(word) for word in words])
            except SystemExit as left:  # --help
                status = int(left.code or 0)
        return Said(status, out.getvalue(), err.getvalue())

    return command


def write_recipe(path: Path, values: dict, **sections: object) -> Path:
    """A recipe file with some settings changed: ``write_recipe(path, RECIPE, train={"epochs": 2})``."""
    merged = dict(values)
    for name, section in sections.items():
        merged[name] = {**values.get(name, {}), **section} if isinstance(section, dict) else section
    path.write_text("# A test\n" + yaml.safe_dump(merged))
    return path
