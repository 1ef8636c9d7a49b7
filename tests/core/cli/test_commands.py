"""The commands that all domains share, and how light the three console scripts are."""

from __future__ import annotations

import subprocess
import sys

import pytest

import mm3d.commands.list
import mmbio.cli
import mmgraph.cli
from core.cli.app import Command, run
from core.cli.check import print_packages, version
from core.cli.list import list_command
from core.errors import MissingPackage, UserError

SCRIPTS = ("mm3d", "mmgraph", "mmbio")
HEAVY = ("torch", "matplotlib", "sklearn", "plotly", "trimesh", "h5py", "lightning_fabric", "jsonargparse")


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_imports_nothing_heavy(script: str) -> None:
    code = (
        f"import sys\nfrom {script}.cli import main\nsys.argv = [{script!r}, '--help']\n"
        "try:\n    main()\nexcept SystemExit as stopped:\n    assert stopped.code == 0\n"
        f"print('heavy:', [name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"usage: {script} COMMAND")
    assert done.stdout.splitlines()[-1] == "heavy: []"


def test_list_of_mm3d_imports_no_torch() -> None:
    code = "import sys\nfrom mm3d.commands.list import main\nmain([])\nprint('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "False"


@pytest.mark.parametrize(("module", "package"), [(mmgraph.cli, "torch-geometric"), (mmbio.cli, "rdkit")])
def test_check_says_what_is_there(module, package: str, capsys: pytest.CaptureFixture[str]) -> None:
    name = module.__name__.split(".")[0]
    assert run(name, module.ABOUT, module.COMMANDS, ["check"]) == 0
    out = capsys.readouterr().out
    line = next(line for line in out.splitlines() if line.startswith(package))
    found = version(package)
    assert found in line if found else f"pip install '{package}'" in line
    assert "torch " in out
    assert "CPU" in out


def test_packages_that_are_missing_come_with_the_line_that_installs_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_packages(("numpy",), {"no-such-package-1": "mm-beyond[thing]", "scipy": "scipy"})
    lines = capsys.readouterr().out.splitlines()
    rows = {line.split()[0]: line for line in lines if line.strip()}
    assert version("numpy") in rows["numpy"]
    assert rows["no-such-package-1"].split(maxsplit=1)[1] == "not installed  pip install 'mm-beyond[thing]'"
    assert "pip" not in rows["scipy"]
    assert version("no-such-package-1") is None


def test_list_chooses_by_glob(capsys: pytest.CaptureFixture[str]) -> None:
    mm3d.commands.list.main(["point_mae"])
    rows = capsys.readouterr().out.splitlines()
    assert rows[0].split()[:3] == ["recipe", "system", "or"]
    assert [row.split()[0] for row in rows[2:] if row] == ["point_mae"]
    assert "29,006,432" in rows[2]
    mm3d.commands.list.main(["zzz*"])
    assert capsys.readouterr().out == "no recipe matches 'zzz*'\n"


def test_list_of_layouts(capsys: pytest.CaptureFixture[str]) -> None:
    from mm3d.data.sources import LAYOUTS
    from mm3d.data.sweeps import SWEEP_LAYOUTS

    mm3d.commands.list.main(["--data"])
    assert {line.split()[0] for line in capsys.readouterr().out.splitlines()[2:] if line} == {*LAYOUTS, *SWEEP_LAYOUTS}
    mm3d.commands.list.main(["--data", "zzz"])
    assert capsys.readouterr().out == "no layout matches 'zzz'\n"


def test_a_domain_without_layouts_has_no_option_for_them() -> None:
    with pytest.raises(UserError, match="unknown option --data"):
        list_command("mmgraph", ["--data"])


def test_errors_are_one_line_and_status_2(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MM_BEYOND_TRACEBACK", raising=False)

    def fail(words: list[str]) -> None:
        raise MissingPackage("thing", "things", "reading\n.thing files")

    commands = [Command("fail", "", "fails", fail)]
    assert run("program", "about", commands, ["fail"]) == 2
    assert capsys.readouterr().err == "error: reading .thing files needs thing: pip install 'mm-beyond[things]'\n"
    assert run("program", "about", commands, ["fial"]) == 2
    assert capsys.readouterr().err == "error: program has no command 'fial'; did you mean 'fail'?\n"
    monkeypatch.setenv("MM_BEYOND_TRACEBACK", "1")
    with pytest.raises(UserError):
        run("program", "about", commands, ["fail"])
