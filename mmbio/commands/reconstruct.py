"""`mmbio reconstruct`."""

from __future__ import annotations

from core.cli.options import new_parser
from core.errors import UserError


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
    from mmbio.data.sources import LAYOUTS, load_texts
    from mmbio.models import load_model
    from mmbio.models.masked_lm import MaskedLM
    from mmbio.pictures import reconstruct_texts, write_reconstructions

    model = load_model(options.run)
    if not isinstance(model, MaskedLM):
        raise UserError(
            f"{options.run}: a {type(model).__name__} does not name hidden tokens; expected a language model"
        )
    texts: list[tuple[str, str]] = []
    for word in options.inputs:
        if word.split(":")[0] in LAYOUTS:
            data: SequenceSet = load_texts(word)
            texts += [(data.names[i] if data.names else f"{word}, {i}", text) for i, text in enumerate(data.texts)]
        else:
            texts.append((word if len(word) < 40 else f"{word[:36]}...", word))
    rows = reconstruct_texts(model, texts[: options.count], options.seed)
    for path in write_reconstructions(rows, options.out, f"What {options.run} makes of masked sequences"):
        print(path)
    hidden = [guess for _, row in rows for guess in row if guess.hidden]
    right = sum(guess.named == guess.token for guess in hidden)
    print(f"{len(rows)} sequences: {len(hidden)} hidden tokens, {right} told right")
