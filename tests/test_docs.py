"""The documentation is true: its Python runs, its command lines parse, its links lead somewhere."""

from __future__ import annotations

import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.cli.app import run
from core.cli.options import new_parser
from core.cli.recipes import all_recipes, find_recipe, kind_of, parse_recipe
from core.cli.training import OPTIONS
from core.errors import UserError

ROOT = Path(__file__).parents[1]
DOCS = sorted(p for p in (ROOT / "docs").rglob("*.md") if "_build" not in p.parts)
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    ROOT / "benchmarks/README.md",
    *DOCS,
]
FENCE = re.compile(r"^```(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SCRIPTS = ("mm3d", "mmgraph", "mmbio")


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path, *languages: str) -> list[tuple[int, str]]:
    """(line number, code) of every fenced block in one of the languages."""
    text = page.read_text()
    found = [m for m in FENCE.finditer(text) if m.group(1) in languages]
    return [(text.count("\n", 0, m.start(2)) + 1, m.group(2)) for m in found]


def command_lines() -> Iterator[tuple[str, list[str]]]:
    """(where, words) of every line in a bash or console block, and of commands between backticks."""
    for page in PAGES:
        for start, code in blocks(page, "bash", "console"):
            joined = code.replace("\\\n", " ")
            for number, line in enumerate(joined.splitlines()):
                words = shlex.split(line.removeprefix("$ "), comments=True)
                if words and words[0] in SCRIPTS:
                    yield f"{name(page)}:{start + number}", words
        prose = FENCE.sub("", page.read_text())
        for quoted in re.findall(r"`(mm(?:3d|graph|bio) [^`\n]+)`", prose):
            yield name(page), shlex.split(quoted)


COMMAND_LINES = list(command_lines())


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "python")], ids=name)
def test_python_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MM_BEYOND_CACHE", "off")
    namespace: dict[str, object] = {"__name__": "__docs__"}
    for line, code in blocks(page, "python"):
        # Empty lines before it make a traceback name the line of the page.
        exec(compile("\n" * (line - 1) + code, str(page), "exec"), namespace)


def test_there_are_command_lines() -> None:
    assert len(COMMAND_LINES) > 30


@pytest.mark.parametrize(("where", "words"), COMMAND_LINES, ids=[f"{w} {' '.join(c)[:60]}" for w, c in COMMAND_LINES])
def test_command_line_parses(where: str, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    cli = importlib.import_module(f"{words[0]}.cli")
    known = {command.name for command in cli.COMMANDS}
    verb, rest = words[1], words[2:]
    if verb == "--help":
        assert run(words[0], cli.ABOUT, cli.COMMANDS, ["--help"]) == 0
        return
    assert verb in known, f"{where}: no command {verb}"
    if verb in ("list", "check"):
        assert run(words[0], cli.ABOUT, cli.COMMANDS, words[1:]) == 0
        return
    if any(word in ("RECIPE", "RUN") for word in rest):  # a line that says how a command is called
        rest = [*(word for word in rest if word not in ("RECIPE", "RUN"))]
        rest = [SOME.get(verb, {}).get(words[0], "runs/mine"), *rest]
    if "--help" not in rest:
        parse(verb, rest, words[0])
    assert options(rest) <= options(help_of(words[0], verb, rest, capsys).split()), where


SOME = {
    "pretrain": {"mm3d": "demo", "mmgraph": "graphmae_cora", "mmbio": "esm2_8m"},
    "tokenize": {"mm3d": "point_dvae", "mmbio": "mole_bert_tokenizer"},
}  # a recipe of each room


def parse(verb: str, words: list[str], script: str = "mm3d") -> None:
    """Parse the words as the command does, without running it; values of a wrong type are found as well."""
    module = importlib.import_module(f"{script}.commands.{verb}")
    if verb in ("pretrain", "tokenize"):
        # A word with a slash is a run folder, one with a suffix a file of the reader's: neither exists here.
        foreign = "/" in words[0] or words[0].endswith(".yaml")
        recipe = find_recipe(script, SOME[verb][script] if foreign else words[0])
        kinds = module.RECIPES if verb == "pretrain" else module.TOKENIZERS
        parse_recipe(recipe, kind_of(recipe, kinds), f"{script} {verb}", words[1:], OPTIONS)
    elif verb == "finetune":
        chosen = words[words.index("--recipe") + 1] if "--recipe" in words else module.OPTIONS["recipe"][1]
        recipe = find_recipe(script, chosen)
        of_recipe = getattr(module, "recipe_kind", lambda recipe: module.FinetuneRecipe)
        parse_recipe(recipe, of_recipe(recipe), f"{script} finetune", words[1:], module.OPTIONS)
    elif verb in ("probe", "convert", "demo"):
        parser = new_parser(f"{script} {verb}")
        parser.add_function_arguments(getattr(module, verb), as_group=False, as_positional=True)
        parser.parse_args(words)


def help_of(script: str, verb: str, words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The help of a command; that of pretraining depends on the recipe, which is the first of the words."""
    cli = importlib.import_module(f"{script}.cli")
    named = bool(words) and words[0] in {recipe.name for recipe in all_recipes(script)}
    recipe = words[0] if named else SOME.get(verb, {}).get(script, "")
    before = {"pretrain": [recipe], "tokenize": [recipe], "finetune": ["RUN"]}.get(verb, [])
    with pytest.raises(SystemExit) as stopped:
        run(script, cli.ABOUT, cli.COMMANDS, [verb, *before, "--help"])
    assert stopped.value.code == 0
    return capsys.readouterr().out


def options(words: list[str]) -> set[str]:
    """The options among words, without values, brackets and commas."""
    cleaned = (word.lstrip("[").rstrip("],").split("=")[0] for word in words)
    return {word for word in cleaned if re.fullmatch(r"--?[a-z][\w.]*", word)}


@pytest.mark.parametrize("wrong", ["--train.epoch 3", "--train.epochs three", "--seed 1"])
@pytest.mark.parametrize(("verb", "recipe"), [("pretrain", "demo"), ("tokenize", "point_dvae")])
def test_parse_finds_what_is_wrong(verb: str, recipe: str, wrong: str) -> None:
    with pytest.raises(UserError):
        parse(verb, [recipe, *wrong.split()])


def links(page: Path) -> list[str]:
    """Relative links and pictures of a page, outside of code."""
    prose = re.sub(r"`[^`\n]*`", "", FENCE.sub("", page.read_text()))
    found = re.findall(r"\]\(([^)\s]+)\)", prose)
    return [link for link in found if not re.match(r"[a-z]+:", link)]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{name(page)}: {link}"
        if anchor:
            assert anchor in anchors(target), f"{name(page)}: {link}"


def anchors(page: Path) -> set[str]:
    """Anchors of headings as GitHub and MyST make them, and explicit ones."""
    text = FENCE.sub("", page.read_text())
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return slugs | set(re.findall(r"^\((\S+)\)=$", text, re.MULTILINE))


def test_every_page_is_reachable_from_the_index() -> None:
    seen: set[Path] = set()
    waiting = [ROOT / "docs/index.md"]
    while waiting:
        page = waiting.pop()
        seen.add(page)
        for _, code in blocks(page, "{toctree}"):
            entries = [e.strip() for e in code.splitlines() if e.strip() and not e.startswith(":")]
            waiting += [p for e in entries if (p := page.parent / f"{e}.md") not in seen]
    assert seen == set(DOCS)
