"""Atomic writing: a failure leaves the old file and nothing else; reading text that may be packed or damaged."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from core.errors import UserError
from core.files import open_text, sync_folder, write_atomically


def test_writes_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_atomically(path, b"first")
    write_atomically(path, b"second")
    assert path.read_bytes() == b"second"
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("broken", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_failure_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str, error: BaseException
) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"old")

    def fail(*arguments: object) -> None:
        raise error

    monkeypatch.setattr(os, broken, fail)
    with pytest.raises(type(error)):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_reader_meets_the_old_or_the_new_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"old")
    seen = []
    replace = os.replace

    def watch(source: Path, target: Path) -> None:
        seen.append((Path(source).read_bytes(), Path(target).read_bytes()))
        replace(source, target)

    monkeypatch.setattr(os, "replace", watch)
    write_atomically(path, b"new")
    assert seen == [(b"new", b"old")]


def test_missing_folders(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "none" / "a.txt", b"x")
    sync_folder(tmp_path / "none")


def test_text_plain_and_packed(tmp_path: Path) -> None:
    text = ">a\nMKV\n" * 500
    (tmp_path / "a.txt").write_text("\ufeff" + text, encoding="utf-8")
    packed = gzip.compress(text.encode())
    (tmp_path / "a.gz").write_bytes(packed)
    assert open_text(tmp_path / "a.txt") == open_text(str(tmp_path / "a.gz")) == text
    damaged = {
        "cut": packed[: len(packed) // 2],
        "changed": packed[:20] + bytes(8) + packed[28:],
        "plain": text.encode(),
    }
    for name, content in damaged.items():
        (tmp_path / f"{name}.gz").write_bytes(content)
        with pytest.raises(UserError, match=rf"{name}\.gz: truncated or no text"):
            open_text(tmp_path / f"{name}.gz")
    with pytest.raises(UserError, match="none: cannot be read"):
        open_text(tmp_path / "none")
