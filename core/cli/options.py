"""Typed options from a function's signature or a dataclass, through jsonargparse, with errors that help."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NoReturn

from core.config import did_you_mean
from core.errors import UserError


def new_parser(program: str, description: str = "") -> Any:
    """A jsonargparse parser whose errors are UserErrors and name the nearest known option."""
    from jsonargparse import ArgumentParser, set_parsing_settings

    set_parsing_settings(docstring_parse_attribute_docstrings=True)

    class Parser(ArgumentParser):
        def error(self, message: str, ex: Exception | None = None) -> NoReturn:
            raise UserError(_readable(message, [o for a in self._actions for o in a.option_strings])) from ex

    return Parser(prog=program, description=description, allow_abbrev=False)


def call(function: Callable[..., Any], program: str, words: list[str]) -> Any:
    """Call a function with arguments from the command line.

    Parameters without default are positional words, the others options; the docstring is the help.

    Raises:
        UserError: an unknown option, a missing word, a value of the wrong type.
    """
    parser = new_parser(program, (function.__doc__ or "").strip().split("\n\n")[0])
    parser.add_function_arguments(function, as_group=False, as_positional=True)
    return function(**parser.parse_args(words).as_dict())


def split_words(text: str) -> tuple[str, ...]:
    """``a,b`` or ``[a, b]`` as words."""
    return tuple(word for part in text.strip("[]").split(",") if (word := part.strip(" '\"")))


def _readable(message: str, known: list[str]) -> str:
    message = " ".join(message.split())
    unknown = re.search(r"[Uu]nrecognized arguments: (--[^\s=]+)", message)
    if unknown:
        return f"unknown option {unknown.group(1)}{_near(unknown.group(1), known)}"
    key = re.search(
        r"(?:does not accept (?:nested key|option)|[Kk]ey) '([^']+)'.*(?:not accept|not expected|does not exist)",
        message,
    )
    key = key or re.search(r"does not accept (?:nested key|option) '([^']+)'", message)
    if key:
        return f"unknown key {key.group(1)!r}{_near('--' + key.group(1), known)}"
    union = re.search(
        r"Parser key \"([^\"]+)\": Does not validate .* Subtypes: \[(.+?)\] Errors: .* Given value: (.*)$", message
    )
    if union:
        kinds = [
            _said(kind) for kind in re.split(r", (?=<class|typing)", union.group(2)) if kind != "<class 'NoneType'>"
        ]
        return f"{union.group(1)}: expected {' or '.join(kinds)}, got {union.group(3)}"
    typed = re.search(r"Parser key \"([^\"]+)\": Expected an? (.+?)\. Got value: (.*)$", message)
    if typed:
        return f"{typed.group(1)}: expected {_said(typed.group(2))}, got {typed.group(3)}"
    return message


def _said(kind: str) -> str:
    """A Python type in words."""
    plain = {
        "<class 'int'>": "a whole number",
        "<class 'float'>": "a finite number",
        "<class 'str'>": "text",
        "<class 'bool'>": "true or false",
        "<class 'tuple'>": "a list such as [a, b]",
    }
    choices = re.fullmatch(r"typing\.Literal\[(.+)\]", kind)
    return f"one of {choices.group(1)}" if choices else plain.get(kind, kind)


def _near(word: str, known: list[str]) -> str:
    names = [name for name in known if name.startswith("--")]
    hint = did_you_mean(word, names)
    return hint if hint.startswith("; did") else "; --help lists all options"
