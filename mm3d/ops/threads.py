"""Work that is shared among threads by hand, where torch's own threads do not reach."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Item = TypeVar("Item")


def for_each(function: Callable[[Item], None], items: Sequence[Item], least: int = 1) -> None:
    """Call a function on every item, on as many threads as torch uses; for code of numpy and scipy, which starts none.

    Args:
        least: items that a thread is worth starting for.
    """
    threads = min(torch.get_num_threads(), len(items) // least)
    if threads < 2:
        for item in items:
            function(item)
        return
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(function, items):  # raises what a call raised
            pass
