"""`mmbio demo`: all of it, small, on built-in data."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.errors import Interrupted, UserError

Say = Callable[[str], None]


def demo(out: str = "runs/demo_bio", seed: int = 0, seeds: int = 1) -> None:
    """Pretrain a small SMILES-BERT on rdkit's molecules and a small ESM-2 on a genome's proteins, and write one report.

    Args:
        out: folder for everything it makes; what an earlier demo left there is continued.
        seed: the first seed of weights, order and masks.
        seeds: how many pretrainings of the SMILES-BERT.
    """
    if seed < 0:
        raise UserError(f"--seed {seed}: expected at least 0")
    if seeds < 1:
        raise UserError(f"--seeds {seeds}: expected at least 1")
    begin = time.monotonic()

    def say(what: str) -> None:
        print(f"[{time.monotonic() - begin:4.0f} s] {what}", flush=True)

    try:
        _demo(Path(out), range(seed, seed + seeds), say)
    except Interrupted as stopped:
        raise Interrupted(f"{stopped}. Go on with: mmbio demo --out {out} --seed {seed} --seeds {seeds}") from stopped


def _demo(base: Path, seeds: range, say: Say) -> None:
    from core.reporting.page import Page
    from core.training.run import RunFolder
    from mmbio.data.sources import load
    from mmbio.report import add_predictions, add_training, plot_values

    labelled, proteins = load("nci_properties"), load("genome")  # what is missing is said before anything is trained
    page = Page("mm-beyond: molecules and proteins, small")

    runs, models = _pretrained("demo_molecules", base / "molecules", seeds, say)
    table = _property_probes(models, labelled)
    say(
        f"properties of molecules from frozen features, ridge regression, {len(labelled.test)} molecules\n{table.text()}"
    )
    page.add_heading("Molecules: do features hold their properties?")
    page.add_table(
        table,
        f"Spearman correlation on {len(labelled.test)} molecules of other scaffolds; mean and std over {len(seeds)} seed(s) "
        "of weights and masks. Untrained is the same network with fresh weights. The properties are computed by rdkit, not "
        "measured.",
    )
    page.add_heading("Molecules: features in the plane")
    page.add_image(
        plot_values(models[0], labelled, base / "embedding.png"),
        "Each point is a molecule, coloured by the quarter of its logP; the network was told no property.",
    )
    page.add_heading("Molecules: predictions")
    page.add_image(_molecules(models[0], labelled, base / "molecules.png"), _COLOURS)
    add_training(page, RunFolder(runs[0]))
    add_predictions(page, RunFolder(runs[0]), models[0], *_shown(models[0], labelled))

    (run,), (model,) = _pretrained("demo_proteins", base / "proteins", range(seeds[0], seeds[0] + 1), say)
    page.add_heading("Proteins of one bacterium")
    add_training(page, RunFolder(run))
    add_predictions(page, RunFolder(run), model, *_shown(model, proteins))
    report = page.write(base / "report.html")
    say(f"done. Look at {report} and {base / 'molecules.png'}")


_COLOURS = (
    "Hidden atoms: on green where the network named them, on orange with what it named where not. Molecules that it was not "
    "trained on."
)


def _pretrained(name: str, base: Path, seeds: range, say: Say) -> tuple[list[Path], list[Any]]:
    from core.cli.recipes import build_recipe, find_recipe, kind_of
    from core.files import read_metrics
    from core.training.config import with_seed
    from mmbio.config import RECIPES
    from mmbio.models import load_model
    from mmbio.pretrain import pretrain

    found = find_recipe("mmbio", name)
    recipe = build_recipe(found, kind_of(found, RECIPES))
    say(f"pretraining: {found.paper}")
    runs = []
    for seed in seeds:
        run = base / f"seed-{seed}"
        result = pretrain(with_seed(recipe, seed), run, resume=True, header="demo").result
        scores = [row for row in read_metrics(run / "metrics.jsonl") if "held_out_perplexity" in row]
        said = f"; perplexity of hidden tokens {scores[-1]['held_out_perplexity']:.2f}" if scores else ""
        say(f"pretrained{'' if result.steps_now else ' before'}: seed {seed}, {result.steps} steps{said}")
        runs.append(run)
    return runs, [load_model(run) for run in runs]


def _property_probes(models: list[Any], labelled: Any) -> Any:
    """Spearman of each property from features of the pretrained and the untrained network, token counts and fingerprints."""
    import dataclasses

    from core.reporting.tables import Table
    from mmbio.probing import probe_rows

    columns = []
    for place in range(len(labelled.classes)):
        one = dataclasses.replace(
            labelled, labels=labelled.labels[:, place : place + 1], classes=labelled.classes[place : place + 1]
        )
        columns.append({row.subject: row.scores["Spearman"] for row in probe_rows(models, one)})
    rows = [(subject, *(column[subject] for column in columns)) for subject in columns[0]]
    return Table(("features", *labelled.classes), rows)


def _shown(model: Any, data: Any) -> tuple[Any, str]:
    """What a model was not trained on, as it takes it, and what to call it."""
    from mmbio.config import TextConfig
    from mmbio.data.sets import trained_on
    from mmbio.data.tokens import split_held_out
    from mmbio.texts import samples_of

    texts = trained_on(data)
    shown = samples_of(model, texts, split_held_out(texts, TextConfig())[1], 256)
    return shown, f"{len(shown)} sequences that were not trained on"


def _molecules(model: Any, labelled: Any, path: Path) -> Path:
    from mmbio.data.sets import SequenceSet
    from mmbio.molecules.drawing import draw_molecules
    from mmbio.pictures import reconstruct_texts

    middle = tuple([text for text in (labelled.texts[i] for i in labelled.test) if 12 <= len(text) <= 40][:3])
    rows = reconstruct_texts(model, SequenceSet(labelled.name, "molecule", middle, middle), range(len(middle)), seed=0)
    return draw_molecules([row for _, row in rows], path)
