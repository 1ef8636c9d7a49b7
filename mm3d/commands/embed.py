"""`mm3d embed`."""

from __future__ import annotations

import io
from pathlib import Path

from core.cli.options import new_parser
from core.errors import UserError
from core.files import write_atomically


def main(words: list[str]) -> None:
    """Features of files the user has, as an npz with arrays ``features`` (M, F) and ``files`` (M,)."""
    parser = new_parser("mm3d embed", "Features of clouds, meshes and sweeps, one row a file.")
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
    import numpy as np

    from mm3d.user_files import answers_of, tell_skipped

    if not Path(options.out).resolve().parent.is_dir():
        raise UserError(f"--out {options.out}: its folder does not exist")
    found = answers_of(options.run).embed(options.run, options.inputs, options.on_error, options.device)
    content = io.BytesIO()
    np.savez(content, features=found.features, files=np.array(found.names))
    try:
        write_atomically(Path(options.out), content.getvalue())
    except OSError as error:
        raise UserError(f"{options.out}: could not be written ({error.strerror or error})") from error
    tell_skipped(found.skipped)
    print(f"{options.out}: {found.features.shape[0]} x {found.features.shape[1]}")
