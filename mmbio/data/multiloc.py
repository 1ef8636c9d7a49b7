"""Proteins by where in the cell they are, in the layout of MultiLoc: a FASTA file for each location."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import UserError
from core.files import open_text
from mmbio.data.fasta import ENDINGS, fasta_files
from mmbio.data.named import Named
from mmbio.data.sets import LabelledSequences
from mmbio.data.splits import drawn
from mmbio.proteins.clusters import cluster
from mmbio.proteins.fasta import read_fasta, residues_of

SHORT = {
    "er": "ER",
    "ext": "extracellular",
    "gol": "Golgi",
    "lys": "lysosomal",
    "per": "peroxisomal",
    "pm": "plasma_membrane",
    "vac": "vacuolar",
}
"""How the files of MultiLoc2's independent set end (``animal_h30_er.fasta``), and the location meant."""

TEST, VALIDATION = 0.2, 0.125  # a fifth as in MultiLoc's five folds; an eighth of the rest: 70, 10 and 20 %


class Located:
    """Proteins of one folder with their locations.

    Args:
        folder: with a FASTA file for each location, and ``.cluster`` files with names of homologous proteins in a line.

    Raises:
        UserError: a bad record, or a name that stands for two sequences, with file and line.
    """

    def __init__(self, folder: Path) -> None:
        self.texts: list[str] = []
        self.names: list[str] = []
        self.places: list[str] = []
        self.skipped: list[str] = []
        known: dict[str, int] = {}
        numbers: dict[str, int] = {}
        names = Named([])  # what is there again is listed as an equal sequence, with its first location
        for file in fasta_files(folder):
            place = location(file)
            for record in read_fasta(file):
                where, text = f"{file}, line {record.line}", residues_of(record, file)
                name = record.name or f"{file.name}-line-{record.line}"
                names.is_new(name, text, where)
                numbers[name] = known.setdefault(text, len(self.texts))
                if numbers[name] < len(self.texts):
                    first = self.places[known[text]]
                    self.skipped.append(f"{where}: {name}: its sequence is there already, as {first}")
                    continue
                self.texts.append(text)
                self.names.append(name)
                self.places.append(place)
        self.links = _links(folder, numbers)


def location(file: Path) -> str:
    """The location that a file is of, by its name."""
    stem = file.name.removesuffix(".gz")
    stem = next((stem.removesuffix(end) for end in ENDINGS if stem.endswith(end)), stem)
    return SHORT.get(stem.rsplit("_", 1)[-1], stem) if "_h" in stem else stem


def multiloc(path: str) -> LabelledSequences:
    """Proteins by location: a folder with a FASTA file for each, such as MultiLoc's with 11.

    No cluster is in two parts: clusters are those of ``.cluster`` files where there are some (MultiLoc has none), and of
    shared words (:func:`~mmbio.proteins.clusters.cluster`). Of the clusters of each location, that of a cluster's first
    protein, 20 % go to the test part and 10 % to validation, the same for every run. Equal sequences count once.

    Raises:
        UserError: no FASTA files, a bad record, a name of two different sequences, fewer than two locations.

    Source: Hoeglund et al., "MultiLoc", Bioinformatics 2006; Blum et al., "MultiLoc2", BMC Bioinformatics 2009.
    """
    found = Located(Path(path))
    clusters = cluster(found.texts, found.links)
    parts = np.full(len(found.texts), "train", dtype="<U10")
    first = dict(zip(clusters[::-1], found.places[::-1], strict=True))
    home = np.array([first[number] for number in clusters])
    for place in sorted(set(found.places)):
        here = np.flatnonzero(home == place)
        for part, share, seed in (("test", TEST, 1), ("validation", VALIDATION, 2)):
            here = here[parts[here] == "train"]
            if len(here):
                parts[here[drawn(clusters[here].tolist(), share, seed)]] = part
    return _labelled(path, found.texts, found.names, found.places, parts, found.skipped)


def multiloc_independent(path: str) -> LabelledSequences:
    """The folder that MultiLoc is distributed as: ``multiloc`` trains and validates, ``multiloc2`` is the test part.

    Proteins of the first that are in a cluster with one of the second are left out. Errors and clusters as :func:`multiloc`.
    """
    learned, asked = (Located(Path(path) / name) for name in ("multiloc", "multiloc2"))
    count = len(learned.texts)
    links = [*learned.links, *((a + count, b + count) for a, b in asked.links)]
    clusters = cluster([*learned.texts, *asked.texts], links)
    alone = np.flatnonzero(~np.isin(clusters[:count], clusters[count:]))
    skipped = [*learned.skipped, *asked.skipped]
    skipped += [f"{learned.names[i]}: similar to one of the test part" for i in sorted({*range(count)} - {*alone})]
    parts = np.array(["train"] * len(alone) + ["test"] * len(asked.texts), dtype="<U10")
    parts[drawn(clusters[alone].tolist(), 0.1, 2)] = "validation"
    texts, names, places = (
        [getattr(learned, what)[i] for i in alone] + getattr(asked, what) for what in ("texts", "names", "places")
    )
    return _labelled(path, texts, names, places, parts, skipped)


def _labelled(
    path: str,
    texts: Sequence[str],
    names: Sequence[str],
    places: Sequence[str],
    parts: NDArray[np.str_],
    skipped: Sequence[str],
) -> LabelledSequences:
    classes = tuple(sorted(set(places)))
    if len(classes) < 2:
        raise UserError(f"{path}: one location; expected a FASTA file for each of several")
    labels = np.array([classes.index(place) for place in places], dtype=np.int64)
    train, validation, test = (np.flatnonzero(parts == part) for part in ("train", "validation", "test"))
    return LabelledSequences(
        path,
        "protein",
        tuple(texts),
        "classes",
        labels,
        train,
        validation,
        test,
        classes,
        tuple(names),
        tuple(skipped),
    )


def _links(folder: Path, numbers: dict[str, int]) -> list[tuple[int, int]]:
    """Pairs of proteins that stand in one line of a ``.cluster`` file."""
    found = []
    for file in sorted([*folder.glob("*.cluster"), *folder.glob("*.cluster.gz")]) if folder.is_dir() else []:
        for line in open_text(file).splitlines():
            members = [numbers[name] for name in line.split() if name in numbers]
            found += [(members[0], other) for other in members[1:]]
    return found
