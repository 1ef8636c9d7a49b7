"""`mmbio reconstruct`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.cli.options import new_parser
from core.errors import UserError

if TYPE_CHECKING:
    from mmbio.pictures import Row


def main(words: list[str]) -> None:
    """Sequences, what was hidden of them, and what the model puts in its place."""
    parser = new_parser("mmbio reconstruct", "Show what a pretrained language model makes of masked sequences.")
    parser.add_argument("run", help="run folder, saved model or hub id")
    parser.add_argument("inputs", nargs="+", help="sequences as they are, or source words such as fasta:proteins.fasta")
    parser.add_argument("--out", default="reconstruction", help="name of the two files: OUT.png and OUT.html")
    parser.add_argument("--seed", type=int, default=0, help="seed of the masks")
    parser.add_argument("--count", type=int, default=20, help="at most so many sequences")
    options = parser.parse_args(words)
    if options.count < 1:
        raise UserError(f"--count {options.count}: expected at least 1")
    from mmbio.data.sets import SequenceSet
    from mmbio.data.sources import load_texts, names_data
    from mmbio.models import load_model
    from mmbio.molecules.chemistry import parse
    from mmbio.pictures import reconstruct_texts, write_reconstructions
    from mmbio.proteins.alphabet import clean
    from mmbio.takes import check_names_hidden, takes

    model = load_model(options.run)
    check_names_hidden(model, options.run)
    kind = takes(model).kind
    if kind == "alignment":
        raise UserError(f"{options.run}: {type(model).__name__} reads alignments; expected a model of single sequences")
    read = parse if kind == "molecule" else clean
    sets: list[SequenceSet] = []
    for number, word in enumerate(options.inputs, 1):  # all are read before any is shown
        if names_data(word):
            sets.append(load_texts(word))
            continue
        try:
            read(word)
        except UserError as error:
            raise UserError(f"input {number}: {error}") from error
        called = word if len(word) < 40 else f"{word[:36]}..."
        sets.append(SequenceSet(called, kind, (word,), (called,)))
    rows: list[Row] = []
    for data in sets:
        left = options.count - len(rows)
        rows += reconstruct_texts(model, data, range(min(left, len(data))), options.seed, len(rows))
    for path in write_reconstructions(rows, options.out, f"What {options.run} makes of masked sequences"):
        print(path)
    hidden = [guess for _, row in rows for guess in row if guess.hidden]
    right = sum(guess.named == guess.token for guess in hidden)
    print(f"{len(rows)} sequences: {len(hidden)} hidden tokens, {right} told right")
