"""A masked model of some hundred parameters on random data, trained here or, as a script, in other processes.

``echo | python tiny_training.py FOLDER '{"run": {"devices": 2}}'`` trains it in as many processes.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.batchnorm import BatchNorm
from core.config import from_dict
from core.errors import Interrupted
from core.files import read_metrics
from core.masked_model import MaskedModel, Objective
from core.masking import Mask, random_mask
from core.random import Randomness, generator
from core.saving import Pretrained
from core.training.config import OptimConfig, RunConfig, TrainConfig
from core.training.job import Job, masked_step, run_training
from core.training.loop import FitResult
from core.training.run import RunFolder

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
    run: RunConfig = field(default_factory=lambda: RunConfig(accelerator="cpu", threads=1, log_steps=1, save_steps=2))
    samples: int = 26
    slow: float = 0.0
    system: str = "tiny"


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
            {"line": Objective(head, lambda inputs, mask: mask.select_hidden(inputs), F.mse_loss)},
        )
        self.config = config

    def draw_mask(self, batch: Tensor, randomness: Randomness = None) -> Mask:
        return random_mask((len(batch), batch.shape[1]), 0.5, randomness)


class TinyData:
    """A level of each sample's own, with noise: (6, 3)."""

    def __init__(self, length: int, slow: float = 0.0) -> None:
        self.levels = torch.randn(length, 1, CHANNELS, generator=generator("tiny"))
        self.slow = slow

    def __len__(self) -> int:
        return len(self.levels)

    def sample(self, index: int, generator: torch.Generator) -> Tensor:
        if self.slow:
            import time

            time.sleep(self.slow)
        return self.levels[index] + 0.05 * torch.randn(TOKENS, CHANNELS, generator=generator)

    def collate(self, samples: Sequence[Tensor]) -> Tensor:
        return torch.stack(list(samples))


class TinyClouds(TinyData):
    """Random points: (40, 3) a sample."""

    def sample(self, index: int, generator: torch.Generator) -> Tensor:
        return torch.rand(40, CHANNELS, generator=generator) * 2 - 1


def tiny_point_mae() -> Any:
    """Point-MAE with patches, batch norm and all, some layers wide; no dropout, which differs between processes."""
    from mm3d.config import PatchEncoderConfig, PointMAEConfig
    from mm3d.models.point_mae import PointMAE

    encoder = PatchEncoderConfig(groups=6, group_size=5, dim=8, depth=2, heads=2, drop_path=0.0)
    return PointMAE(PointMAEConfig(encoder, decoder_depth=1, decoder_heads=2))


def recipe(**sections: Any) -> TinyRecipe:
    """The tiny recipe with some settings changed: ``recipe(train={"epochs": 1})``."""
    plain = dataclasses.asdict(TinyRecipe())
    for name, values in sections.items():
        plain[name] = {**plain[name], **values} if isinstance(values, dict) else values
    return from_dict(TinyRecipe, plain, "tiny")


def train(folder: Path, settings: TinyRecipe, resume: bool = False) -> FitResult:
    """Train as the command line does."""

    def make(main: bool) -> Job:
        model = tiny_point_mae() if settings.system == "point_mae" else Tiny(settings.model)
        data = TinyClouds(8) if settings.system == "point_mae" else TinyData(settings.samples, settings.slow)
        return Job(model, data, masked_step(model), {})

    return run_training(RunFolder(folder), dataclasses.asdict(settings), resume, "", settings, make).result


def determined_weights(folder: Path) -> dict[str, Tensor]:
    """Final weights of a run, with NaN in place of what only rounding moved.

    Some gradients are zero in exact arithmetic: of a bias before batch norm, of the bias of keys. AdamW scales their
    rounding noise up to full steps, which change no output of the model; means that batch norm keeps follow them.
    """
    from safetensors.torch import load_file

    from core.training.checkpoint import checkpoints

    state = load_file(checkpoints(folder / "state")[-1] / "state.safetensors")
    weights = {name: t for name, t in load_file(folder / "weights.safetensors").items() if "running_mean" not in name}
    for name, tensor in weights.items():
        if f"optimizer/{name}/exp_avg_sq" in state:
            noise = state[f"optimizer/{name}/exp_avg_sq"].sqrt() < 1e-7
            weights[name] = tensor.masked_fill(noise, float("nan"))
    return weights


def losses(folder: Path) -> list[tuple[int, float]]:
    """(step, loss) of every row of a run's metrics."""
    return [(row["step"], row["loss"]) for row in read_metrics(folder / "metrics.jsonl")]


def started(folder: Path, **sections: Any) -> subprocess.Popen[str]:
    """Another process that trains in a folder, in a session of its own, as soon as it reads a line."""
    root = Path(__file__).parents[3]
    return subprocess.Popen(
        [sys.executable, __file__, str(folder), json.dumps(sections)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"},
    )


def main() -> None:
    """Train in a folder, resuming what is there; one line says how it ended."""
    torch.set_num_threads(1)
    folder, sections = Path(sys.argv[1]), json.loads(sys.argv[2])
    if "LOCAL_RANK" not in os.environ:  # processes that Fabric starts do not read
        sys.stdin.readline()
    try:
        train(folder, recipe(**sections), resume=True)
    except Interrupted as stopped:
        print(f"interrupted: {stopped}", flush=True)
        sys.exit(130)


if __name__ == "__main__":
    main()
