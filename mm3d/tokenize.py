"""Training of tokenizers in 3D: from a recipe to a run folder."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from core.errors import UserError
from core.quantizers import usage
from core.reporting.tables import Table
from core.training.job import Job, Outcome, run_training, tokenizer_step
from core.training.run import RunFolder
from mm3d.config import PointDVAERecipe, PointsConfig
from mm3d.data.clouds import PointClouds
from mm3d.data.samples import UnlabelledPoints, evaluation_batch
from mm3d.data.sources import load
from mm3d.data.splits import train_val_split
from mm3d.data.usable import usable
from mm3d.looks import Picture
from mm3d.models.point_dvae import PointDVAE
from mm3d.ops import chamfer_l1
from mm3d.pretrain import describe_data
from mm3d.report import AXES, write_report


def tokenize(recipe: PointDVAERecipe, out: str | Path, resume: bool = False, header: str = "") -> Outcome:
    """Train a tokenizer by its recipe and leave a run folder.

    A share of the shapes is held out. After each epoch they say how far decoded points are from the real ones, and how much
    of the vocabulary is in use.

    Args:
        recipe: data, model, optimiser, length, devices.
        out: the run folder.
        resume: go on with the run in ``out``.
        header: first line of its config.yaml (the paper).

    Raises:
        UserError: bad data or settings, or a folder that holds another run.
    """
    folder = RunFolder(out)
    train, held_out = split(recipe)

    def make(main: bool) -> Job:
        model = PointDVAE(recipe.model)
        said = describe_data(train, recipe.data)
        said["data"]["held_out"] = len(held_out)
        return Job(
            model,
            UnlabelledPoints(train, recipe.points),
            tokenizer_step(model),
            said,
            after_epoch=lambda epochs: held_out_scores(model, held_out, recipe.points),
            after_step=model.after_step,
        )

    outcome = run_training(folder, dataclasses.asdict(recipe), resume, header, recipe, make)
    if outcome.wants_report(folder):
        tokenizer_report(folder, PointDVAE.from_pretrained(folder.path), held_out, recipe.points)
    return outcome


def split(recipe: PointDVAERecipe) -> tuple[PointClouds, PointClouds]:
    """Shapes to train on and shapes that are held out, at most ``held_out_most``: the same ones for the same seed.

    Raises:
        UserError: bad data, or too few shapes for two parts.
    """
    patches, on_error = recipe.model, recipe.points.on_error
    clouds = usable(load(recipe.data, "train", on_error), patches.groups, patches.group_size, on_error)
    kept, held = train_val_split(clouds.labels, recipe.held_out, recipe.train.seed)
    if len(held) == 0:
        raise UserError(f"{recipe.data}: {len(clouds)} shapes; expected at least 2, one of them to hold out")
    most = recipe.held_out_most
    if len(held) > most:
        held = np.sort(np.random.default_rng(recipe.train.seed).permutation(held)[:most])
    return clouds.subset(kept), clouds.subset(held)


@torch.no_grad()
def held_out_scores(
    model: PointDVAE, clouds: PointClouds, config: PointsConfig, batch_size: int = 32
) -> dict[str, float]:
    """Chamfer-L1 of decoded patches of shapes, and how many codes they use; the model is left in the mode it was in.

    Returns:
        ``held_out_chamfer`` (mean over patches, in units of the cloud), ``codes_used``, ``codes_share``, ``codes_perplexity``.
    """
    training = model.training
    model.eval()
    device = next(model.parameters()).device
    total, counts = 0.0, torch.zeros(model.codes, dtype=torch.int64)
    for start in range(0, len(clouds), batch_size):
        indices = range(start, min(start + batch_size, len(clouds)))
        batch = evaluation_batch(clouds, indices, config).points.to(device)
        made = model.reconstruct(batch)
        counts += torch.bincount(made.ids.flatten().cpu(), minlength=model.codes)
        total += float(chamfer_l1(made.decoded.flatten(0, 1), made.given.flatten(0, 1))) * len(batch)
    found = usage(counts)
    model.train(training)
    return {
        "held_out_chamfer": total / len(clouds),
        "codes_used": float(found.codes),
        "codes_share": found.share,
        "codes_perplexity": found.perplexity,
    }


def tokenizer_report(folder: RunFolder, model: PointDVAE, clouds: PointClouds, config: PointsConfig) -> Path:
    """Write ``report.html``: reconstructions, scores, curves, what codes look like and how often they occur."""
    scores = held_out_scores(model, clouds, config)
    rows = [
        ("Chamfer-L1 of decoded patches", scores["held_out_chamfer"]),
        ("codes in use", f"{scores['codes_used']:.0f} of {model.codes} ({scores['codes_share']:.1%})"),
        ("perplexity of the codes", scores["codes_perplexity"]),
    ]
    table = Table((f"{len(clouds)} held-out shapes", ""), rows)
    points: Tensor = evaluation_batch(clouds, range(len(clouds)), config).points
    pictures: list[Picture] = model.pictures(points, folder.path / "held-out", AXES[config.up_axis])
    return write_report(
        folder,
        model,
        clouds,
        config,
        tables=[("Shapes that were not trained on", table, "The likeliest code of each patch, decoded; no noise.")],
        pictures=pictures,
    )
