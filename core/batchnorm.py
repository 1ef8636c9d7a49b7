"""Batch normalisation over all processes, on CPU and GPU."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn import functional as F


class _Sum(torch.autograd.Function):
    """Sum over all processes; so is its gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        x = x.clone()
        dist.all_reduce(x)
        return x

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _Sum.forward(ctx, gradient)


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation whose training statistics span all processes of a distributed run.

    Two processes then compute what one computes on both their batches (torch's own SyncBatchNorm does so on GPUs only).
    With a single process it is exactly ``torch.nn.BatchNorm1d``, key names included. Statistics are float32 under
    mixed precision.

    A single row has no spread, where torch raises an error: it is normalised by the running statistics, as in evaluation,
    and leaves them as they are. So a last batch of one graph of one node does not end a training.

    Shapes: (R, C) or (B, C, L), as BatchNorm1d.

    Source: Ioffe and Szegedy, "Batch Normalization", Algorithm 1.
    """

    def forward(self, input: Tensor) -> Tensor:
        alone = not dist.is_available() or not dist.is_initialized() or dist.get_world_size() == 1
        tracked = self.running_mean is not None and self.running_var is not None
        if self.training and alone and tracked and input.numel() <= self.num_features:
            return F.batch_norm(input, self.running_mean, self.running_var, self.weight, self.bias, False, 0, self.eps)
        if not self.training or alone:
            return super().forward(input)
        self._check_input_dim(input)
        over = [d for d in range(input.ndim) if d != 1]
        x = input.float()
        count, total = _Sum.apply(torch.stack([torch.full_like(x.sum(over), x.numel() / x.shape[1]), x.sum(over)]))
        single = count < 2
        mean = total / count
        if self.running_mean is not None:
            mean = torch.where(single, self.running_mean, mean)
        # Second pass around the common mean: the difference of large sums would lose digits.
        shape = [1, -1] + [1] * (input.ndim - 2)
        centred = x - mean.view(shape)
        variance = _Sum.apply(centred.square().sum(over)) / count
        if self.running_var is not None:
            variance = torch.where(single, self.running_var, variance)
        if self.track_running_stats and self.running_mean is not None and self.running_var is not None:
            with torch.no_grad():
                assert self.num_batches_tracked is not None
                self.num_batches_tracked += (~single[0]).long()
                rate = self.momentum if self.momentum is not None else 1 / self.num_batches_tracked.clamp(min=1).float()
                unbiased = torch.where(single, variance, variance * count / (count - 1))
                self.running_mean.lerp_(mean.detach(), rate)
                self.running_var.lerp_(unbiased.detach(), rate)
        normal = centred * torch.rsqrt(variance + self.eps).view(shape)
        if self.affine:
            normal = normal * self.weight.view(shape) + self.bias.view(shape)
        return normal.to(input.dtype)
