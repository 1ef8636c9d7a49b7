"""The commands of mm3d for models on LiDAR sweeps."""

from __future__ import annotations

from pathlib import Path

from core.errors import UserError
from core.files import write_atomically


def probe_sweeps(run: str, data: str, seeds: int, out: str | None) -> None:
    """`mm3d probe` of a model on sweeps: the class of single voxels or pillars from frozen features, beside two controls."""
    import json

    from core.reporting.tables import Table
    from mm3d.data.labelled_sweeps import labelled_sweeps
    from mm3d.models import load_model
    from mm3d.pillars.cells import pillar_cells
    from mm3d.pillars.features import pillars_config_of, takes_pillars
    from mm3d.voxels.cells import voxel_cells
    from mm3d.voxels.features import sweeps_config_of
    from mm3d.voxels.probe import SPLIT_BY_SWEEP, cell_set, probe_cells

    model, cell = load_model(run), "pillar" if takes_pillars(run) else "voxel"
    config = pillars_config_of(run) if cell == "pillar" else sweeps_config_of(run)
    cut = pillar_cells if cell == "pillar" else voxel_cells
    sweeps, classes = labelled_sweeps(data, config)
    found = cell_set(sweeps, lambda points: cut(points, config, model.config.encoder))
    rows = probe_cells(model, found, seeds)
    how = "the last quarter of the sweeps" if len(sweeps) >= SPLIT_BY_SWEEP else "every fourth sector: a smoke test"
    held = len(found.joined(True))
    print(f"{data}: {len(classes)} classes, {held:,} held-out {cell}s of {len(sweeps)} sweeps ({how}), {seeds} seeds")
    print(Table((f"features of a {cell}", "accuracy", "mean IoU"), rows).text())
    target = Path(out) if out else Path(run) / "probe.json"
    if out is None and not target.parent.is_dir():
        return
    scores = [{"features": name, "accuracy": a.mean, "miou": m.mean, "miou_std": m.std} for name, a, m in rows]
    said = {"data": data, "held_out": how, f"{cell}s": held, "seeds": seeds, "results": scores}
    try:
        write_atomically(target, json.dumps(said, indent=2).encode())
    except OSError as error:
        raise UserError(f"{target}: could not be written ({error.strerror or error})") from error
