"""Which of several processes this is."""

from __future__ import annotations

import os


def is_main() -> bool:
    """Whether this is the process that prints and writes: rank 0, or the only one. Free of torch."""
    names = ("RANK",) if "RANK" in os.environ else ("LOCAL_RANK", "NODE_RANK")
    return all(int(os.environ.get(name, "0")) == 0 for name in names)
