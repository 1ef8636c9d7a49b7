"""`mmbio embed`."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from core.cli.options import new_parser
from core.errors import UserError
from core.files import write_atomically

HELP = """Features of sequences, or of their residues, as an npz with ``embeddings`` (N, C), ``names`` (N,) and, for
residues, ``offsets`` (N + 1,): the residues of sequence i are rows offsets[i] to offsets[i + 1]."""


def main(words: list[str]) -> None:
    """Parse a run, inputs and options, and embed."""
    parser = new_parser("mmbio embed", " ".join(HELP.split()))
    parser.add_argument("run", help="run folder, saved model or hub id")
    parser.add_argument("inputs", nargs="+", help="FASTA files, or layout:path as in `mmbio list --data`")
    parser.add_argument("--out", "-o", type=str, default="embeddings.npz", help="npz to write")
    parser.add_argument("--residues", action="store_true", help="a row for every residue instead of every sequence")
    parser.add_argument("--device", type=str, default="auto", help="auto takes a GPU where there is one")
    given = parser.parse_args(words)
    embed(given.run, given.inputs, given.out, given.residues, given.device)


def embed(
    run: str, inputs: list[str], out: str = "embeddings.npz", residues: bool = False, device: str = "auto"
) -> None:
    """Write the features of all sequences of some inputs.

    Raises:
        UserError: inputs that cannot be read, data that the model does not read, or a file that cannot be written.
    """
    from core.devices import moved
    from mmbio.embedding import embed_residues, embed_sequences
    from mmbio.models import load_model

    if not Path(out).resolve().parent.is_dir():
        raise UserError(f"--out {out}: its folder does not exist")
    model = moved(load_model(run), device)
    texts, names, regions = read_inputs(inputs, model)
    arrays: dict[str, Any] = {"names": np.array(names, dtype=np.str_)}
    if residues:
        found = embed_residues(model, texts, regions=regions)
        arrays |= {"embeddings": np.asarray(found.x), "offsets": found.offsets}
    else:
        arrays["embeddings"] = embed_sequences(model, texts, regions=regions)
    content = io.BytesIO()
    np.savez(content, **arrays)
    try:
        write_atomically(Path(out), content.getvalue())
    except OSError as error:
        raise UserError(f"{out}: could not be written ({error.strerror or error})") from error
    print(f"{out}: {arrays['embeddings'].shape[0]} x {arrays['embeddings'].shape[1]}")


def read_inputs(inputs: list[str], model: Any) -> tuple[list[str], list[str], list[str]]:
    """Sequences, their names and their regions, of source words and of FASTA files.

    A sequence without a name has its number. Where none has regions there are none at all; else those without are in none.

    Raises:
        UserError: what cannot be read, is no set of sequences, or of another kind than the model reads.
    """
    from mmbio.data.sets import AntibodySet, LabelledSequences, SequenceSet
    from mmbio.data.sources import LAYOUTS, WITHOUT_PATH, load
    from mmbio.takes import check_kind

    texts: list[str] = []
    names: list[str] = []
    regions: list[str] = []
    for word in inputs:
        known = word in WITHOUT_PATH or (":" in word and word.split(":")[0] in LAYOUTS)
        data = load(word if known else f"fasta:{word}")
        if isinstance(data, AntibodySet):
            data = data.sequences
        if not isinstance(data, SequenceSet | LabelledSequences):
            raise UserError(f"{word}: no set of sequences; `mmbio list --data` says what each layout is")
        check_kind(model, data)
        names += data.names or [str(len(texts) + number) for number in range(len(data))]
        texts += data.texts
        known_regions = data.regions if isinstance(data, SequenceSet) else ()
        regions += known_regions or ["0" * len(text) for text in data.texts]
    return texts, names, regions if any(digits.strip("0") for digits in regions) else []
