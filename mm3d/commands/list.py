"""`mm3d list`."""

from __future__ import annotations

from fnmatch import fnmatch

from core.cli.options import new_parser
from core.cli.recipes import all_recipes
from core.reporting.tables import Table


def main(words: list[str]) -> None:
    """Recipes with paper, parameters and data; with --data the layouts of data that can be named."""
    parser = new_parser("mm3d list", "Recipes with their paper, parameters and data.")
    parser.add_argument("glob", nargs="?", default="*", help="only names that match")
    parser.add_argument("--data", action="store_true", help="list layouts of data instead")
    options = parser.parse_args(words)
    if options.data:
        from mm3d.data.sources import LAYOUTS

        rows = [(name, text) for name, (_, text) in LAYOUTS.items() if fnmatch(name, options.glob)]
        print(Table(("layout", "what it is; named as layout:path"), rows).text())
        return
    recipes = [recipe for recipe in all_recipes("mm3d") if fnmatch(recipe.name, options.glob)]
    rows = [(r.name, r.values.get("system") or r.values.get("task"), r.parameters, r.values.get("data"), r.paper) for r in recipes]
    print(Table(("recipe", "system or task", "parameters", "data", "paper"), rows).text())
