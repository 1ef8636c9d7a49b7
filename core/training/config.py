"""Settings of the training loop. Free of torch, so that the command line answers at once."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from core.config import at_least, more_than_zero


@dataclass
class OptimConfig:
    """Optimiser, warm-up and decay of the learning rate. These settings change results."""

    algorithm: Literal["adamw", "adam"] = "adamw"
    """AdamW with decay of weights only, or Adam with an L2 penalty on everything, as papers on graphs use it."""

    lr: float = 1e-3
    """Peak learning rate."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """After the warm-up: cosine or a straight line down to min_lr, or no change."""
    weight_decay: float = 0.05
    """Decay of weights."""
    decay: Literal["weights", "all"] = "weights"
    """What AdamW decays: not biases, norms and tokens, or everything, as papers on graphs do."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Averaging constants of AdamW."""
    eps: float = 1e-8
    """Added to the root of the averaged squares of gradients."""
    warmup_epochs: float = 10
    """Epochs of linear warm-up."""
    warmup_lr: float = 1e-6
    """Learning rate at which the warm-up starts."""
    min_lr: float = 1e-6
    """Learning rate at which the cosine or the line ends."""
    lr_update: Literal["epoch", "step"] = "step"
    """Change the learning rate every step, or once an epoch as the Point-BERT family does."""
    clip_norm: float | None = None
    """Clip the norm of all gradients together to this; null for none."""

    def __post_init__(self) -> None:
        at_least(self, 0, "lr", "weight_decay", "warmup_epochs", "warmup_lr", "min_lr")
        more_than_zero(self, "eps")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas {list(self.betas)}: expected two numbers, at least 0 and less than 1")
        if self.clip_norm is not None and not self.clip_norm > 0:
            raise ValueError(f"clip_norm {self.clip_norm}: expected more than 0, or null for no clipping")


@dataclass
class TrainConfig:
    """Length and batches; these settings change results."""

    epochs: int = 300
    """Passes over the data."""
    batch_size: int = 128
    """Samples an optimiser step, over all processes and accumulated parts together."""
    last_batch: Literal["drop", "keep"] = "drop"
    """The rest of an epoch that fills no batch: left out, or a smaller batch of its own (one process, undivided)."""
    bucket: int = 0
    """Batches of a bucket, whose samples are dealt by length so that those of a batch are alike; 0 for no buckets."""
    accumulate: int = 1
    """Parts a batch is computed in, one after the other, to save memory (batch norm then sees the parts)."""
    seed: int = 0
    """Seed of weights, order, augmentation and masks."""
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    """Arithmetic of the forward pass."""

    def __post_init__(self) -> None:
        at_least(self, 1, "epochs", "batch_size", "accumulate")
        at_least(self, 0, "seed", "bucket")


@dataclass
class RunConfig:
    """Where and how it runs; these settings do not change results beyond rounding, and may change at --resume."""

    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    """Device; auto takes a GPU where there is one."""
    devices: int = 1
    """Processes on this machine, one a device."""
    nodes: int = 1
    """Machines (started by torchrun or the cluster)."""
    strategy: Literal["auto", "ddp", "fsdp"] = "auto"
    """How several processes share the work: whole copies (ddp) or sharded weights (fsdp). Auto is ddp where needed."""
    workers: int = 0
    """Processes that load data; 0 loads in the training process."""
    threads: int = 0
    """CPU threads of torch; 0 leaves torch's choice."""
    compile: bool = False
    """Compile the model with torch.compile (needs a C++ compiler on a CPU)."""
    save_steps: int = 0
    """Steps between checkpoints; 0 for one an epoch, but at most one in save_seconds."""
    save_seconds: float = 60.0
    """With save_steps 0: an epoch shorter than this does not write a checkpoint of its own."""
    log_steps: int = 10
    """Steps between lines of metrics.jsonl."""
    trackers: tuple[Literal["tensorboard", "wandb"], ...] = ()
    """Trackers beside metrics.jsonl, where installed."""

    def __post_init__(self) -> None:
        at_least(self, 1, "devices", "nodes", "log_steps")
        at_least(self, 0, "workers", "threads", "save_steps", "save_seconds")


AnyRecipe = TypeVar("AnyRecipe", bound=Any)


def with_seed(recipe: AnyRecipe, seed: int) -> AnyRecipe:
    """A copy of a recipe (a dataclass with a section ``train``) with another training seed."""
    return dataclasses.replace(recipe, train=dataclasses.replace(recipe.train, seed=seed))
