from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from core.errors import UserError
from mm3d.data import cache
from mm3d.data.clouds import PointClouds, pack


class Build:
    """Counts how often it is called."""

    def __init__(self, shift: float = 0) -> None:
        self.calls, self.shift = 0, shift

    def __call__(self) -> PointClouds:
        self.calls += 1
        clouds = [np.eye(3, dtype=np.float32) + self.shift, np.ones((2, 3), np.float32)]
        parts = [np.array([0, 1, -1]), np.array([1, 1])]
        return pack(clouds, [0, -1], ["a"], ["x", "y"], parts, ["p", "q"], [[0, 1]], [("z", "bad")])


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.txt"
    path.write_text("1 2 3")
    return path


def get(source: Path, build: Build, parameters: dict[str, object] | None = None) -> PointClouds:
    return cache.cached("test", [source], parameters or {}, build)


def entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def test_second_time_is_a_memory_map_of_the_same(source: Path, own_cache: Path) -> None:
    build = Build()
    first, second = get(source, build), get(source, build)
    assert build.calls == 1
    assert first.fingerprint() == second.fingerprint() == Build()().fingerprint()
    assert isinstance(second.points, np.memmap)
    assert not second.points.flags.writeable
    fresh = Build()()
    for key in ("classes", "names", "part_names", "parts_of_class", "skipped"):
        assert getattr(second, key) == getattr(fresh, key)
    assert second.parts_of(0).tolist() == [0, 1, -1]
    assert [p.name.startswith("test-") for p in entries(own_cache)] == [True]  # nothing temporary is left


def test_the_key_sees_parameters_size_time_and_version(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build = Build()
    get(source, build)
    get(source, build, {"seed": 1})
    assert build.calls == 2
    source.write_text("1 2 3 4")
    get(source, build)
    assert build.calls == 3
    os.utime(source, ns=(1, 1))
    get(source, build)
    assert build.calls == 4
    monkeypatch.setattr(cache, "FORMAT_VERSION", 99)
    get(source, build)
    assert build.calls == 5
    get(source, build)
    assert build.calls == 5


@pytest.mark.parametrize("damage", ["no json", "half json", "half array", "no array", "empty folder", "wrong counts"])
def test_a_damaged_entry_is_built_again(source: Path, own_cache: Path, damage: str) -> None:
    get(source, Build())
    (folder,) = entries(own_cache)
    if damage == "no json":
        (folder / "about.json").unlink()
    elif damage == "half json":
        text = (folder / "about.json").read_text()
        (folder / "about.json").write_text(text[: len(text) // 2])
    elif damage == "half array":
        data = (folder / "points.npy").read_bytes()
        (folder / "points.npy").write_bytes(data[:-8])
    elif damage == "no array":
        (folder / "labels.npy").unlink()
    elif damage == "empty folder":
        shutil.rmtree(folder)
        folder.mkdir()
    else:
        text = (folder / "about.json").read_text()
        (folder / "about.json").write_text(text.replace('["x", "y"]', '["x"]'))
    build = Build()
    clouds = get(source, build)
    assert build.calls == 1
    assert clouds.names == ("x", "y")
    get(source, build)
    assert build.calls == 1  # and the new entry is whole
    assert len(entries(own_cache)) == 1


def test_a_killed_writer_leaves_nothing_that_counts(source: Path, own_cache: Path) -> None:
    """A real SIGKILL after the arrays are written and before the rename."""
    script = textwrap.dedent(f"""
        import os, signal
        from pathlib import Path
        import numpy as np
        from mm3d.data import cache
        from mm3d.data.clouds import pack
        os.rename = lambda *a: os.kill(os.getpid(), signal.SIGKILL)
        cache.cached("test", [Path({str(source)!r})], {{}}, lambda: pack([np.eye(3)]))
    """)
    root = Path(cache.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=root, check=False, env={**os.environ, "PYTHONPATH": str(root)}
    )
    assert done.returncode == -9
    (left,) = entries(own_cache)
    assert left.name.startswith(".test-")
    build = Build()
    assert get(source, build).names == ("x", "y")
    assert build.calls == 1
    assert left.exists()  # may be another process at work
    old = time.time() - 2 * cache.STALE_SECONDS
    os.utime(left, (old, old))
    shutil.rmtree(next(p for p in entries(own_cache) if p.name.startswith("test-")))
    get(source, build)
    assert not left.exists()


def test_the_loser_of_a_race_takes_the_winner_s(source: Path, own_cache: Path) -> None:
    winner, loser = Build(0), Build(5)

    def slow() -> PointClouds:
        get(source, winner)  # another process finishes while this one builds
        return loser()

    clouds = cache.cached("test", [source], {}, slow)
    assert np.array_equal(clouds.cloud(0), np.eye(3))
    assert len(entries(own_cache)) == 1


def test_an_unwritable_cache_warns_once_and_goes_on(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")  # root may write anywhere, but nobody can make a folder below a file
    monkeypatch.setenv("MM_BEYOND_CACHE", str(blocked / "cache"))
    build = Build()
    for _ in range(3):
        assert len(get(source, build)) == 2
    assert build.calls == 3
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "cannot be written" in lines[0]


def test_a_full_disk_leaves_no_rubbish(
    source: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache.np, "save", full)
    assert len(get(source, Build())) == 2
    assert entries(own_cache) == []
    assert "No space left" in capsys.readouterr().err


def test_caching_can_be_off_and_errors_pass_through(
    source: Path, tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> PointClouds:
        raise UserError("x: bad")

    with pytest.raises(UserError, match="x: bad"):
        cache.cached("test", [source, tmp_path / "missing"], {}, fail)
    monkeypatch.setenv("MM_BEYOND_CACHE", "off")
    build = Build()
    get(source, build)
    assert not isinstance(get(source, build).points, np.memmap)
    assert build.calls == 2
    assert entries(own_cache) == []
    monkeypatch.delenv("MM_BEYOND_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.default_cache_dir() == tmp_path / ".cache" / "mm-beyond"
