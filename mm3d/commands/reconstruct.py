"""`mm3d reconstruct`."""

from __future__ import annotations

import sys
from pathlib import Path

from core.cli.options import new_parser
from core.errors import UserError


def main(words: list[str]) -> None:
    """Input, what the network saw and what it made of that: a picture, and a page that turns; of a tokenizer its codes."""
    parser = new_parser(
        "mm3d reconstruct", "Show what a pretrained model makes of masked clouds, or a tokenizer of whole ones."
    )
    parser.add_argument("run", help="run folder, saved model or hub id")
    parser.add_argument("inputs", nargs="+", help="files, or folders of files")
    parser.add_argument("--out", default="reconstruction", help="name of the two files: OUT.png and OUT.html")
    parser.add_argument("--seed", type=int, default=0, help="seed of the masks")
    parser.add_argument(
        "--mask_ratio", type=float, default=None, help="share of hidden patches; the model's own where none is given"
    )
    parser.add_argument(
        "--on_error", default="stop", choices=["stop", "skip"], help="what a file that cannot be used does"
    )
    options = parser.parse_args(words)
    from mm3d.pillars.features import takes_pillars
    from mm3d.voxels.features import takes_sweeps

    if takes_pillars(options.run):
        from mm3d.commands.pillars import reconstruct_pillars

        return reconstruct_pillars(options)
    if takes_sweeps(options.run):
        from mm3d.commands.voxels import reconstruct_sweeps

        return reconstruct_sweeps(options)
    from mm3d.commands.embed import input_files, read_clouds
    from mm3d.data.samples import evaluation_batch
    from mm3d.features import points_config_of
    from mm3d.models import load_model
    from mm3d.pictures import plot_reconstruction, reconstruction_page
    from mm3d.report import AXES, reconstructions

    paths = input_files(options.inputs)
    model, config = load_model(options.run), points_config_of(options.run)
    if not hasattr(model, "look"):
        raise UserError(
            f"{options.run}: a {type(model).__name__} does not reconstruct; expected a pretrained model or a tokenizer"
        )
    if options.mask_ratio is not None:
        if not 0 < options.mask_ratio < 1:
            raise UserError(f"--mask_ratio {options.mask_ratio}: expected a share between 0 and 1")
        try:
            model.hide(options.mask_ratio)
        except UserError as error:
            raise UserError(f"--mask_ratio {options.mask_ratio}: {options.run}: {error}") from error
    clouds = read_clouds(paths, config, model.patching, options.on_error)
    rows = reconstructions(model, clouds, range(len(clouds)), config, options.seed)
    up = AXES[config.up_axis]
    try:
        picture = plot_reconstruction(rows, Path(f"{options.out}.png"), up=up)
        page = reconstruction_page(rows, Path(f"{options.out}.html"), up=up)
        points = evaluation_batch(clouds, range(len(clouds)), config).points
        more = [found.path for found in model.pictures(points, options.out, up)]
    except OSError as error:
        raise UserError(f"{options.out}: could not be written ({error.strerror or error})") from error
    for name, reason in clouds.skipped:
        print(f"skipped {name}: {reason.removeprefix(f'{name}: ')}", file=sys.stderr)
    print("\n".join(map(str, (picture, page, *more))))
