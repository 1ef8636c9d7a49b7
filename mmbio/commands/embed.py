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
are those of its query, a residue a column. With --contacts in place of features ``contacts``, of which offsets[i] to
offsets[i + 1] are the lengths[i] x lengths[i] chances of contact of the residues of sequence i, row by row."""


def main(words: list[str]) -> None:
    """Parse a run, inputs and options, and embed."""
    parser = new_parser("mmbio embed", " ".join(HELP.split()))
    parser.add_argument("run", help="run folder, saved model or hub id")
    parser.add_argument("inputs", nargs="+", help="FASTA or a3m files, or layout:path as in `mmbio list --data`")
    parser.add_argument("--out", "-o", type=str, default="embeddings.npz", help="npz to write")
    parser.add_argument("--residues", action="store_true", help="a row for every residue instead of every sequence")
    parser.add_argument("--contacts", action="store_true", help="chances of contact of residues instead of features")
    parser.add_argument("--rows", type=int, default=None, help="rows of an alignment that are read (128)")
    parser.add_argument("--device", type=str, default="auto", help="auto takes a GPU where there is one")
    given = parser.parse_args(words)
    embed(given.run, given.inputs, given.out, given.residues, given.device, given.rows, given.contacts)


def embed(
    run: str,
    inputs: list[str],
    out: str = "embeddings.npz",
    residues: bool = False,
    device: str = "auto",
    rows: int | None = None,
    contacts: bool = False,
) -> None:
    """Write the features of all sequences, or of the queries of all alignments, of some inputs, or their contacts.

    Raises:
        UserError: inputs that cannot be read, data that the model does not read, or a file that cannot be written.
    """
    from core.devices import moved
    from mmbio.models import load_model
    from mmbio.takes import takes

    if not Path(out).resolve().parent.is_dir():
        raise UserError(f"--out {out}: its folder does not exist")
    if residues and contacts:
        raise UserError("--residues, --contacts: features of residues or their contacts, not both in one file")
    model = moved(load_model(run), device)
    alignments = takes(model).kind == "alignment"
    if rows is not None and not alignments:
        raise UserError(f"--rows {rows}: {type(model).__name__} reads no alignments")
    if contacts:
        arrays = _contacts(model, run, inputs, rows)
    elif alignments:
        arrays = _of_alignments(model, inputs, residues, rows)
    else:
        arrays = _of_sequences(model, inputs, residues)
    content = io.BytesIO()
    np.savez(content, **arrays)
    try:
        write_atomically(Path(out), content.getvalue())
    except OSError as error:
        raise UserError(f"{out}: could not be written ({error.strerror or error})") from error
    if contacts:
        print(f"{out}: contacts of {len(arrays['names'])}")
    else:
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

    alignments, names = read_alignments(inputs, model)
    found = embed_alignments(model, alignments, rows)
    arrays: dict[str, Any] = {"names": np.array(names, dtype=np.str_)}
    if residues:
        offsets = np.cumsum([0, *map(len, found)])
        return arrays | {"embeddings": np.concatenate(found).astype(np.float16), "offsets": offsets}
    return arrays | {"embeddings": np.stack([features.mean(0) for features in found])}


def _contacts(model: Any, run: str, inputs: list[str], rows: int | None) -> dict[str, Any]:
    from mmbio.contacts import CONTACTS, ContactHead, contacts_of_alignments, contacts_of_sequences
    from mmbio.takes import check_maps, takes

    check_maps(model, "--contacts")
    if not (Path(run) / CONTACTS).is_file():
        raise UserError(
            f"{run}: no {CONTACTS} in it, the regression of contacts; `mmbio convert --contacts` writes that of published "
            "weights, `fit_contacts` of mmbio.contact_probe fits one"
        )
    head = ContactHead.load(run).to(next(model.parameters()).device)
    if takes(model).kind == "alignment":
        alignments, names = read_alignments(inputs, model)
        found = contacts_of_alignments(model, head, alignments, rows)
    else:
        texts, names, _ = read_inputs(inputs, model)
        found = contacts_of_sequences(model, head, texts)
    lengths = np.array([len(each) for each in found])
    return {
        "names": np.array(names, dtype=np.str_),
        "contacts": np.concatenate([each.ravel() for each in found]),
        "offsets": np.cumsum([0, *lengths**2]),
        "lengths": lengths,
    }


def read_alignments(inputs: list[str], model: Any) -> tuple[list[Any], list[str]]:
    """Alignments of source words and of a3m files, and their names.

    Raises:
        UserError: what cannot be read, or is no alignment.
    """
    from mmbio.takes import check_kind

    alignments = []
    for word in inputs:
        data = load_word(word, "msa")
        check_kind(model, data)
        alignments += list(data.alignments)
    return alignments, [Path(each.name).name.removesuffix(".gz").removesuffix(".a3m") for each in alignments]


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
