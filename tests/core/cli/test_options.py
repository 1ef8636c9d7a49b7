"""Options from signatures, and the frame of the command line: exit statuses and one-line errors."""

from __future__ import annotations

import os
from typing import Any, Literal

import pytest

from core.cli.app import Command, run
from core.cli.options import call
from core.errors import Interrupted, MissingPackage, UserError


def embed(
    inputs: tuple[str, ...],
    count: int,
    *,
    rate: float = 0.5,
    output: str | None = None,
    names: tuple[str, ...] = ("a",),
    shuffle: bool = False,
    mode: Literal["fast", "exact"] = "fast",
) -> dict[str, Any]:
    """Embed files.

    Args:
        inputs: what to read
        count: how many
        rate: share of the points
        output: where to write
        names: what they are called
        shuffle: whether the order changes
        mode: how it is computed
    """
    return dict(locals())


def words(*more: str) -> list[str]:
    return ["[x.ply]", "3", *more]


def test_values_arrive_typed() -> None:
    assert call(embed, "mm3d embed", words()) == {
        "inputs": ("x.ply",),
        "count": 3,
        "rate": 0.5,
        "output": None,
        "names": ("a",),
        "shuffle": False,
        "mode": "fast",
    }
    given = call(
        embed,
        "p",
        words("--rate=1", "--output", "o", "--names", "[b,c]", "--shuffle", "true", "--mode", "exact"),
    )
    assert given["rate"] == 1.0
    assert isinstance(given["rate"], float)
    assert given["output"] == "o"
    assert given["names"] == ("b", "c")
    assert given["shuffle"] is True
    assert given["mode"] == "exact"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (words("--raet", "1"), "unknown option --raet; did you mean '--rate'?"),
        (words("--raet=1"), "unknown option --raet; did you mean '--rate'?"),
        (words("--rat", "1"), "unknown option --rat; did you mean '--rate'?"),  # no guessing of abbreviations
        (words("--zzzzzz"), "unknown option --zzzzzz; --help lists all options"),
        (words("--rate", "much"), "rate: expected a finite number, got much"),
        (["[x]", "three"], "count: expected a whole number, got three"),
        (words("--mode", "slow"), "mode: expected one of 'fast', 'exact', got slow"),
        (words("--names", "b"), "names: expected a list such as [a, b], got b"),
        (words("--rate"), "argument --rate: expected one argument"),
        (["[x]"], "the following arguments are required: count"),
        (words("more"), "unrecognized arguments: more"),
    ],
)
def test_errors_are_one_line_that_names_the_option(given: list[str], said: str) -> None:
    with pytest.raises(UserError) as caught:
        call(embed, "mm3d embed", given)
    assert str(caught.value) == said


def test_help_shows_every_option_with_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        call(embed, "mm3d embed", ["--help"])
    assert stopped.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "Embed files." in shown
    for line in (
        "how many (required, type: int)",
        "share of the points (type: float, default: 0.5)",
        "where to write (type: str | null, default: null)",
        "what they are called (type: tuple[str, ...], default: ('a',))",
        "whether the order changes (type: bool, default: False)",
        "how it is computed (type: Literal['fast', 'exact'], default: fast)",
    ):
        assert line in shown


def raising(error: BaseException) -> list[Command]:
    def fail(words: list[str]) -> None:
        raise error

    return [
        Command("probe", "RUN", "score frozen features", fail),
        Command("list", "", "show recipes", print),
    ]


def test_overview(capsys: pytest.CaptureFixture[str]) -> None:
    for asked in ([], ["-h"], ["--help"]):
        assert run("mm3d", "About it.", raising(ValueError()), asked) == 0
        shown = capsys.readouterr().out
        assert shown.startswith("usage: mm3d COMMAND ...")
        assert "  probe RUN  score frozen features\n  list       show recipes" in shown


def test_commands_get_their_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("mm3d", "", raising(ValueError()), ["list", "point*", "--all"]) == 0
    assert capsys.readouterr().out == "['point*', '--all']\n"


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (UserError("a.ply: cut off;\n  expected 3 numbers"), 2, "error: a.ply: cut off; expected 3 numbers\n"),
        (MissingPackage("open3d", "open3d", "reading .pcd"), 2,
         "error: reading .pcd needs open3d: pip install 'mm-beyond[open3d]'\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (Interrupted("stopped after step 3; go on with --resume"), 130, "stopped after step 3; go on with --resume\n"),
    ],
)  # fmt: skip
def test_exit_status_and_message(
    error: BaseException, status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("mm3d", "", raising(error), ["probe"]) == status
    shown = capsys.readouterr()
    assert shown.err == said
    assert shown.out == ""


def test_unknown_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("mm3d", "", raising(ValueError()), ["prob", "x"]) == 2
    assert capsys.readouterr().err == "error: mm3d has no command 'prob'; did you mean 'probe'?\n"
    assert run("mm3d", "", raising(ValueError()), ["xyz"]) == 2
    assert capsys.readouterr().err == "error: mm3d has no command 'xyz'; known: probe, list\n"


def test_faults_of_ours_keep_their_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ZeroDivisionError):
        run("mm3d", "", raising(ZeroDivisionError()), ["probe"])
    monkeypatch.setitem(os.environ, "MM_BEYOND_TRACEBACK", "1")
    with pytest.raises(UserError):
        run("mm3d", "", raising(UserError("x")), ["probe"])
