"""`mm3d probe`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from core.errors import UserError
from core.files import write_atomically
from core.reporting.tables import Table


def probe(
    run: str,
    data: str = "furniture",
    methods: tuple[Literal["linear_svm", "logistic", "knn"], ...] = ("linear_svm", "logistic", "knn"),
    seeds: int = 5,
    controls: bool = True,
    on_error: Literal["stop", "skip"] = "stop",
    device: str = "auto",
    out: str | None = None,
) -> None:
    """Probe frozen features: linear SVM, logistic regression and nearest neighbours, mean and std over seeds.

    Args:
        run: run folder, saved model or hub id.
        data: labelled data; probes are fitted on its train split and scored on its test split.
        methods: which probes.
        seeds: how many; they vary the validation split that chooses each probe's hyper-parameter.
        controls: also probe the same network untrained, and a hand-made descriptor.
        on_error: skip leaves out unreadable clouds; those of the test split count as wrong.
        device: where features are computed; auto takes a GPU where there is one.
        out: JSON file for the results; RUN/probe.json where none is given.
    """
    from mm3d.features import probe_model
    from mm3d.pillars.features import takes_pillars
    from mm3d.voxels.features import takes_sweeps

    if seeds < 1:
        raise UserError(f"--seeds {seeds}: expected at least 1")
    if out is not None and not Path(out).resolve().parent.is_dir():
        raise UserError(f"--out {out}: its folder does not exist")
    if takes_sweeps(run) or takes_pillars(run):
        from mm3d.commands.voxels import probe_sweeps

        return probe_sweeps(run, "street" if data == "furniture" else data, seeds, out)
    report = probe_model(run, data, methods, seeds, controls, on_error, device)
    rows = report.rows()
    print(f"{data}: accuracy on {report.test_size} test clouds, {seeds} seeds")
    for warning in report.warnings():
        print(f"note: {warning}")
    print(Table(("features", "probe", "accuracy", "chosen"), rows).text())
    target = Path(out) if out else Path(run) / "probe.json"
    if out is None and not target.parent.is_dir():  # a hub id has no folder of ours
        return
    content = [{"features": f, "probe": m, "mean": s.mean, "std": s.std, "chosen": c} for f, m, s, c in rows]
    about = {"data": data, "seeds": seeds, "test_clouds": report.test_size, "notes": report.warnings()}
    said = json.dumps({**about, "results": content, "skipped": report.skipped}, indent=2)
    try:
        write_atomically(target, said.encode())
    except OSError as error:
        raise UserError(f"{target}: could not be written ({error.strerror or error})") from error
