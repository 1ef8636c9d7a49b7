"""Molecules with a model's predictions drawn on their atoms."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from core.errors import UserError
from core.files import write_atomically
from mmbio.molecules.chemistry import parse, rdkit_chem
from mmbio.molecules.smiles import split_atoms
from mmbio.pictures import Guess

ATOM = re.compile(r"\[.+\]|Br|Cl|[BCNOPSFIbcnops*]")
RIGHT, WRONG = (0.55, 0.85, 0.72), (0.96, 0.72, 0.55)


def atom_tokens(tokens: Sequence[str]) -> list[int]:
    """The places of those tokens of a SMILES string that are atoms; the n-th is the n-th atom of the molecule."""
    return [place for place, token in enumerate(tokens) if ATOM.fullmatch(token)]


def draw_molecules(rows: Sequence[list[Guess]], path: Path, size: int = 360) -> Path:
    """Draw molecules side by side: hidden atoms on green where the model named them, on orange with what it named where not.

    Bonds, branches and ring numbers that were hidden do not show.

    Raises:
        UserError: tokens that are no molecule, or a file that cannot be written.
    """
    rdkit_chem()
    from rdkit.Chem.Draw import rdMolDraw2D

    pictures = rdMolDraw2D.MolDraw2DCairo(size * len(rows), size, size, size)
    options = pictures.drawOptions()
    vars_of = {"annotationFontScale": 0.9, "padding": 0.03}
    for name, value in vars_of.items():
        setattr(options, name, value)  # whose types rdkit states wrongly
    molecules, marked, colours = [], [], []
    for row in rows:
        tokens = [guess.token for guess in row]
        molecule = parse("".join(tokens))
        places = atom_tokens(tokens)
        if len(places) != molecule.GetNumAtoms():
            raise UserError(
                f"{''.join(tokens)}: {len(places)} atoms in its tokens, {molecule.GetNumAtoms()} in rdkit's"
            )
        colour = {}
        for atom, place in enumerate(places):
            guess = row[place]
            if guess.hidden:
                colour[atom] = RIGHT if guess.named == guess.token else WRONG
                if guess.named != guess.token:
                    molecule.GetAtomWithIdx(atom).SetProp("atomNote", guess.named)
        molecules.append(molecule)
        marked.append(list(colour))
        colours.append(colour)
    pictures.DrawMolecules(
        molecules, highlightAtoms=marked, highlightAtomColors=colours, highlightBonds=[[]] * len(rows)
    )
    pictures.FinishDrawing()
    try:
        write_atomically(path, pictures.GetDrawingText())
    except OSError as error:
        raise UserError(f"{path}: could not be written ({error.strerror or error})") from error
    return path


def same_spelling(text: str) -> bool:
    """Whether a SMILES string's atoms stand in the order that rdkit reads them in, as many as its tokens say."""
    return len(atom_tokens(split_atoms(text))) == parse(text).GetNumAtoms()
