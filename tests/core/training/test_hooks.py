"""What a training calls around the optimiser's step."""

from __future__ import annotations

from pathlib import Path

import torch
from tiny_training import Tiny, TinyData, recipe
from torch import Tensor

from core.training.job import masked_step
from core.training.loop import fit, make_fabric
from core.training.run import RunFolder


def test_hooks_around_the_step_of_the_optimiser(tmp_path: Path) -> None:
    """``before_step`` sees gradients and the weights they are of; ``after_step`` the weights that come next."""
    seen: list[tuple[str, int, Tensor]] = []
    settings = recipe(train={"epochs": 1, "accumulate": 2})
    fabric = make_fabric(settings.run, settings.train.precision)
    model = Tiny(settings.model)
    tmp_path.mkdir(exist_ok=True)

    def note(name: str, step: int) -> None:
        weight = next(p for p in model.parameters() if p.ndim > 1)
        assert (weight.grad is not None) == (name == "before")
        seen.append((name, step, weight.detach().clone()))

    fit(
        RunFolder(tmp_path),
        fabric,
        model,
        TinyData(settings.samples, settings.slow),
        masked_step(model),
        settings.optim,
        settings.train,
        settings.run,
        after_step=lambda done: note("after", done),
        before_step=lambda step: note("before", step),
    )
    assert [(name, step) for name, step, _ in seen] == [(n, s) for s in range(1, 7) for n in ("before", "after")]
    for (_, _, first), (_, _, second) in zip(seen[::2], seen[1::2], strict=True):
        assert not torch.equal(first, second)
    for (_, _, first), (_, _, second) in zip(seen[1:-1:2], seen[2::2], strict=True):
        assert torch.equal(first, second)
