"""The weights with the best validation score, kept on disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from torch import nn

from core.files import write_atomically
from core.saving import load_strictly, load_tensors, save_tensors
from core.training.checkpoint import whole_weights


class BestWeights:
    """Scores a model on validation data and keeps the weights of the best score; among equals, of the first.

    Args:
        folder: the run's ``state`` folder.
        model: the model that is trained.
        score: called in evaluation mode, gives the validation score; higher is better.
        main: this process writes; of several, only one does.

    A resumed run scores the epochs it repeats again, with the same results, so nothing needs to be restored.
    """

    def __init__(self, folder: Path, model: nn.Module, score: Callable[[], float], main: bool = True) -> None:
        self.folder = folder
        self.model = model
        self.score = score
        self.main = main

    def after_epoch(self, epoch: int) -> None:
        """Score, and keep the weights if they are the best so far."""
        self.model.eval()
        score = self.score()
        self.model.train()
        weights = whole_weights(self.model)
        record = self.folder / "best.json"
        if not self.main:
            return
        if not record.exists() or score > json.loads(record.read_text())["score"]:
            self.folder.mkdir(parents=True, exist_ok=True)
            save_tensors(weights, self.folder / "best.safetensors")
            write_atomically(record, json.dumps({"epoch": epoch, "score": score}).encode())

    def restore(self) -> dict[str, float]:
        """Load the best weights; returns ``{"epoch": ..., "score": ...}`` of them."""
        path = self.folder / "best.safetensors"
        load_strictly(self.model, load_tensors(path), str(path))
        return json.loads((self.folder / "best.json").read_text())
