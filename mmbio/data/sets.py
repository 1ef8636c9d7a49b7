"""What is learned from: sequences, and sequences with labels."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core.errors import UserError

Kind = Literal["protein", "molecule"]
Task = Literal["classes", "values", "binary", "residues"]


@dataclass(frozen=True)
class SequenceSet:
    """Sequences without labels.

    Args:
        name: for messages.
        kind: what they are.
        texts: proteins as letters that :func:`~mmbio.proteins.alphabet.clean` gives, molecules as SMILES.
        names: one a sequence, or none at all.
        regions: for every sequence a string of digits, one a residue, 0 for no region; or none at all.
        held_out: indices of sequences that are not trained on and tell the perplexity; empty where none are set apart.
        skipped: records of the files that were left out, and why, a line each.
        apart: CDR-H3 loops of what is held out here or tested on; sequences of sets that are joined to this one are left
            out where they have one like these.
    """

    name: str
    kind: Kind
    texts: tuple[str, ...]
    names: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    held_out: tuple[int, ...] = ()
    skipped: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.texts:
            raise UserError(f"{self.name}: no sequences{because(self.skipped)}")
        for what in ("names", "regions"):
            found = getattr(self, what)
            if found and len(found) != len(self.texts):
                raise UserError(f"{self.name}: {len(found)} {what} for {len(self.texts)} sequences")

    def __len__(self) -> int:
        return len(self.texts)

    def called(self, number: int) -> str:
        """A sequence's name, or its number."""
        return self.names[number] if self.names else f"sequence {number}"


@dataclass(frozen=True)
class LabelledSequences:
    """Sequences with labels in three parts; :func:`without_leaks` makes sure that no text is in two.

    Args:
        texts, name, kind, names, skipped: as in :class:`SequenceSet`.
        task: ``classes``: a class each; ``values``: numbers, one a column of ``labels``; ``binary``: several yes-or-no
            questions, one a column; ``residues``: a class for every residue.
        labels: classes (N,) int64; values and binary (N, T) float64, NaN where missing; residues: a tuple of (L_i,) int64, -1
            for none.
        train, validation, test: indices, none in two parts; a sequence may be in none.
        classes: names of the classes, or of the columns of ``labels``.
    """

    name: str
    kind: Kind
    texts: tuple[str, ...]
    task: Task
    labels: NDArray | tuple[NDArray[np.integer], ...]
    train: NDArray[np.integer]
    validation: NDArray[np.integer]
    test: NDArray[np.integer]
    classes: tuple[str, ...]
    names: tuple[str, ...] = ()
    skipped: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        if not self.texts:
            raise UserError(f"{self.name}: no sequences{because(self.skipped)}")
        if len(self.labels) != len(self.texts):
            raise UserError(f"{self.name}: {len(self.labels)} labels for {len(self.texts)} sequences")
        parts = {part: getattr(self, part) for part in ("train", "validation", "test")}
        for part, indices in parts.items():
            if len(indices) == 0:
                raise UserError(f"{self.name}: no sequences in its {part} part{because(self.skipped)}")
            if indices.min() < 0 or indices.max() >= len(self.texts):
                raise UserError(f"{self.name}: its {part} part names sequences that are not there")
        every = np.concatenate(list(parts.values()))
        if len(np.unique(every)) < len(every):
            raise UserError(f"{self.name}: a sequence is in two of train, validation and test, or twice in one")
        if self.task == "residues":
            if self.kind != "protein":
                raise UserError(f"{self.name}: classes of residues of {self.kind}s; expected proteins")
            for number, (text, label) in enumerate(zip(self.texts, self.labels, strict=True)):
                if len(text) != len(label):
                    raise UserError(
                        f"{self.name}: {len(label)} labels for the {len(text)} residues of {self.called(number)}"
                    )
        elif self.task == "classes" and (self.labels < 0).any():  # type: ignore[operator]
            raise UserError(f"{self.name}: sequences without a class; leave them out")

    def __len__(self) -> int:
        return len(self.texts)

    def called(self, number: int) -> str:
        """A sequence's name, or its number."""
        return self.names[number] if self.names else f"sequence {number}"


