"""Built-in molecules with labels."""

from __future__ import annotations

from mmbio.data.sets import LabelledSequences, without_leaks
from mmbio.data.smiles import nci
from mmbio.molecules.chemistry import canonical
from mmbio.molecules.properties import PROPERTIES, properties
from mmbio.molecules.scaffold import scaffold_groups, scaffold_split


def nci_properties() -> LabelledSequences:
    """rdkit's 5,000 molecules, canonical, with properties that rdkit computes from their structure; scaffold split 8:1:1.

    Labels that a program computes show whether features hold them; how well features predict what is measured they do not.

    Raises:
        MissingPackage: rdkit is not installed.
    """
    data = nci()
    texts = tuple(canonical(text) for text in data.texts)
    split = scaffold_split(scaffold_groups(texts))
    return without_leaks(
        LabelledSequences(
            "nci_properties",
            "molecule",
            texts,
            "values",
            properties(texts),
            split.train,
            split.validation,
            split.test,
            PROPERTIES,
            data.names,
            data.skipped,
        )
    )
