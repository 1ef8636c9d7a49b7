"""Proteins that an installation has without a download."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from core.errors import MissingPackage, UserError
from mmbio.data.fasta import fasta
from mmbio.data.sets import SequenceSet

FILE = "tests/data/seqs/938293.PRJEB85.HG003687.faa"


def genome() -> SequenceSet:
    """The 2,100 proteins predicted in one bacterial genome (680,484 residues), a test file of the package pyhmmer.

    Real and small: enough to see a language model learn, far too little for one that is of use.

    Raises:
        UserError: the package is not installed, or its version comes without the file.
    """
    try:
        folder = resources.files("pyhmmer")
    except ModuleNotFoundError as error:
        raise MissingPackage("pyhmmer", "bio", "the built-in genome") from error
    path = Path(str(folder)) / FILE
    if not path.is_file():
        raise UserError(f"{path}: this version of pyhmmer comes without it; pip install 'pyhmmer==0.12.3'")
    data = fasta(str(path))
    return SequenceSet("genome", data.kind, data.texts, data.names)
