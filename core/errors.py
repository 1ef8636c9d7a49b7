"""Errors that a user can act on. The command line prints their one line and no traceback."""

from __future__ import annotations


class UserError(Exception):
    """Input that cannot be used: the message names the file or item, what is wrong and what was expected."""


class MissingPackage(UserError):
    """An optional package is needed and not installed; the message is the line that installs it."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        self.package = package
        super().__init__(f"{purpose} needs {package}: pip install 'mm-beyond[{extra}]'")


class Interrupted(Exception):
    """Work was asked to stop and has saved its state; the message says how to go on."""
