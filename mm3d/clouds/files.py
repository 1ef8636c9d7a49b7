"""Models on clouds, for point files and meshes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from core.errors import UserError
from mm3d.config import Patching, PointsConfig
from mm3d.data.clouds import PointClouds, collect, pack
from mm3d.data.files import read_points
from mm3d.data.folder import point_files
from mm3d.data.samples import evaluation_batch
from mm3d.data.usable import usable
from mm3d.features import encode_clouds, load_encoder_on, points_config_of
from mm3d.models import load_model
from mm3d.pictures import plot_reconstruction, reconstruction_page
from mm3d.report import AXES, reconstructions
from mm3d.user_files import Embedded, Looked, OnError, check_ratio


def embed(run: str, words: Sequence[str], on_error: OnError, device: str) -> Embedded:
    """Features of clouds and meshes."""
    paths = input_files(words)
    (model, device), config = load_encoder_on(run, device), points_config_of(run)
    clouds = read_clouds(paths, config, model.patching, on_error)
    return Embedded(encode_clouds(model.encode, clouds, config, device=device), clouds.names, clouds.skipped)


def look(run: str, words: Sequence[str], out: str, seed: int, mask_ratio: float | None, on_error: OnError) -> Looked:
    """Input, what the network saw and what it made of that; of a tokenizer its codes."""
    paths = input_files(words)
    model, config = load_model(run), points_config_of(run)
    if not hasattr(model, "look"):
        raise UserError(
            f"{run}: a {type(model).__name__} does not reconstruct; expected a pretrained model or a tokenizer"
        )
    if mask_ratio is not None:
        check_ratio(mask_ratio)
        try:
            model.hide(mask_ratio)
        except UserError as error:
            raise UserError(f"--mask_ratio {mask_ratio}: {run}: {error}") from error
    clouds = read_clouds(paths, config, model.patching, on_error)
    rows = reconstructions(model, clouds, range(len(clouds)), config, seed)
    up = AXES[config.up_axis]
    picture = plot_reconstruction(rows, Path(f"{out}.png"), up=up)
    page = reconstruction_page(rows, Path(f"{out}.html"), up=up)
    points = evaluation_batch(clouds, range(len(clouds)), config).points
    more = [found.path for found in model.pictures(points, out, up)]
    return Looked((picture, page, *more), (), clouds.skipped)


def read_clouds(paths: Sequence[Path], config: PointsConfig, patches: Patching, on_error: OnError) -> PointClouds:
    """The user's files as clouds that patches can be made of.

    Raises:
        UserError: a file that cannot be used, or with "skip" none that can.
    """
    names = [str(path) for path in paths]
    where = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} others"
    points, kept, skipped = collect(where, names, lambda i: read_points(paths[i], config.count), on_error)
    clouds = pack(points, names=[names[i] for i in kept], skipped=skipped)
    return usable(clouds, patches.groups, patches.group_size, on_error)


def input_files(words: Sequence[str]) -> list[Path]:
    """The files that words of the command line name, folders searched through.

    Raises:
        UserError: a word that names nothing, or a folder without point files.
    """
    found = []
    for word in words:
        path = Path(word)
        inside = point_files(path) if path.is_dir() else [path]
        if not inside:
            raise UserError(f"{path}: no point files in this folder")
        found += inside
    return found
