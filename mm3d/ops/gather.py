"""Pick points of every cloud by index."""

from __future__ import annotations

from torch import Tensor


def gather(values: Tensor, index: Tensor) -> Tensor:
    """Rows of each cloud: ``out[b, ...] = values[b, index[b, ...]]``.

    values: (B, N, C), any dtype and device; index: (B, ...) int64 in [0, N). Returns (B, ..., C),
    differentiable in ``values`` (gradients of a row that is picked several times add up).
    Raises ValueError for wrong shapes; an index outside [0, N) is torch's own IndexError or RuntimeError.
    """
    if values.ndim != 3:
        raise ValueError(f"values must be (B, N, C), got {tuple(values.shape)}")
    if index.ndim < 1 or index.shape[0] != values.shape[0]:
        raise ValueError(f"index must be (B, ...) with B = {values.shape[0]}, got {tuple(index.shape)}")
    batch, _, channels = values.shape
    # torch.gather checks the range per cloud; flat indexing would silently reach into the next cloud.
    flat = index.reshape(batch, -1, 1).expand(-1, -1, channels)
    return values.gather(1, flat).reshape(*index.shape, channels)
