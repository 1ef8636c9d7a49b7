"""Sets of molecules in one spelling."""

from __future__ import annotations

from dataclasses import replace

from core.errors import UserError
from mmbio.data.sets import SequenceSet
from mmbio.molecules.chemistry import canonical


def respelled(data: SequenceSet) -> SequenceSet:
    """The same molecules in the same order, each in rdkit's canonical spelling with stereo chemistry.

    For models that learn from other spellings at every sight: vocabulary and held-out part are then those of molecules, not
    of how a file spells them. Whether a text is canonical already only its canonical spelling tells, so all are respelled:
    about 0.2 ms a molecule, five minutes for MOSES.

    Raises:
        UserError: a text that is no molecule, naming the data and the molecule.
        ValueError: proteins.
        MissingPackage: rdkit is not installed.
    """
    if data.kind != "molecule":
        raise ValueError(f"{data.name}: {data.kind}s; expected molecules")
    texts = []
    for number, text in enumerate(data.texts):
        try:
            texts.append(canonical(text))
        except UserError as error:
            raise UserError(f"{data.name}, {data.called(number)}: {error}") from error
    return replace(data, texts=tuple(texts))
