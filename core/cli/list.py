"""The `list` command of every domain: its recipes, and the layouts of data that it can name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fnmatch import fnmatch

from core.cli.options import new_parser
from core.cli.recipes import all_recipes
from core.reporting.tables import Table

Layouts = Callable[[], Iterable[tuple[str, str]]]


def list_command(domain: str, words: list[str], layouts: Layouts | None = None) -> None:
    """Print the recipes of a domain with paper, parameters and data; a glob chooses among their names.

    Args:
        domain: folder below ``configs/``, which is also the name of the console script.
        words: remaining words of the command line.
        layouts: gives (name, description) of every layout of data; only with it is there an option
            ``--data``.

    Raises:
        UserError: an unknown option, or a recipe that cannot be read.
    """
    parser = new_parser(f"{domain} list", "Recipes with their paper, parameters and data.")
    parser.add_argument("glob", nargs="?", default="*", help="only names that match")
    if layouts is not None:
        parser.add_argument("--data", action="store_true", help="list layouts of data instead")
    options = parser.parse_args(words)
    if layouts is not None and options.data:
        rows = [(name, text) for name, text in layouts() if fnmatch(name, options.glob)]
        _print(("layout", "what it is; named as layout:path"), rows, f"no layout matches {options.glob!r}")
        return
    recipes = all_recipes(domain)
    if not recipes:
        print(f"{domain}: no recipes yet")
        return
    chosen = [
        (r.name, r.values.get("system") or r.values.get("task"), r.parameters, r.values.get("data"), r.paper)
        for r in recipes
        if fnmatch(r.name, options.glob)
    ]
    _print(
        ("recipe", "system or task", "parameters", "data", "paper"),
        chosen,
        f"no recipe matches {options.glob!r}",
    )


def _print(columns: tuple[str, ...], rows: list[tuple], nothing: str) -> None:
    print(Table(columns, rows).text() if rows else nothing)
