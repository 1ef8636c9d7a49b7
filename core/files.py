"""Writing files so that a reader never meets half of one, and reading text, packed or cut off by a kill."""

from __future__ import annotations

import gzip
import json
import os
import zlib
from pathlib import Path
from typing import Any

from core.errors import UserError


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file beside its place, sync it, and rename it there; what stood there stays until that moment.

    Raises:
        OSError: as the system gives it (a full disk, say); the temporary file is removed and the old file untouched.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames in a folder durable, where the system can."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def open_text(path: str | Path) -> str:
    """The text of a file, unpacked where its name ends in ``.gz``; without a byte order mark.

    Raises:
        UserError: it cannot be read, or is no text.
    """
    path = Path(path)
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        return content.decode("utf-8-sig")
    except (EOFError, gzip.BadGzipFile, zlib.error, UnicodeDecodeError) as error:
        raise UserError(f"{path}: truncated or no text ({error})") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error


def plain_or_packed(path: Path) -> Path:
    """The file of a name, or, where there is none, that with ``.gz`` behind it if there is one."""
    packed = path.with_name(f"{path.name}.gz")
    return packed if packed.is_file() and not path.is_file() else path


def read_metrics(path: str | Path) -> list[dict[str, Any]]:
    """The rows of a JSONL file, one object a line. A last line cut off by a kill is left out.

    Raises:
        UserError: no such file, or a line before the last that is not a JSON object.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}); expected metrics, one JSON object a line"
        ) from error
    rows = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            if number == len(lines):  # no line end behind it: the write was cut off
                break
            raise UserError(f"{path}, line {number}: not JSON ({error}); expected one object a line") from error
        if not isinstance(row, dict):
            raise UserError(f"{path}, line {number}: a {type(row).__name__}; expected one JSON object a line")
        rows.append(row)
    return rows