@dataclass(frozen=True)
class AntibodySet:
    """Antibodies' chains with their loops as regions, in three parts.

    Args:
        sequences: with regions 1, 2, 3 for CDR 1 to 3, 0 for the framework and for what is not known.
        train, validation, test: indices, none in two parts.
    """

    sequences: SequenceSet
    train: NDArray[np.integer]
    validation: NDArray[np.integer]
    test: NDArray[np.integer]

    def __post_init__(self) -> None:
        if not self.sequences.regions:
            raise UserError(f"{self.sequences.name}: antibodies without regions")
        every = np.concatenate([self.train, self.validation, self.test])
        if len(np.unique(every)) < len(every):
            raise UserError(f"{self.sequences.name}: a sequence is in two of train, validation and test")
        if len(self.train) == 0:
            raise UserError(f"{self.sequences.name}: no sequences in its train part")

    def __len__(self) -> int:
        return len(self.sequences)

    def loop(self, number: int, region: str = "3") -> str:
        """The residues of a sequence that are in a region."""
        return loop_of(self.sequences.texts[number], self.sequences.regions[number], region)


def loop_of(text: str, regions: str, region: str = "3") -> str:
    """The residues that are in a region."""
    return "".join(letter for letter, number in zip(text, regions, strict=True) if number == region)


def because(skipped: tuple[str, ...]) -> str:
    """What was left out, as the end of a message that nothing is left; "" where nothing was."""
    return f"; {len(skipped)} records were left out, the first: {skipped[0]}" if skipped else ""


def without_leaks(data: LabelledSequences) -> LabelledSequences:
    """The same data, no text of which is in two parts: what is tested on is in no other part, what validates not in training.

    Sequences that are taken out of a part stay in ``texts``, in no part; a line of ``skipped`` says how many they are. Labels
    do not matter: the same sequence with another label is taken out too. Every set that is loaded by a source word
    (:func:`~mmbio.data.sources.load`) went through this.

    Raises:
        UserError: a part has no sequences left.
    """
    tested = {data.texts[i] for i in data.test}
    validation = np.array([i for i in data.validation if data.texts[i] not in tested], dtype=np.int64)
    later = tested.union(data.texts[i] for i in data.validation)
    train = np.array([i for i in data.train if data.texts[i] not in later], dtype=np.int64)
    lost = len(data.train) - len(train), len(data.validation) - len(validation)
    if not any(lost):
        return data
    said = f"{data.name}: {lost[0]} of train and {lost[1]} of validation, whose texts are in a later part"
    return replace(data, train=train, validation=validation, skipped=(*data.skipped, said))


def texts_of_test(data: SequenceSet | LabelledSequences | AntibodySet) -> set[str]:
    """The texts of the test part, which nothing may learn from; none of sequences without parts."""
    if isinstance(data, SequenceSet):
        return set()
    texts = data.sequences.texts if isinstance(data, AntibodySet) else data.texts
    return {texts[i] for i in data.test}


def trained_on(data: SequenceSet | LabelledSequences | AntibodySet) -> SequenceSet:
    """What a language model may learn from: all sequences, or the training part, with the validation part held out.

    No text of the test part is in it, and none of what is held out in the rest (:func:`without_leaks`).
    """
    if isinstance(data, SequenceSet):
        return data
    if isinstance(data, LabelledSequences):
        data = without_leaks(data)
    chosen = [*data.train.tolist(), *data.validation.tolist()]
    if isinstance(data, AntibodySet):
        some = data.sequences
        loops = {data.loop(i) for i in (*data.validation.tolist(), *data.test.tolist())} - {""}
        return SequenceSet(
            some.name,
            some.kind,
            tuple(some.texts[i] for i in chosen),
            tuple(some.names[i] for i in chosen) if some.names else (),
            tuple(some.regions[i] for i in chosen),
            tuple(range(len(data.train), len(chosen))),
            some.skipped,
            tuple(sorted(loops)),
        )
    names = tuple(data.names[i] for i in chosen) if data.names else ()
    held = tuple(range(len(data.train), len(chosen)))
    return SequenceSet(data.name, data.kind, tuple(data.texts[i] for i in chosen), names, (), held, data.skipped)
