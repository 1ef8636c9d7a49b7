"""Training state on disk. A checkpoint is a folder that exists only when it is whole."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)

from core.errors import UserError
from core.files import sync_folder, write_atomically
from core.saving import load_tensors, save_tensors

_WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True)
_KEEP = 2


def save_checkpoint(
    folder: Path, step: int, model: nn.Module, optimizer: torch.optim.Optimizer, extra: dict[str, Any], main: bool
) -> None:
    """Write weights, optimiser state and progress of a step; older checkpoints but one are removed afterwards.

    Every process calls it (sharded weights are gathered); the main one writes. The files are written and synced under
    another name and renamed last, so a kill or a full disk at any moment leaves the checkpoint before.

    Args:
        folder: the run's ``state`` folder.
        step: optimiser steps done.
        extra: plain values to keep with it.
        main: this process writes.

    Raises:
        OSError: the disk is full, say.
        FloatingPointError: a parameter or optimiser state is not finite; nothing is written.
    """
    tensors = {f"model/{name}": t for name, t in whole_weights(model).items()}
    optimiser: dict[str, Any] = get_optimizer_state_dict(model, optimizer, options=_WHOLE)
    for name, state in optimiser.get("state", {}).items():  # nothing where another process gathers
        tensors |= {f"optimizer/{name}/{key}": torch.as_tensor(value) for key, value in state.items()}
    if not main:
        return
    checked = {f"model/{name}" for name, _ in model.named_parameters()}
    for name, tensor in tensors.items():
        if (name in checked or name.startswith("optimizer/")) and not tensor.isfinite().all():
            raise FloatingPointError(f"{name} is not finite")
    final, partial = folder / f"step-{step:09d}", folder / f".partial-{os.getpid()}"
    for leftover in folder.glob(".partial-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    if final.exists():
        return
    partial.mkdir(parents=True)
    try:
        save_tensors(tensors, partial / "state.safetensors")
        write_atomically(partial / "progress.json", json.dumps({"step": step, **extra}).encode())
        os.rename(partial, final)
        sync_folder(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    for old in checkpoints(folder)[:-_KEEP]:
        shutil.rmtree(old, ignore_errors=True)


def whole_weights(model: nn.Module) -> dict[str, Tensor]:
    """All weights and buffers on the CPU, gathered where they are sharded.

    Every process calls it. In a distributed run only the main one is given them; the others get an empty dictionary.
    """
    return cast(dict[str, Tensor], get_model_state_dict(model, options=_WHOLE))


def load_whole_weights(model: nn.Module, weights: dict[str, Tensor]) -> None:
    """Put whole weights into a model that may be sharded; every process calls it with the same weights."""
    set_model_state_dict(model, cast(dict[str, Any], weights), options=StateDictOptions(full_state_dict=True))


def checkpoints(folder: Path) -> list[Path]:
    """The whole checkpoints of a run, oldest first."""
    return sorted(folder.glob("step-*"))


def load_checkpoint(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Restore the newest checkpoint into model and optimiser, and return its progress; ``{"step": 0}`` where none is.

    Raises:
        UserError: the checkpoint is unreadable or of another architecture; where there is an older one, it is named.
    """
    found = checkpoints(folder)
    if not found:
        return {"step": 0}
    newest = found[-1]
    try:
        progress = _progress(newest / "progress.json")
        tensors = load_tensors(newest / "state.safetensors")
    except UserError as error:
        if len(found) == 1:
            raise
        raise UserError(f"{error}. Remove {newest} to go on from {found[-2].name}") from error
    weights: dict[str, Any] = {
        name.removeprefix("model/"): t for name, t in tensors.items() if name.startswith("model/")
    }
    # Every process compares: a sharded tensor says its whole shape, while only the main one is given gathered weights.
    if {n: t.shape for n, t in weights.items()} != {n: t.shape for n, t in model.state_dict().items()}:
        raise UserError(f"{newest}: weights of another architecture than this run's model")
    load_whole_weights(model, weights)
    states: dict[str, Any] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer/"):
            parameter, key = name.removeprefix("optimizer/").rsplit("/", 1)
            states.setdefault(parameter, {})[key] = tensor
    if states:
        set_optimizer_state_dict(
            model,
            optimizer,
            {"state": states, "param_groups": get_optimizer_state_dict(model, optimizer)["param_groups"]},
            options=StateDictOptions(full_state_dict=True),
        )
    return progress


def _progress(path: Path) -> dict[str, Any]:
    try:
        progress = json.loads(path.read_text())
        return {**progress, "step": int(progress["step"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not readable as the progress of a run ({type(error).__name__}: {error})") from error
