"""torch_geometric, imported when a reader needs it."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from core.errors import MissingPackage


def torch_geometric(module: str) -> ModuleType:
    """A module of torch_geometric by name.

    Raises:
        MissingPackage: it is not installed.
    """
    try:
        return import_module(f"torch_geometric.{module}")
    except ImportError as error:
        raise MissingPackage("torch-geometric", "graph", "reading this layout") from error
