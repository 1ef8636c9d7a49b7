"""Teachers: networks that give targets and are not trained by gradient."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn


class FrozenTeacher(nn.Module):
    """A network that never learns: always in evaluation mode, without gradient.

    Args:
        module: the network; it is copied, so that the original may go on training.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = copy.deepcopy(module).requires_grad_(False).eval()

    def train(self, mode: bool = True) -> FrozenTeacher:
        """Stays in evaluation mode whatever is asked."""
        super().train(mode)
        self.module.eval()
        return self

    @torch.no_grad()
    def forward(self, *inputs: Any) -> Any:
        return self.module(*inputs)


class EMATeacher(FrozenTeacher):
    """A network whose weights follow a student's: teacher = momentum * teacher + (1 - momentum) * student.

    Parameters follow in float32; buffers (batch-norm statistics) are copied, unless it keeps its own. Call :meth:`update`
    after each optimiser step, or before it where a paper's teacher does not know the step yet; the teacher moves at no other
    time.

    Args:
        student: what it starts as a copy of.
        momentum: in [0, 1]; 0 copies the student, 1 stays at the start.
        dropout: in training mode whenever the student is, so that its targets are noisy, as GraphMAE2's are. Its batch
            norms then use and follow the batch's statistics.
        buffers: copy the student's buffers; without, the teacher's batch statistics are its own.

    Source: Tarvainen and Valpola, "Mean teachers are better role models", Section 2; He et al., "MoCo", Eq. 2.
    """

    def __init__(self, student: nn.Module, momentum: float, dropout: bool = False, buffers: bool = True) -> None:
        super().__init__(student)
        if not 0 <= momentum <= 1:
            raise ValueError(f"momentum is in [0, 1], got {momentum}")
        self.momentum = momentum
        self.dropout = dropout
        self.buffers_follow = buffers
        self.module.train(dropout)  # modules begin in training mode

    def train(self, mode: bool = True) -> EMATeacher:
        """In evaluation mode whatever is asked, unless its dropout is wanted."""
        super().train(mode)
        self.module.train(mode and self.dropout)
        return self

    @torch.no_grad()
    def update(self, student: nn.Module, momentum: float | None = None) -> None:
        """Move towards the student; ``momentum`` overrides the constant, for schedules."""
        share = 1 - (self.momentum if momentum is None else momentum)
        own = dict(self.module.named_parameters())
        for name, parameter in student.named_parameters():
            own[name].lerp_(parameter.detach().to(own[name].dtype), share)
        if not self.buffers_follow:
            return
        buffers = dict(self.module.named_buffers())
        for name, buffer in student.named_buffers():
            buffers[name].copy_(buffer)
