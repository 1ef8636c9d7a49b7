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
residues, ``offsets`` (N + 1,): the residues of sequence i are rows offsets[i] to offsets[i + 1]. Of an alignment the features
are those of its query, a residue a column."""


def main(words: list[str]) -> None:
    """Parse a run, inputs and options, and embed."""
    parser = new_parser("mmbio embed", " ".join(HELP.split()))
    parser.add_argument("run", help="run folder, saved model or hub id")
    parser.add_argument("inputs", nargs="+", help="FASTA or a3m files, or layout:path as in `mmbio list --data`")
    parser.add_argument("--out", "-o", type=str, default="embeddings.npz", help="npz to write")
    parser.add_argument("--residues", action="store_true", help="a row for every residue instead of every sequence")
    parser.add_argument("--rows", type=int, default=None, help="rows of an alignment that are read (128)")
    parser.add_argument("--device", type=str, default="auto", help="auto takes a GPU where there is one")
    given = parser.parse_args(words)
    embed(given.run, given.inputs, given.out, given.residues, given.device, given.rows)


def embed(
    run: str,
    inputs: list[str],
    out: str = "embeddings.npz",
    residues: bool = False,
    device: str = "auto",
    rows: int | None = None,
) -> None:
    """Write the features of all sequences, or of the queries of all alignments, of some inputs.

    Raises:
        UserError: inputs that cannot be read, data that the model does not read, or a file that cannot be written.
    """
    from core.devices import moved
    from mmbio.models import load_model
    from mmbio.takes import takes

    if not Path(out).resolve().parent.is_dir():
        raise UserError(f"--out {out}: its folder does not exist")
    model = moved(load_model(run), device)
    if takes(model).kind == "alignment":
        arrays = _of_alignments(model, inputs, residues, rows)
    elif rows is not None:
        raise UserError(f"--rows {rows}: {type(model).__name__} reads no alignments")
    else:
        arrays = _of_sequences(model, inputs, residues)
    content = io.BytesIO()
    np.savez(content, **arrays)
    try:
        write_atomically(Path(out), content.getvalue())
    except OSError as error:
        raise UserError(f"{out}: could not be written ({error.strerror or error})") from error
    print(f"{out}: {arrays['embeddings'].shape[0]} x {arrays['embeddings'].shape[1]}")


def _of_sequences(model: Any, inputs: list[str], residues: bool) -> dict[str, Any]:
    from mmbio.embedding import embed_residues, embed_sequences

    texts, names, regions = read_inputs(inputs, model)
    arrays: dict[str, Any] = {"names": np.array(names, dtype=np.str_)}
    if residues:
        found = embed_residues(model, texts, regions=regions)
        return arrays | {"embeddings": np.asarray(found.x), "offsets": found.offsets}
    return arrays | {"embeddings": embed_sequences(model, texts, regions=regions)}


def _of_alignments(model: Any, inputs: list[str], residues: bool, rows: int | None) -> dict[str, Any]:
    from mmbio.alignment_features import embed_alignments
    from mmbio.takes import check_kind

    alignments = []
    for word in inputs:
        data = load_word(word, "msa")
        check_kind(model, data)
        alignments += list(data.alignments)
    found = embed_alignments(model, alignments, rows)
    names = [Path(each.name).name.removesuffix(".gz").removesuffix(".a3m") for each in alignments]
    arrays: dict[str, Any] = {"names": np.array(names, dtype=np.str_)}
    if residues:
        offsets = np.cumsum([0, *map(len, found)])
        return arrays | {"embeddings": np.concatenate(found).astype(np.float16), "offsets": offsets}
    return arrays | {"embeddings": np.stack([features.mean(0) for features in found])}


def load_word(word: str, layout: str) -> Any:
    """The data of a source word, or of a file in a given layout."""
    from mmbio.data.sources import load, names_data

    return load(word if names_data(word) else f"{layout}:{word}")


def read_inputs(inputs: list[str], model: Any) -> tuple[list[str], list[str], list[str]]:
    """Sequences, their names and their regions, of source words and of FASTA files.

    A sequence without a name has its number. Where none has regions there are none at all; else those without are in none.

    Raises:
        UserError: what cannot be read, is no set of sequences, or of another kind than the model reads.
    """
    from mmbio.data.sets import AntibodySet, LabelledSequences, SequenceSet
    from mmbio.takes import check_kind

    texts: list[str] = []
    names: list[str] = []
    regions: list[str] = []
    for word in inputs:
        data = load_word(word, "fasta")
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
