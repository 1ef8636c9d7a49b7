"""Data sets of torch_geometric's own classes, whose files are there already."""

from __future__ import annotations

import inspect
import io
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any

from core.config import did_you_mean
from core.errors import UserError
from mmgraph.data.needs import torch_geometric
from mmgraph.data.pyg import from_pyg, from_pyg_dataset
from mmgraph.data.sets import GraphSet, NodeSet


def pyg(words: str) -> NodeSet | GraphSet:
    """A data set of a class of ``torch_geometric.datasets`` whose raw or processed files are there. Nothing is downloaded.

    What the class prints of its progress is not shown; its warnings are, where it does not end in an error.

    Args:
        words: ``CLASS:ROOT``, with the root that the class takes; for a class that also takes a name, ROOT/NAME.

    Raises:
        UserError: no such class, a class that takes more than that, files that are missing or that only run as code.
    """
    kind_name, _, root = words.partition(":")
    datasets = torch_geometric("datasets")
    kind = getattr(datasets, kind_name, None)
    if not (inspect.isclass(kind) and root):
        hint = did_you_mean(kind_name, datasets.__all__) if kind is None else ""
        raise UserError(f"data pyg:{words}: expected pyg:CLASS:ROOT with a class of torch_geometric.datasets{hint}")
    arguments = inspect.signature(kind).parameters.values()
    needed = [p.name for p in arguments if p.default is p.empty and p.kind is not p.VAR_KEYWORD]
    if needed not in (["root"], ["root", "name"]):
        raise UserError(
            f"data pyg:{words}: {kind_name} takes {', '.join(needed) or 'no root'}; expected a class of root and name only"
        )
    given = [root] if needed == ["root"] else [str(Path(root).parent), Path(root).name]
    with _quiet():
        try:
            with _weights_only():
                items = list(_offline(kind)(*given))
        except UserError:
            raise
        except Exception as error:  # files can be wrong in every way
            raise UserError(f"{root}: {kind_name} cannot read its files ({type(error).__name__}: {error})") from error
        return from_pyg(items[0], kind_name) if len(items) == 1 else from_pyg_dataset(items, kind_name)


def _offline(kind: Any) -> Any:
    """A data set's class that looks for raw files without making their folder, and leaves no empty one on an error."""

    def process(dataset: Any) -> None:
        folder = Path(dataset.processed_dir)
        new = [path for path in (folder, *folder.parents) if not path.exists()]
        try:
            kind._process(dataset)
        except BaseException:
            for path in new:
                with suppress(OSError):  # not made, or not empty
                    path.rmdir()
            raise

    own = {"_download": _no_download, "download": _no_download, "_process": process, "__module__": kind.__module__}
    return type(kind.__name__, (kind,), own)


def _no_download(dataset: Any) -> None:
    """In the place of a data set's ``download``, and of what makes the folder for it."""
    missing = [path for path in dataset.raw_paths if not Path(path).exists()]
    if missing and not all(Path(path).exists() for path in dataset.processed_paths):
        raise UserError(
            f"{missing[0]}: not there; nothing is downloaded, put the raw files of {type(dataset).__name__} there"
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Show nothing of what is printed; warnings afterwards, and none where it ends in an error."""
    with warnings.catch_warnings(record=True) as caught, redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        yield
    for warning in caught:
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


@contextmanager
def _weights_only() -> Iterator[None]:
    """See that torch.load runs no code: torch_geometric loads anew without that protection where a first try fails."""
    key = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
    before = os.environ.get(key)
    os.environ[key] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[key]
        else:
            os.environ[key] = before
