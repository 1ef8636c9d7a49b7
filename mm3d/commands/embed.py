"""`mm3d embed`."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from core.cli.options import new_parser
from core.errors import UserError
from core.files import write_atomically
from mm3d.config import Patching, PointsConfig

if TYPE_CHECKING:
    from mm3d.data.clouds import PointClouds


def main(words: list[str]) -> None:
    """Features of files the user has, as an npz with arrays ``features`` (M, F) and ``files`` (M,)."""
    parser = new_parser("mm3d embed", "Features of clouds and meshes, one row a file.")
    parser.add_argument("run", help="run folder, saved model or hub id")
    parser.add_argument("inputs", nargs="+", help="files, or folders of files")
    parser.add_argument("-o", "--out", default="features.npz", help="npz to write: features (M, F), files (M,)")
    parser.add_argument(
        "--on_error", default="stop", choices=["stop", "skip"], help="what a file that cannot be used does"
    )
    parser.add_argument(
        "--device", default="auto", help="where features are computed; auto takes a GPU where there is one"
    )
    options = parser.parse_args(words)
    from mm3d.pillars.features import takes_pillars
    from mm3d.voxels.features import takes_sweeps

    if takes_pillars(options.run):
        from mm3d.commands.pillars import embed_pillars

        return embed_pillars(options)
    if takes_sweeps(options.run):
        from mm3d.commands.voxels import embed_sweeps

        return embed_sweeps(options)
    from mm3d.features import encode_clouds, load_encoder_on, points_config_of

    if not Path(options.out).resolve().parent.is_dir():
        raise UserError(f"--out {options.out}: its folder does not exist")
    paths = input_files(options.inputs)
    (model, device), config = load_encoder_on(options.run, options.device), points_config_of(options.run)
    clouds = read_clouds(paths, config, model.patching, options.on_error)
    features = encode_clouds(model.encode, clouds, config, device=device)
    content = io.BytesIO()
    np.savez(content, features=features, files=np.array(clouds.names))
    try:
        write_atomically(Path(options.out), content.getvalue())
    except OSError as error:
        raise UserError(f"{options.out}: could not be written ({error.strerror or error})") from error
    for name, reason in clouds.skipped:
        print(f"skipped {name}: {reason.removeprefix(f'{name}: ')}")
    print(f"{options.out}: {features.shape[0]} x {features.shape[1]}")


def read_clouds(
    paths: list[Path], config: PointsConfig, patches: Patching, on_error: Literal["stop", "skip"]
) -> PointClouds:
    """The user's files as clouds that patches can be made of.

    Raises:
        UserError: a file that cannot be used, or with "skip" none that can.
    """
    from mm3d.data.clouds import collect, pack
    from mm3d.data.files import read_points
    from mm3d.data.usable import usable

    names = [str(path) for path in paths]
    where = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} others"
    points, kept, skipped = collect(where, names, lambda i: read_points(paths[i], config.count), on_error)
    clouds = pack(points, names=[names[i] for i in kept], skipped=skipped)
    return usable(clouds, patches.groups, patches.group_size, on_error)


def input_files(words: list[str]) -> list[Path]:
    """The files that words of the command line name, folders searched through.

    Raises:
        UserError: a word that names nothing, or a folder without point files.
    """
    from mm3d.data.folder import point_files

    found = []
    for word in words:
        path = Path(word)
        inside = point_files(path) if path.is_dir() else [path]
        if not inside:
            raise UserError(f"{path}: no point files in this folder")
        found += inside
    return found
