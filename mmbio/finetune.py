"""Fine-tuning of a pretrained model on labelled sequences with an honest protocol.

The epoch is selected on validation data that is neither trained on nor reported; the test part is scored once.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from core.errors import UserError
from core.reporting.scores import write_scores
from core.saving import describe, load_strictly, resolve
from core.training.data import Microbatch
from core.training.freeze import freeze_unused
from core.training.job import Job, run_training
from core.training.loop import Step
from core.training.pretrained import data_of
from core.training.run import RunFolder
from core.training.selection import BestWeights, read_record
from mmbio.config import SequenceFinetuneRecipe, SequencePredictorConfig
from mmbio.data.labelled import LabelledTexts
from mmbio.data.sets import LabelledSequences, Task
from mmbio.data.sources import load
from mmbio.models import load_model
from mmbio.models.predictor import SequencePredictor
from mmbio.molecules.chemistry import randomise
from mmbio.prediction import Scores, prepare, score_part, selecting_score
from mmbio.takes import check_kind

LOOKED_AT = 4  # sequences that tell which parameters features depend on


def finetune(
    recipe: SequenceFinetuneRecipe,
    pretrained: str | Path,
    out: str | Path,
    resume: bool = False,
    scratch: bool = False,
    data: LabelledSequences | None = None,
) -> Scores:
    """Fine-tune, select on validation data, score the test part once; leaves a run folder with ``result.json`` and
    ``report.html``.

    Args:
        recipe: data, head, schedule.
        pretrained: run folder, saved model or hub id.
        out: the run folder.
        resume: go on with the run in ``out``.
        scratch: take the encoder's sizes only, not its weights: the control that says what pretraining brought.
        data: labelled data to take in place of what ``recipe.data`` names.

    Returns:
        Test scores by name as :func:`~mmbio.prediction.score_part` has them, and ``validation``, the score that selected
        the epoch.

    Raises:
        UserError: data without labels or that does not fit the model, or what training raises.
    """
    folder, source = RunFolder(out), resolve(pretrained)
    if data is None:
        recipe = dataclasses.replace(recipe, data=recipe.data or data_of(source))
        data = labelled(load(recipe.data), recipe.data)
    given = data

    def make(main: bool) -> Job:
        model = new_predictor(source, recipe, given, scratch)
        labels = standardise(model, given)
        respell = randomise if recipe.randomise else None
        train = LabelledTexts(given, given.train, model.reader, recipe.longest, labels, respell)
        if not recipe.freeze:
            freeze_unused(model, model.encoder, lambda: model.features(train.look(LOOKED_AT)))
        name, chosen = selecting_score(given), given.validation
        looked_at = prepare(model, [given.texts[i] for i in chosen])
        best = BestWeights(folder.state, model, lambda: score_part(model, given, chosen, looked_at)[name], name, main)
        said = {"pretrained": None if scratch else str(source), "data": describe_data(given, recipe.data)}
        counted = (model.reader.unit, lambda batch: model.reader.size(batch.sequences))
        return Job(
            model,
            train,
            supervised_step(given.task),
            said,
            best.after_epoch,
            best.restore,
            counted=counted,
            enough=lambda epoch: best.enough(epoch, recipe.patience),
        )

    config = {**dataclasses.asdict(recipe), "pretrained": str(source), "scratch": scratch}
    outcome = run_training(folder, config, resume, "", recipe, make)
    scores = score_part(outcome.job.model, given, given.test)
    scores.pop("negative_error", None)
    scores["validation"] = read_record(folder.state / "best.json")["score"]
    if outcome.main:
        write_scores(folder, f"{type(outcome.job.model).__name__}: {folder.path.resolve().name}", scores)
    return scores


def labelled(data: Any, source: str) -> LabelledSequences:
    """What a source word gave, which must have labels.

    Raises:
        UserError: it has none.
    """
    if not isinstance(data, LabelledSequences):
        raise UserError(
            f"{source}: has no labels; expected labelled sequences, `mmbio list --data` says what each layout is"
        )
    return data


def new_predictor(
    source: Path, recipe: SequenceFinetuneRecipe, data: LabelledSequences, scratch: bool
) -> SequencePredictor:
    """A predictor with a fresh head on a saved model's encoder, which has its weights or (scratch) fresh ones.

    Raises:
        UserError: no pretrained model, one of other data than these, texts that it cannot read, or other spellings for a model
            that reads none.
    """
    described = describe(source)
    if described["model"] == SequencePredictor.__name__:
        raise UserError(f"{source}: is fine-tuned already; expected a pretrained model")
    pretrained = load_model(source)
    check_kind(pretrained, data)
    if recipe.randomise and not pretrained.reader.spellings:
        raise UserError(
            f"randomise: {described['model']} reads {pretrained.reader.unit}, which have one spelling; expected a model of SMILES"
        )
    look = LabelledTexts(data, data.train[:1], pretrained.reader, recipe.longest).look(1)
    with torch.no_grad():
        width = (pretrained.encode(look) if data.task == "residues" else pretrained.embed(look)).shape[1]
    sizes = described["config"]
    if recipe.encoder_dropout is not None:
        if "dropout" not in sizes:
            raise UserError(f"{source}: encoder_dropout {recipe.encoder_dropout}: {described['model']} has no dropout")
        places = [name for name in ("dropout", "embedding_dropout") if name in sizes]
        sizes = {**sizes, **dict.fromkeys(places, recipe.encoder_dropout)}
    config = SequencePredictorConfig(
        described["model"],
        sizes,
        width,
        data.task,
        data.classes,
        recipe.hidden,
        recipe.dropout,
        recipe.freeze,
    )
    model = SequencePredictor(config)
    if not scratch:
        kept = {name: t for name, t in pretrained.state_dict().items() if not name.startswith("objectives.")}
        load_strictly(model.encoder, kept, str(source))
    return model


def standardise(model: SequencePredictor, data: LabelledSequences) -> NDArray | tuple[NDArray[np.integer], ...]:
    """Labels to train on: values with mean 0 and deviation 1 over the training part, which the model remembers; others as
    they are."""
    if data.task != "values":
        return data.labels
    values = np.asarray(data.labels, dtype=np.float64)
    train = values[data.train]
    if np.isnan(train).all(0).any():
        raise UserError(f"{data.name}: a column of labels without any in the training part")
    shift, scale = np.nanmean(train, 0), np.nanstd(train, 0)
    scale[scale < 1e-12] = 1.0
    model.shift.copy_(torch.from_numpy(shift))
    model.scale.copy_(torch.from_numpy(scale))
    return (values - shift) / scale


def supervised_step(task: Task) -> Step:
    """The training step of a task."""

    def step(wrapped: nn.Module, micro: Microbatch, seed: int) -> tuple[Tensor, dict[str, Tensor]]:
        return supervised_loss(wrapped(micro.batch.sequences), micro.batch.labels, task), {}

    return step


def supervised_loss(outputs: Tensor, labels: Tensor, task: Task) -> Tensor:
    """Cross-entropy of classes (those of residues that have one), squared error of standardised values, or binary
    cross-entropy; the mean over the labels that are there (not NaN).

    Shapes: outputs (N, K); labels (N,) classes, or (N, K).
    """
    outputs = outputs.float()
    if task in ("classes", "residues"):
        total = F.cross_entropy(outputs, labels, ignore_index=-1, reduction="sum")
        return total / (labels >= 0).sum().clamp(min=1)
    known = ~labels.isnan()
    labels = torch.where(known, labels, 0.0)
    if task == "values":
        errors = (outputs - labels).square()
    else:
        errors = F.binary_cross_entropy_with_logits(outputs, labels, reduction="none")
    return torch.where(known, errors, 0.0).sum() / known.sum().clamp(min=1)


def describe_data(data: LabelledSequences, source: str) -> dict[str, Any]:
    """What a run folder says of its data."""
    counts = {part: len(getattr(data, part)) for part in ("train", "validation", "test")}
    said: dict[str, Any] = {"source": source or data.name, "task": data.task, **counts}
    if data.skipped:
        said["skipped"] = list(data.skipped)
    return said
