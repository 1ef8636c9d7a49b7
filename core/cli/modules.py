"""Commands that are modules of a domain's folder ``commands/``, imported only when they are called."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from core.cli.app import Command
from core.cli.options import call

Make = Callable[[str, str, str], Command]


def commands_of(domain: str) -> tuple[Make, Make]:
    """Two ways to make a command of a name, its usage and a line of help.

    The first is for modules that parse their own words with ``main(words)``, the second for those with a typed function of
    the command's name.

    Args:
        domain: the package, which is also the name of the console script.
    """

    def module(name: str) -> object:
        return import_module(f"{domain}.commands.{name}")

    def words(name: str, usage: str, text: str) -> Command:
        return Command(name, usage, text, lambda words: module(name).main(words))  # type: ignore[attr-defined]

    def typed(name: str, usage: str, text: str) -> Command:
        return Command(name, usage, text, lambda words: call(getattr(module(name), name), f"{domain} {name}", words))

    return words, typed
