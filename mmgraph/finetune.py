"""Fine-tuning of a pretrained model on classes of nodes or graphs with an honest protocol.

The epoch is selected on validation data that is neither trained on nor reported; the test part is scored once.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.config import from_dict
from core.errors import UserError
from core.evaluation.metrics import accuracy, mean_class_accuracy
from core.reporting.scores import write_scores
from core.saving import MODEL, describe, load_strictly, resolve
from core.training.data import Microbatch
from core.training.freeze import freeze_unused
from core.training.job import Job, run_training
from core.training.pretrained import data_of
from core.training.run import RunFolder
from core.training.selection import BestWeights, read_record
from mmgraph.config import GraphClassifierConfig, GraphFinetuneRecipe
from mmgraph.data.parts import Part, as_egos, labelled_parts
from mmgraph.data.sets import GraphSet, NodeSet
from mmgraph.data.sources import load
from mmgraph.models import load_model
from mmgraph.models.classifier import GraphClassifier
from mmgraph.models.gmae import GMAE
from mmgraph.training_data import all_graphs, describe_data

Scores = dict[str, float]
LOOKED_AT = 32  # graphs that tell which parameters embeddings depend on


def finetune(
    recipe: GraphFinetuneRecipe,
    pretrained: str | Path,
    out: str | Path,
    resume: bool = False,
    scratch: bool = False,
    data: NodeSet | GraphSet | None = None,
) -> Scores:
    """Fine-tune, select on validation data, score the test part once; leaves a run folder with ``result.json`` and
    ``report.html``.

    Args:
        recipe: task, data, schedule.
        pretrained: run folder, saved model or hub id.
        out: the run folder.
        resume: go on with the run in ``out``.
        scratch: take the encoder's sizes only, not its weights: the control that says what pretraining brought.
        data: labelled data to take in place of what ``recipe.data`` names.

    Returns:
        Test scores ``accuracy`` and ``mean_class_accuracy``, and ``validation``, the accuracy that selected the epoch.

    Raises:
        UserError: data that does not fit the task or the model, or what training raises.
    """
    folder, source = RunFolder(out), resolve(pretrained)
    recipe = dataclasses.replace(recipe, data=recipe.data or data_of(source)) if data is None else recipe
    given = load(recipe.data) if data is None else data
    where = recipe.data or given.name
    parts = labelled_parts(given, recipe.task, recipe.train.seed, where)
    described = describe(source)
    if described["model"] == GMAE.__name__:  # which reads nodes from ego-graphs
        parts = as_egos(parts, from_dict(GMAE.Config, described["config"], f"{source}/{MODEL}: config").neighbours)
    train, validation, test = parts

    def make(main: bool) -> Job:
        model = new_classifier(source, recipe, train, where, scratch)
        size = recipe.train.batch_size
        best = BestWeights(folder.state, model, lambda: evaluate(model, validation, size)["accuracy"], "accuracy", main)
        counts = {name: part.count for name, part in (("train", train), ("validation", validation), ("test", test))}
        said = {
            "pretrained": None if scratch else str(source),
            "data": {**describe_data(given, where)["data"], **counts},
        }
        return Job(model, train, supervised_step, said, best.after_epoch, best.restore)

    config = {**dataclasses.asdict(recipe), "pretrained": str(source), "scratch": scratch}
    outcome = run_training(folder, config, resume, "", recipe, make)
    scores = evaluate(outcome.job.model, test, recipe.train.batch_size)
    scores["validation"] = read_record(folder.state / "best.json")["score"]
    if outcome.main:
        write_scores(folder, f"{type(outcome.job.model).__name__}: {folder.path.resolve().name}", scores)
    return scores


def new_classifier(
    source: Path, recipe: GraphFinetuneRecipe, train: Part, where: str, scratch: bool
) -> GraphClassifier:
    """A classifier with a fresh head on a saved model's encoder, which has its weights or (scratch) fresh ones.

    Parameters that embeddings do not depend on (mask tokens, a teacher) are not trained.

    Raises:
        UserError: no pretrained model, or data that it does not take.
    """
    described = describe(source)
    if described["model"] == GraphClassifier.__name__:
        raise UserError(f"{source}: is fine-tuned already; expected a pretrained model")
    pretrained = load_model(source)
    pretrained.check(all_graphs(train.data), where)
    batch = next(train.batches(LOOKED_AT)).graphs
    with torch.no_grad():
        width = pretrained.encode(batch).shape[1]
    config = GraphClassifierConfig(
        described["model"], described["config"], width, recipe.task, train.classes, recipe.pool, recipe.dropout
    )
    model = GraphClassifier(config)
    if not scratch:
        kept = {name: t for name, t in pretrained.state_dict().items() if not name.startswith("objectives.")}
        load_strictly(model.encoder, kept, str(source))
    freeze_unused(model, model.encoder, lambda: model.encode(batch))
    return model


def supervised_step(wrapped: nn.Module, micro: Microbatch, seed: int) -> tuple[Tensor, dict[str, Tensor]]:
    """Cross-entropy of what has a label."""
    labels = micro.batch.labels
    logits = wrapped(micro.batch.graphs)
    loss = F.cross_entropy(logits.float(), labels, ignore_index=-1)
    right = (logits.argmax(-1) == labels)[labels >= 0].float().mean()
    return loss, {"train_accuracy": right.detach()}


@torch.no_grad()
def evaluate(model: nn.Module, part: Part, batch_size: int) -> Scores:
    """Accuracy, and accuracy within each class averaged, of a part; in evaluation mode."""
    model.eval()
    device = next(model.parameters()).device
    predicted, expected = [], []
    for batch in part.batches(batch_size):
        scored = batch.labels >= 0
        predicted.append(model(batch.graphs.to(device)).argmax(-1).cpu()[scored])
        expected.append(batch.labels[scored])
    pair = torch.cat(predicted).numpy(), torch.cat(expected).numpy()
    return {"accuracy": accuracy(*pair), "mean_class_accuracy": mean_class_accuracy(*pair)}
