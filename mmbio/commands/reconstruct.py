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
    from mmbio.data.sources import LAYOUTS, WITHOUT_PATH, load_texts
    from mmbio.models import load_model
    from mmbio.pictures import reconstruct_texts, write_reconstructions
    from mmbio.takes import check_names_hidden, takes

    model = load_model(options.run)
    check_names_hidden(model, options.run)
    kind = takes(model).kind
    if kind == "alignment":
        raise UserError(f"{options.run}: {type(model).__name__} reads alignments; expected a model of single sequences")
    rows: list[Row] = []
    for word in options.inputs:
        name = word.split(":")[0]
        if word in WITHOUT_PATH or (":" in word and name in LAYOUTS):
            data = load_texts(word)
        else:
            called = word if len(word) < 40 else f"{word[:36]}..."
            data = SequenceSet(called, kind, (word,), (called,))
        left = options.count - len(rows)
        rows += reconstruct_texts(model, data, range(min(left, len(data))), options.seed, len(rows))
    for path in write_reconstructions(rows, options.out, f"What {options.run} makes of masked sequences"):
        print(path)
    hidden = [guess for _, row in rows for guess in row if guess.hidden]
    right = sum(guess.named == guess.token for guess in hidden)
    print(f"{len(rows)} sequences: {len(hidden)} hidden tokens, {right} told right")
