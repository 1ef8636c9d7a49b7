"""A command line from a table of commands: one line of help each, functions imported only when called."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from core.config import did_you_mean
from core.errors import Interrupted, UserError


@dataclass(frozen=True)
class Command:
    """A verb: what ``--help`` says of it, and a function that takes the remaining words of the command line."""

    name: str
    usage: str
    help: str
    run: Callable[[list[str]], None]


def run(program: str, about: str, commands: Sequence[Command], words: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0 done, 2 an error of the user's, 130 interrupted.

    Errors are one line on standard error, and so are plain warnings. A traceback appears only for faults of
    ours, or with MM_BEYOND_TRACEBACK=1.
    """
    words = list(sys.argv[1:] if words is None else words)
    if not words or words[0] in ("-h", "--help"):
        print(overview(program, about, commands))
        return 0
    known = {command.name: command for command in commands}
    try:
        if words[0] not in known:
            raise UserError(f"{program} has no command {words[0]!r}{did_you_mean(words[0], known)}")
        with _warnings_of_one_line():
            known[words[0]].run(words[1:])
    except UserError as error:
        if os.environ.get("MM_BEYOND_TRACEBACK") == "1":
            raise
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, Interrupted) as stopped:
        said = str(stopped) or "interrupted"
        print(said, file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except OSError as error:  # a full disk, a folder that may not be written: no fault of ours wherever it comes up
        if os.environ.get("MM_BEYOND_TRACEBACK") == "1" or (error.filename is None and error.errno is None):
            raise
        print(f"error: {error.filename or 'writing'}: {error.strerror or error}", file=sys.stderr)
        return 2
    return 0


@contextmanager
def _warnings_of_one_line() -> Iterator[None]:
    """Plain warnings say what they have to say; others also where they come from, as Python does it."""
    usual = warnings.formatwarning

    def short(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
    ) -> str:
        if category is UserWarning:
            return f"warning: {' '.join(str(message).split())}\n"
        return usual(message, category, filename, lineno, line)

    warnings.formatwarning = short
    try:
        yield
    finally:
        warnings.formatwarning = usual


def overview(program: str, about: str, commands: Sequence[Command]) -> str:
    """The text of ``--help`` without a command."""
    width = max(len(f"{c.name} {c.usage}".strip()) for c in commands) + 2
    lines = [f"usage: {program} COMMAND ...", "", about, ""]
    lines += [f"  {f'{c.name} {c.usage}'.strip():<{width}}{c.help}" for c in commands]
    lines += ["", f"`{program} COMMAND --help` shows every option of a command with its default."]
    return "\n".join(lines)
