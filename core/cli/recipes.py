"""Recipes: YAML files that name a system and its settings, found by name from anywhere."""

from __future__ import annotations

import dataclasses
import difflib
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from core.cli.options import new_parser
from core.config import did_you_mean
from core.errors import UserError


class Recipe(NamedTuple):
    """A recipe file: its name, the paper in its first comment line, the count in a line ``# parameters: ...``, its values."""

    name: str
    path: Path
    paper: str
    parameters: str
    values: dict[str, Any]


def recipe_folder(domain: str) -> Path:
    """Where the recipes of a domain lie: beside the packages in a checkout, inside ``core`` in an installation."""
    installed = Path(__file__).parents[1] / "configs" / domain
    return installed if installed.is_dir() else Path(__file__).parents[2] / "configs" / domain


def read_recipe(path: Path) -> Recipe:
    """Read one recipe.

    Raises:
        UserError: missing, not YAML, or without keys and values.
    """
    try:
        text = path.read_text()
        values = yaml.safe_load(text)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not readable as YAML ({' '.join(str(error).split())})") from error
    if not isinstance(values, dict):
        raise UserError(f"{path}: expected keys and values, as the recipes in configs/ have")
    comments = [line.lstrip("# ").strip() for line in text.splitlines() if line.startswith("#")]
    counts = [line.removeprefix("parameters:").strip() for line in comments if line.startswith("parameters:")]
    return Recipe(path.stem, path, comments[0] if comments else "", counts[0] if counts else "", values)


def find_recipe(domain: str, name: str) -> Recipe:
    """A recipe by name, by path, or that of a run folder.

    Raises:
        UserError: none of these, naming the nearest recipe.
    """
    path = Path(name)
    if (path / "config.yaml").is_file():
        return read_recipe(path / "config.yaml")._replace(name=path.resolve().name)
    if path.suffix in (".yaml", ".yml"):
        return read_recipe(path)
    known = {p.stem: p for p in sorted(recipe_folder(domain).glob("*.yaml"))}
    if name not in known:
        raise UserError(f"no recipe {name!r} for {domain}{did_you_mean(name, known)}")
    return read_recipe(known[name])


def kind_of(recipe: Recipe, kinds: Mapping[str, type], done: str = "pretrained") -> type:
    """The dataclass of the system that a recipe names.

    Args:
        kinds: dataclasses by the names of the systems that fit.
        done: what is done to them, for the message.

    Raises:
        UserError: no such system.
    """
    system = recipe.values.get("system")
    if not isinstance(system, str) or system not in kinds:
        named = (
            f"system {system!r} cannot be {done}"
            if "system" in recipe.values
            else f"names no system that can be {done}"
        )
        raise UserError(f"{recipe.path}: {named}; expected one of {', '.join(kinds)}")
    return kinds[system]


def all_recipes(domain: str) -> list[Recipe]:
    """All recipes of a domain by name."""
    return [read_recipe(path) for path in sorted(recipe_folder(domain).glob("*.yaml"))]


def parse_recipe(
    recipe: Recipe, kind: type, program: str, words: list[str], extra: Mapping[str, tuple[Any, Any, str]]
) -> Any:
    """The recipe as its dataclass, with overrides from the command line.

    Args:
        kind: the dataclass of the recipe's system.
        words: remaining words, ``--section.key value``; ``--help`` prints every option with the recipe's value.
        extra: further options by name: (type, default, help).

    Returns:
        (instance of ``kind``, dictionary of the extra options).

    Raises:
        UserError: an unknown key or a value of the wrong type, naming recipe or option.
    """
    check_keys(kind, recipe.values, str(recipe.path))
    parser = new_parser(program, recipe.paper)
    for name, (of, default, help_text) in extra.items():
        if of is bool:
            parser.add_argument(f"--{name}", action="store_true", help=help_text)
        else:
            parser.add_argument(f"--{name}", type=of, default=default, help=help_text)
    parser.add_class_arguments(kind, None, as_group=True)
    try:
        parser.set_defaults(parser.parse_object(recipe.values).as_flat().__dict__)
    except UserError as error:
        raise UserError(f"{recipe.path}: {error}") from error
    parsed = parser.parse_args(words)
    options = {name: parsed.pop(name) for name in extra}
    try:
        return build(kind, parsed.as_dict()), options
    except ValueError as error:
        key = str(error).split()[0]
        given = any(word.split("=")[0] == f"--{key}" for word in words)
        raise UserError(f"--{error}" if given else f"{recipe.path}: {error}") from error


def build_recipe(recipe: Recipe, kind: type) -> Any:
    """A recipe as its dataclass, without overrides."""
    return parse_recipe(recipe, kind, recipe.name, [], {})[0]


def build(kind: type, values: dict[str, Any]) -> Any:
    """An instance of a dataclass from nested plain values whose keys and types were checked already.

    Raises:
        ValueError: the dataclass refuses a value; the message begins with the key in full.
    """
    hints = typing.get_type_hints(kind)
    built = {}
    for key, value in values.items():
        if dataclasses.is_dataclass(hints[key]):
            try:
                built[key] = build(typing.cast(type, hints[key]), value)
            except ValueError as error:
                raise ValueError(f"{key}.{error}") from error
        else:
            built[key] = tuple(value) if isinstance(value, list) else value
    return kind(**built)


def check_keys(kind: type, values: dict[str, Any], where: str, at: str = "") -> None:
    """Refuse keys that a dataclass does not have, with the nearest one it has, in this section or any other."""
    hints = typing.get_type_hints(kind)
    for key, value in values.items():
        if key not in hints:
            near = difflib.get_close_matches(str(key), hints, n=1)
            hint = did_you_mean(str(key), hints) if near else f"; known here: {', '.join(hints)}"
            raise UserError(f"{where}: unknown key {at + str(key)!r}{hint}")
        if dataclasses.is_dataclass(hints[key]):
            if not isinstance(value, dict):
                raise UserError(f"{where}: {at}{key} is a section with keys of its own, got {value!r}")
            check_keys(typing.cast(type, hints[key]), value, where, f"{at}{key}.")
        elif value is None and type(None) not in typing.get_args(hints[key]):
            raise UserError(f"{where}: {at}{key} has no value")
