"""The run folder: everything a training leaves behind, and enough of it to explain itself."""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from core.errors import UserError
from core.files import read_metrics, write_atomically

# Sections of a recipe that may differ between a run and its continuation.
FREE_AT_RESUME = ("run",)


class RunFolder:
    """A folder with ``config.yaml``, ``environment.json``, ``metrics.jsonl``, ``state/`` and, in the end, weights and report.

    Args:
        path: where it is or will be.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def state(self) -> Path:
        return self.path / "state"

    def check(self, config: dict[str, Any], resume: bool) -> None:
        """See that a run with this configuration may start or go on here, writing nothing.

        Args:
            config: the effective configuration, plain values.
            resume: continue what is there; a folder without a run starts one.

        Raises:
            UserError: the folder holds something and ``resume`` is off, or the configuration to resume with differs
                from the run's in more than where it runs.
        """
        if self.path.is_file():
            raise UserError(f"{self.path}: is a file; expected a folder for the run")
        if (self.path / "config.yaml").exists():
            if not resume:
                raise UserError(
                    f"{self.path}: holds a run already; continue it with --resume, or name another with --out"
                )
            differing = differences(drop_free(self.config()), drop_free(config))
            if differing:
                raise UserError(
                    f"{self.path}: was run with other settings than given to --resume: {'; '.join(differing)}"
                )
        elif self.path.exists() and not all(_unfinished(item) for item in self.path.iterdir()):
            raise UserError(f"{self.path}: exists and is not empty; name another folder with --out")

    def open(self, config: dict[str, Any], resume: bool, header: str, said: dict[str, Any]) -> None:
        """Make the folder of a new run with ``config.yaml`` and ``environment.json``, or leave that of a run to resume.

        Args:
            header: first comment line of config.yaml.
            said: what environment.json says beside versions, machine and revision.

        Raises:
            UserError: as :meth:`check`, the data is not what the run began with, or the folder cannot be written.
        """
        self.check(config, resume)
        if (self.path / "config.yaml").exists():
            self._check_data(said)
            return
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self.write_json("environment.json", {**environment(), **said})
            text = (f"# {header}\n" if header else "") + yaml.safe_dump(plain(config), sort_keys=False)
            write_atomically(self.path / "config.yaml", text.encode())
        except OSError as error:
            raise UserError(f"{self.path}: cannot be written ({error.strerror})") from error

    def _check_data(self, said: dict[str, Any]) -> None:
        """See that the data is what the run began with, as far as its description tells."""
        before = self.environment().get("data", {})
        now = {key: value for key, value in said.get("data", {}).items() if key in before}
        changed = differences(plain(before), plain(now))
        if changed:
            raise UserError(f"{self.path}: the data has changed since this run began: {'; '.join(changed)}")

    def environment(self) -> dict[str, Any]:
        """What the run wrote down of versions, machine and data; empty where that is missing."""
        path = self.path / "environment.json"
        try:
            content = json.loads(path.read_text())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise UserError(f"{path}: not readable ({error})") from error
        return content if isinstance(content, dict) else {}

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder for one training; the system lets go of it when the process ends, however it ends.

        Raises:
            UserError: another process trains in it.
        """
        try:
            import fcntl
        except ImportError:  # not on this system
            yield
            return
        self.state.mkdir(parents=True, exist_ok=True)
        with (self.state / ".lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise UserError(f"{self.path}: another process trains in this folder") from error
            yield

    def config(self) -> dict[str, Any]:
        """The effective configuration of the run."""
        path = self.path / "config.yaml"
        try:
            content = yaml.safe_load(path.read_text())
        except FileNotFoundError as error:
            raise UserError(f"{self.path}: not a run folder (no config.yaml)") from error
        except yaml.YAMLError as error:
            raise UserError(f"{path}: not readable as YAML") from error
        if not isinstance(content, dict):
            raise UserError(f"{path}: expected keys and values")
        return content

    def write_json(self, name: str, content: Any) -> None:
        """A JSON file of the run, atomically."""
        write_atomically(self.path / name, (json.dumps(content, indent=2) + "\n").encode())

    def truncate_metrics(self, step: int) -> None:
        """Keep the rows up to a step: what a killed process wrote after its last checkpoint is computed again.

        Raises:
            UserError: the file cannot be read, or has rows without a step.
        """
        if not self.metrics.exists():
            return
        rows = read_metrics(self.metrics)
        if not all(isinstance(row.get("step"), int | float) for row in rows):
            raise UserError(f"{self.metrics}: rows without a step; expected what a training writes")
        kept = [row for row in rows if row["step"] <= step]
        write_atomically(self.metrics, "".join(json.dumps(row) + "\n" for row in kept).encode())


def _unfinished(item: Path) -> bool:
    """Whether a process that was killed while it opened the folder may have left this: config.yaml is written last."""
    return item.name == "environment.json" or (item.name.startswith(".") and item.suffix == ".tmp")


def plain(value: Any) -> Any:
    """Nested values with tuples as lists, as YAML and JSON hold them."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def drop_free(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration without the sections that may change at resume."""
    return {key: value for key, value in config.items() if key not in FREE_AT_RESUME}


def differences(old: Any, new: Any, at: str = "") -> list[str]:
    """Where two nested configurations differ, as ``key: old -> new``."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [*old, *(k for k in new if k not in old)]
        return [d for k in keys for d in differences(old.get(k), new.get(k), f"{at}.{k}" if at else str(k))]
    same = list(old) == list(new) if isinstance(old, list | tuple) and isinstance(new, list | tuple) else old == new
    return [] if same else [f"{at}: {old} -> {new}"]


def environment() -> dict[str, Any]:
    """Versions, machine and git revision, as far as they can be read."""
    packages = {}
    for name in ("mm-beyond", "torch", "numpy", "scipy", "lightning-fabric", "safetensors", "torch-geometric", "rdkit"):
        try:
            packages[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "packages": packages,
        "git": _git_revision(),
    }


def _git_revision() -> str | None:
    here = Path(__file__).parent
    command = ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
