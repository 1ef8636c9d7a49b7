"""The weights with the best validation score, kept on disk."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

from torch import nn

from core.errors import UserError
from core.files import write_atomically
from core.saving import check_weights, load_tensors, save_tensors
from core.training.checkpoint import load_whole_weights, whole_weights


class BestWeights:
    """Scores a model on validation data and keeps the weights of the best score; among equals, of the first.

    Args:
        folder: the run's ``state`` folder.
        model: the model that is trained.
        score: called in evaluation mode, gives the validation score; higher is better.
        name: of the score, as it is logged.
        main: this process writes; of several, only one does.

    A resumed run scores the epochs it repeats again, with the same results, so nothing needs to be restored.
    """

    def __init__(
        self, folder: Path, model: nn.Module, score: Callable[[], float], name: str, main: bool = True
    ) -> None:
        self.folder = folder
        self.model = model
        self.score = score
        self.name = name
        self.main = main

    def after_epoch(self, epoch: int) -> dict[str, float]:
        """Score, keep the weights if they are the best so far, and give the score by its name."""
        self.model.eval()
        score = self.score()
        self.model.train()
        weights = whole_weights(self.model)
        record = self.folder / "best.json"
        named = {f"validation_{self.name}": score}
        if not self.main:
            return named
        best = read_record(record)["score"] if record.exists() else math.nan
        if not record.exists() or score > best or (math.isnan(best) and not math.isnan(score)):
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                save_tensors(weights, self.folder / "best.safetensors")
                write_atomically(record, json.dumps({"epoch": epoch, "score": score}).encode())
            except OSError as error:
                raise UserError(
                    f"{record}: the best weights could not be written ({error.strerror or error}); make room and go on "
                    "with --resume"
                ) from error
        return named

    def enough(self, epoch: int, patience: int) -> bool:
        """Whether the best score is ``patience`` epochs old; never with 0. Asked of the process that writes."""
        return bool(patience) and self.main and epoch - read_record(self.folder / "best.json")["epoch"] >= patience

    def restore(self) -> dict[str, float]:
        """Load the best weights; returns ``{"epoch": ..., "score": ...}`` of them."""
        path = self.folder / "best.safetensors"
        weights = load_tensors(path)
        check_weights(self.model, weights, str(path))
        load_whole_weights(self.model, weights)
        return read_record(self.folder / "best.json")


def read_record(path: Path) -> dict[str, float]:
    """Epoch and score of the best weights.

    Raises:
        UserError: missing or damaged.
    """
    try:
        record = json.loads(path.read_text())
        return {"epoch": int(record["epoch"]), "score": float(record["score"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not readable as the record of the best epoch ({error})") from error
