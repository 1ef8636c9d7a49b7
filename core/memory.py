"""Memory that the C library keeps."""

from __future__ import annotations

import ctypes


def give_back_memory() -> None:
    """Give free memory of the heap back to the system, where the C library can (glibc); nothing elsewhere.

    Tensors of ever different sizes, as packed batches have them, leave holes that glibc keeps: a run of hours grows to many
    times what is in use. It takes milliseconds.
    """
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):  # another system or C library
        return
    trim(0)
