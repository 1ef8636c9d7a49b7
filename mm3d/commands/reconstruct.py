"""`mm3d reconstruct`."""

from __future__ import annotations

from core.cli.options import new_parser
from core.errors import UserError


def main(words: list[str]) -> None:
    """Input, what the network saw and what it made of that: a picture, and a page that turns; of a tokenizer its codes."""
    parser = new_parser(
        "mm3d reconstruct",
        "Show what a pretrained model makes of masked clouds or sweeps, or a tokenizer of whole ones.",
    )
    parser.add_argument("run", help="run folder, saved model or hub id")
    parser.add_argument("inputs", nargs="+", help="files, or folders of files")
    parser.add_argument("--out", default="reconstruction", help="name of the two files: OUT.png and OUT.html")
    parser.add_argument("--seed", type=int, default=0, help="seed of the masks")
    parser.add_argument(
        "--mask_ratio", type=float, default=None, help="share of what is hidden; the model's own where none is given"
    )
    parser.add_argument(
        "--on_error", default="stop", choices=["stop", "skip"], help="what a file that cannot be used does"
    )
    options = parser.parse_args(words)
    from mm3d.user_files import answers_of, tell_skipped

    try:
        looked = answers_of(options.run).look(
            options.run, options.inputs, options.out, options.seed, options.mask_ratio, options.on_error
        )
    except OSError as error:
        raise UserError(f"{options.out}: could not be written ({error.strerror or error})") from error
    tell_skipped(looked.skipped)
    print("\n".join(map(str, (*looked.tables, *looked.paths))))
