"""`mmbio probe`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.files import write_atomically


def probe(
    run: str,
    data: str | None = None,
    methods: str = "",
    controls: bool = True,
    epochs: int = 10,
    window: int = 1,
    device: str = "auto",
    out: str | None = None,
) -> None:
    """Score a pretrained model, mean and std over pretraining seeds, beside the untrained network and raw features.

    Classes: logistic regression, or a linear SVM or nearest neighbours. Values: ridge regression. Yes-or-no questions: a
    logistic regression each. Classes of residues: a linear layer. Sequences without labels: perplexity of hidden tokens.
    Structures: contacts from attention maps. Variants: rank correlation of what the model expects with measured effects.

    Args:
        run: run folder, or one with a folder seed-N for every pretraining seed.
        data: what to score on; where none is given what the run held out of its own data, or the test part if that has one.
        methods: for classes some of logistic,linear_svm,knn; logistic where none is given.
        controls: also score the same network untrained, and raw features.
        epochs: passes over the residues of the training part (classes of residues).
        window: an odd number; also score a linear layer that tells a residue by the features of so many around it.
        device: where features are computed; auto takes a GPU where there is one.
        out: JSON file for the results; RUN/probe.json where none is given.
    """
    from core.cli.options import split_words
    from core.devices import moved
    from core.training.pretrained import data_of, seed_folders
    from mmbio.config import ResidueProbeConfig
    from mmbio.data.sources import load
    from mmbio.held_out import as_taken, held_out_of
    from mmbio.models import load_model
    from mmbio.probing import ProbeSettings, probe_rows, probe_table

    if out is not None and not Path(out).resolve().parent.is_dir():
        raise UserError(f"--out {out}: its folder does not exist")
    if epochs < 1:
        raise UserError(f"--epochs {epochs}: expected at least 1")
    if window < 1 or window % 2 == 0:
        raise UserError(f"--window {window}: expected an odd number, 1 for the residue alone")
    folders = seed_folders(run)
    source = data or data_of(folders[0])
    given = as_taken(load(data), folders[0]) if data else held_out_of(folders[0])
    models = [moved(load_model(folder), device) for folder in folders]
    settings = ProbeSettings(
        controls, split_words(methods), ResidueProbeConfig(epochs=epochs, window=window), given.text, given.msa
    )
    rows = probe_rows(models, given.data, settings)
    print(f"{source}: {given.said}; {len(models)} pretraining seed(s)")
    print(probe_table(rows).text())
    found: list[dict[str, Any]] = [
        {
            "features": row.subject,
            "probe": row.probe,
            "scores": {name: {"mean": s.mean, "std": s.std, "seeds": s.count} for name, s in row.scores.items()},
        }
        for row in rows
    ]
    target = Path(out) if out else Path(run) / "probe.json"
    if out is None and not target.parent.is_dir():  # a hub id has no folder of ours
        return
    try:
        write_atomically(
            target, (json.dumps({"data": source, "scored": given.said, "rows": found}, indent=1) + "\n").encode()
        )
    except OSError as error:
        raise UserError(f"{target}: could not be written ({error.strerror or error})") from error
