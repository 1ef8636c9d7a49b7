"""Parameter groups and the learning rate, as the papers set them."""

from __future__ import annotations

import math

import torch
from torch import nn

from core.training.config import OptimConfig


def decays(name: str, parameter: nn.Parameter) -> bool:
    """Whether weight decay applies: not to vectors (biases, norms) and not to tokens.

    Source: tools/builder.py of Point-BERT's and Point-MAE's official code (the same rule in MAE's).
    """
    return parameter.ndim > 1 and not name.endswith(".bias") and "token" not in name


def new_optimizer(model: nn.Module, config: OptimConfig, fused: bool = True) -> torch.optim.Optimizer:
    """The optimiser of the trainable parameters: AdamW in two groups, with and without decay, or plain Adam in one.

    Args:
        fused: all arithmetic of a step in one kernel; not together with scaled float16 gradients that are clipped.
    """
    trainable = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    if config.algorithm == "adam":
        return torch.optim.Adam(
            [p for _, p in trainable],
            lr=config.lr,
            betas=config.betas,
            eps=config.eps,
            weight_decay=config.weight_decay,
            fused=fused,
        )
    chosen = [config.decay == "all" or decays(name, p) for name, p in trainable]
    groups = [
        {
            "params": [p for (_, p), yes in zip(trainable, chosen, strict=True) if yes],
            "weight_decay": config.weight_decay,
        },
        {"params": [p for (_, p), yes in zip(trainable, chosen, strict=True) if not yes], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.lr, betas=config.betas, eps=config.eps, fused=fused)


def learning_rate(config: OptimConfig, epoch: float, epochs: int) -> float:
    """Learning rate after ``epoch`` (fractional) of ``epochs``: linear warm-up, then cosine, line or constant.

    The cosine runs over all epochs, warm-up included, as timm's CosineLRScheduler does with ``warmup_prefix=False``.
    The line begins at the end of the warm-up, as the polynomial decay of power 1 of fairseq and Graphormer does. With
    ``lr_update="epoch"`` the fraction of an epoch is dropped.

    Source: Loshchilov and Hutter, "SGDR", Eq. 5; tools/builder.py of Point-MAE's official code; lr.py of GMAE's.
    """
    if config.lr_update == "epoch":
        epoch = math.floor(epoch)
    if epoch < config.warmup_epochs:
        return config.warmup_lr + (config.lr - config.warmup_lr) * epoch / config.warmup_epochs
    if config.schedule == "constant":
        return config.lr
    if config.schedule == "linear":
        left = (epochs - epoch) / max(epochs - config.warmup_epochs, 1e-9)
        return config.min_lr + (config.lr - config.min_lr) * min(max(left, 0.0), 1.0)
    return config.min_lr + (config.lr - config.min_lr) * (1 + math.cos(math.pi * min(epoch / epochs, 1.0))) / 2
