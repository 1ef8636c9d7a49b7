"""Earth mover's distance of patches against entropic transport: python -m benchmarks.earth_mover

On CPU ours is exact, and the peer, fifty steps of Sinkhorn in the log domain, is not; on GPU ours is an auction within a stated
tolerance, and the peer the same Sinkhorn.
"""

from __future__ import annotations

import torch
from torch import Tensor

from benchmarks.timing import Case, run
from mm3d.ops import earth_mover_distance

STEPS, BLUR = 50, 0.01


def sinkhorn(a: Tensor, b: Tensor) -> Tensor:
    """The peer: mean length under the plan after so many steps."""
    cost = torch.cdist(a, b)
    epsilon = BLUR * cost.amax((1, 2), keepdim=True)
    score, size = -cost / epsilon, a.shape[1]
    left, right = score.new_zeros(len(a), size, 1), score.new_zeros(len(a), 1, size)
    for _ in range(STEPS):
        left = -(score + right).logsumexp(2, keepdim=True)
        right = -(score + left).logsumexp(1, keepdim=True)
    return ((score + left + right).exp() * cost).sum((1, 2)) / size


def cases(device: torch.device) -> list[Case]:
    draws = torch.Generator().manual_seed(0)
    a, b = (torch.randn(1216, 32, 3, generator=draws).to(device) for _ in range(2))
    ours, theirs = earth_mover_distance(a, b), sinkhorn(a, b)
    print(f"mean length: ours {float(ours.mean()):.4f}, Sinkhorn {float(theirs.mean()):.4f}")
    peers = {f"{STEPS} Sinkhorn steps in torch": lambda: sinkhorn(a, b)}
    return [Case("1216 x 32 against 32, forward", lambda: earth_mover_distance(a, b), peers)]


if __name__ == "__main__":
    run("Earth mover's distance", cases, repeats=5, warmup=1)
