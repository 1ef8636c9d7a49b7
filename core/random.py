"""Explicit randomness: seeds by arithmetic, draws that are the same on every device and for every batch size."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

# One generator for the whole batch, or one a sample. With one a sample a draw depends on the sample alone, so it
# does not change when the same samples are spread over more processes or larger batches.
Randomness = torch.Generator | Sequence[torch.Generator] | None


def derive_seed(*parts: int | str) -> int:
    """A 63-bit seed from any integers and names, e.g. ``derive_seed(seed, epoch, index, "mask")``.

    Different tuples give independent seeds (BLAKE2b), which sums and products of small integers do not.
    """
    plain = [part if isinstance(part, str) else int(part) for part in parts]  # numpy's integers print differently
    digest = hashlib.blake2b("/".join(map(repr, plain)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def generator(*parts: int | str) -> torch.Generator:
    """A CPU generator seeded with :func:`derive_seed` of the parts."""
    return torch.Generator().manual_seed(derive_seed(*parts))


def _on_cpu(source: torch.Generator | None) -> torch.Generator | None:
    if source is not None and source.device.type != "cpu":
        raise ValueError(
            f"draws are made on the CPU so that every device gets the same; got a {source.device} generator"
        )
    return source


def uniform(batch: int, count: int, randomness: Randomness = None) -> Tensor:
    """Uniform draws in [0, 1).

    Args:
        batch: number of samples B.
        count: draws a sample N.
        randomness: one CPU generator, a sequence of B of them, or None for torch's default generator.

    Returns:
        (B, N) float32 on the CPU.

    Raises:
        ValueError: the generator lives on another device, or there is not one for every sample.
    """
    if randomness is None or isinstance(randomness, torch.Generator):
        return torch.rand(batch, count, generator=_on_cpu(randomness))
    if len(randomness) != batch:
        raise ValueError(f"{len(randomness)} generators for {batch} samples: give one, or one a sample")
    if batch == 0:
        return torch.empty(0, count)
    return torch.stack([torch.rand(count, generator=_on_cpu(source)) for source in randomness])


def uniform_packed(lengths: Sequence[int], randomness: Randomness = None) -> Tensor:
    """Uniform draws in [0, 1) for samples of unequal length: (sum of lengths,) float32 on the CPU."""
    if randomness is None or isinstance(randomness, torch.Generator):
        return torch.rand(sum(lengths), generator=_on_cpu(randomness))
    if len(randomness) != len(lengths):
        raise ValueError(f"{len(randomness)} generators for {len(lengths)} samples: give one, or one a sample")
    if not lengths:
        return torch.empty(0)
    return torch.cat([torch.rand(n, generator=_on_cpu(g)) for n, g in zip(lengths, randomness, strict=True)])
