"""A masked model of some hundred parameters on random data, trained in this process or, as a script, in others.

``python tiny_training.py FOLDER '{"run": {"devices": 2}}'`` trains it in as many processes.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.batchnorm import BatchNorm
from core.config import from_dict
from core.masked_model import MaskedModel, Objective
from core.masking import Mask, random_mask
from core.random import Randomness, generator
from core.saving import Pretrained
from core.training.config import OptimConfig, RunConfig, TrainConfig
from core.training.job import Job, masked_step, run_training
from core.training.loop import FitResult, Interrupted
from core.training.run import RunFolder, read_metrics

TOKENS, CHANNELS = 6, 3


@dataclass
class TinyConfig:
    dim: int = 8
    drop_path: float = 0.2
    batch_norm: bool = True


@dataclass
class TinyRecipe:
    model: TinyConfig = field(default_factory=TinyConfig)
    optim: OptimConfig = field(default_factory=lambda: OptimConfig(lr=2e-2, warmup_epochs=0.5))
    train: TrainConfig = field(default_factory=lambda: TrainConfig(epochs=3, batch_size=4))
    run: RunConfig = field(
        default_factory=lambda: RunConfig(accelerator="cpu", threads=1, log_steps=1, save_steps=2)
    )
    samples: int = 26
    slow: float = 0.0


class TinyEncoder(nn.Module):
    def __init__(self, config: TinyConfig) -> None:
        from core.transformer import Transformer

        super().__init__()
        self.mask_token = nn.Parameter(torch.zeros(config.dim))
        self.embed = nn.Linear(CHANNELS, config.dim)
        self.norm = BatchNorm(config.dim) if config.batch_norm else nn.Identity()
        self.transformer = Transformer(config.dim, 2, 2, mlp_ratio=1, drop_path=config.drop_path)

    def forward(self, inputs: Tensor, mask: Mask) -> Tensor:
        tokens = self.norm(self.embed(inputs).flatten(0, 1)).view(*inputs.shape[:2], -1)
        places = torch.linspace(-1, 1, tokens.shape[1]).unsqueeze(-1).expand_as(tokens)
        return self.transformer(mask.fill(tokens, self.mask_token) + places)


class TinyHead(nn.Linear):
    def forward(self, latent: Tensor, inputs: Tensor, mask: Mask) -> Tensor:  # type: ignore[override]
        return super().forward(mask.select_hidden(latent))


class Tiny(Pretrained, MaskedModel):
    Config = TinyConfig

    def __init__(self, config: TinyConfig) -> None:
        head = TinyHead(config.dim, CHANNELS)
        super().__init__(
            TinyEncoder(config),
            {"values": Objective(head, lambda inputs, mask: mask.select_hidden(inputs), F.mse_loss)},
        )
        self.config = config

    def draw_mask(self, batch: Tensor, randomness: Randomness = None) -> Mask:
        return random_mask((len(batch), batch.shape[1]), 0.5, randomness)


class TinyData:
    """Straight lines with noise: (6, 3) a sample."""

    def __init__(self, length: int, slow: float = 0.0) -> None:
        self.slopes = torch.randn(length, 1, CHANNELS, generator=generator("tiny"))
        self.slow = slow

    def __len__(self) -> int:
        return len(self.slopes)

    def sample(self, index: int, generator: torch.Generator) -> Tensor:
        if self.slow:
            import time

            time.sleep(self.slow)
        line = self.slopes[index] * torch.linspace(-1, 1, TOKENS).unsqueeze(1)
        return line + 0.05 * torch.randn(TOKENS, CHANNELS, generator=generator)

    def collate(self, samples: Sequence[Tensor]) -> Tensor:
        return torch.stack(list(samples))


def recipe(**sections: Any) -> TinyRecipe:
    """The tiny recipe with some settings changed: ``recipe(train={"epochs": 1})``."""
    plain = dataclasses.asdict(TinyRecipe())
    for name, values in sections.items():
        plain[name] = {**plain[name], **values} if isinstance(values, dict) else values
    return from_dict(TinyRecipe, plain, "tiny")


def train(folder: Path, settings: TinyRecipe, resume: bool = False) -> FitResult:
    """Train as the command line does."""

    def make(main: bool) -> Job:
        model = Tiny(settings.model)
        return Job(model, TinyData(settings.samples, settings.slow), masked_step(model), {})

    return run_training(RunFolder(folder), dataclasses.asdict(settings), resume, "", settings, make)[1]


def losses(folder: Path) -> list[tuple[int, float]]:
    """(step, loss) of every row of a run's metrics."""
    return [(row["step"], row["loss"]) for row in read_metrics(folder / "metrics.jsonl")]


def main(trainer: Callable[..., FitResult] = train) -> None:
    """Train in a folder, resuming what is there; one line says how it ended."""
    torch.set_num_threads(1)
    folder, sections = Path(sys.argv[1]), json.loads(sys.argv[2])
    try:
        trainer(folder, recipe(**sections), resume=True)
    except Interrupted as stopped:
        print(f"interrupted: {stopped}", flush=True)
        sys.exit(130)


if __name__ == "__main__":
    main()
