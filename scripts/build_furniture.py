"""Rebuilds the demo shapes mm3d/data/furniture.npz and their credits FURNITURE.md from the Debian package.

    apt-get download sweethome3d-furniture        # version 1.8-1, 120 MB
    python scripts/build_furniture.py sweethome3d-furniture_1.8-1_all.deb

The package holds five libraries of Sweet Home 3D (.sh3f: zip files of OBJ models and a catalogue). Each
model is turned as its catalogue says, sampled by area with a seed of its own, put into the unit sphere and
rounded to 1/2047. furniture_classes.csv beside this script says which item is of which of the 14 shape
classes. Models that are not under CC0 or CC-BY are left out and named.
"""

from __future__ import annotations

import argparse
import csv
import io
import re
import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mm3d.data.files import sample_surface
from mm3d.data.formats import read_obj
from mm3d.data.furniture import STEPS
from mm3d.data.splits import train_val_split

HERE = Path(__file__).parent
TARGET = HERE.parent / "mm3d" / "data"
NUM_POINTS = 1024
TEST_FRACTION = 0.25
SEED = 0

LICENCES = {  # of each library, by the package's copyright file; a model's own licence file goes before it
    "BlendSwap-CC-0": "CC0-1.0",
    "BlendSwap-CC-BY": "CC-BY-3.0",
    "KatorLegaz": "CC-BY-3.0-US",
    "Reallusion": "CC-BY-3.0-US",
    "Scopia": "CC-BY-3.0",
}
OWNERS = {
    "BlendSwap-CC-0": "contributors of blendswap.com, listed below; converted by Emmanuel Puybaret / eTeks",
    "BlendSwap-CC-BY": "contributors of blendswap.com, listed below; converted by Emmanuel Puybaret / eTeks",
    "KatorLegaz": "(C) 2003-2008 Andrew Kator & Jennifer Legaz",
    "Reallusion": "(C) 2008-2011 Reallusion, http://www.reallusion.com",
    "Scopia": "(C) 2006-2020 Scopia Visual Interfaces Systems, s.l., http://www.scopia.es, "
    "and for some models Emmanuel Puybaret / eTeks",
}
URLS = {
    "CC0-1.0": "https://creativecommons.org/publicdomain/zero/1.0/",
    "CC-BY-3.0": "https://creativecommons.org/licenses/by/3.0/",
    "CC-BY-3.0-US": "https://creativecommons.org/licenses/by/3.0/us/",
}


@dataclass
class Item:
    key: str  # "Scopia/bathroom3"
    library: str
    name: str
    creator: str
    licence: str  # "" if it is not one that we may ship
    points: np.ndarray  # (NUM_POINTS, 3) in the unit sphere


def libraries(package: Path) -> Iterator[tuple[str, zipfile.ZipFile]]:
    """The .sh3f files in a .deb (an ar archive whose member data.tar.* is the file tree)."""
    data = package.read_bytes()
    if not data.startswith(b"!<arch>\n"):
        raise SystemExit(f"{package}: not a Debian package")
    position = 8
    while position + 60 <= len(data):
        name, size = (
            data[position : position + 16].decode().strip().rstrip("/"),
            int(data[position + 48 : position + 58]),
        )
        if name.startswith("data.tar"):
            with tarfile.open(fileobj=io.BytesIO(data[position + 60 : position + 60 + size])) as tree:
                for member in sorted(tree.getmembers(), key=lambda m: m.name):
                    file = tree.extractfile(member) if member.name.endswith(".sh3f") else None
                    if file is not None:
                        yield Path(member.name).stem, zipfile.ZipFile(io.BytesIO(file.read()))
        position += 60 + size + size % 2


def catalogue(library: zipfile.ZipFile) -> list[dict[str, str]]:
    """A library's catalogue, in its order: lines like name#1=Armchair -> {"name": "Armchair", ...}."""
    text = library.read("PluginFurnitureCatalog.properties").decode("latin-1")
    entries: dict[int, dict[str, str]] = {}
    for key, number, value in re.findall(r"^(\w+)#(\d+)=(.*?)\r?$", text, re.MULTILINE):
        value = re.sub(r"\\u([0-9a-fA-F]{4})", lambda m: chr(int(m[1], 16)), value)
        entries.setdefault(int(number), {})[key] = value.strip()
    return [entries[number] for number in sorted(entries) if "model" in entries[number]]


def licence_of(name: str, library: zipfile.ZipFile, model: str) -> str:
    """Licence of a model: by the file beside it, else the library's; "" for anything but CC0 and CC-BY."""
    folder = model.rsplit("/", 1)[0] + "/"
    own = [n for n in library.namelist() if n.startswith(folder) and "licen" in n.rsplit("/", 1)[1].lower()]
    if not own:
        return LICENCES.get(name, "")
    text = " ".join(re.sub(r"<[^>]*>", " ", " ".join(library.read(n).decode("utf-8", "replace") for n in own)).split())
    if re.search(r"(?i)non-?commercial|share-?alike|no-?deriv|general public licen|\bGPL\b|free art licen", text):
        return ""
    if re.search(r"(?i)creative commons attribution|\bcc-by\b(?! texture)", text):
        return "CC-BY-3.0"
    return "CC0-1.0" if re.search(r"(?i)creative commons zero|\bcc-?0\b", text) else ""


def read_item(name: str, library: zipfile.ZipFile, entry: dict[str, str]) -> Item:
    model = entry["model"].lstrip("/")
    vertices, faces = read_obj(library.read(model))
    if faces is None:
        raise SystemExit(f"{name}: {model} has no faces")
    if "modelRotation" in entry:
        vertices = vertices @ np.array(entry["modelRotation"].split(), dtype=np.float64).reshape(3, 3).T
    key = f"{name}/{Path(model).parent.name}"
    points = sample_surface(vertices, faces, NUM_POINTS, np.random.default_rng([SEED, *key.encode()]))
    points -= points.mean(axis=0)
    points /= np.linalg.norm(points, axis=1).max()
    return Item(key, name, entry["name"], entry["creator"], licence_of(name, library, model), points)


def credits(items: list[Item], excluded: list[Item], classes: list[str], labels: np.ndarray, split: np.ndarray) -> str:
    lines = [
        "# Furniture: the shapes that mm-beyond brings along",
        "",
        f"`furniture.npz` holds {len(items)} shapes of {NUM_POINTS} points. It and this page are written by",
        "`scripts/build_furniture.py` from the furniture libraries of Sweet Home 3D",
        "(Debian package sweethome3d-furniture 1.8-1).",
        "",
        "**What was changed:** of each 3D model only points on its surface are kept, drawn at random by",
        "area, moved to the origin, scaled into the unit sphere and rounded to 1/2047. Colours, textures and",
        "faces are gone.",
        "",
        "## Licences",
        "",
        "| library | models | authors | licence |",
        "|---|---|---|---|",
    ]
    for library in LICENCES:
        mine = Counter(item.licence for item in items if item.library == library)
        terms = "; ".join(f"[{licence}]({URLS[licence]}) {count}" for licence, count in mine.most_common())
        lines.append(f"| {library} | {mine.total()} | {OWNERS[library]} | {terms} |")
    lines += ["", "A model's own licence file, where it has one, goes before the library's.", ""]
    gone = ", ".join(f"{i.key} ({i.name})" for i in excluded)
    lines += [
        f"Left out, being neither CC0 nor CC-BY: {gone or 'nothing; every model is one or the other'}.",
        "",
    ]
    lines += ["## Classes", "", "| class | train | test |", "|---|---|---|"]
    for index, name in enumerate(classes):
        mine_in = [int(((labels == index) & (split == s)).sum()) for s in (0, 1)]
        lines.append(f"| {name} | {mine_in[0]} | {mine_in[1]} |")
    lines += [f"| (no class, for pretraining only) | {int((labels < 0).sum())} | 0 |", ""]
    lines += ["## Authors of the Blend Swap models", "", "| author | licence | models |", "|---|---|---|"]
    groups: dict[tuple[str, str], list[str]] = {}
    for item in items:
        if item.library.startswith("BlendSwap"):
            groups.setdefault((item.creator, item.licence), []).append(f"{item.name} ({item.key.split('/')[1]})")
    for (creator, licence), names in sorted(groups.items(), key=lambda g: (g[0][0].lower(), g[0][1])):
        lines.append(f"| {creator} | {licence} | {', '.join(names)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path, help="sweethome3d-furniture_1.8-1_all.deb")
    parser.add_argument("--out", type=Path, default=TARGET, help="folder for furniture.npz and FURNITURE.md")
    arguments = parser.parse_args()
    everything = [
        read_item(name, library, entry)
        for name, library in libraries(arguments.package)
        for entry in catalogue(library)
    ]
    items = [item for item in everything if item.licence]
    excluded = [item for item in everything if not item.licence]
    with open(HERE / "furniture_classes.csv", newline="", encoding="utf-8") as file:
        class_of = {row["item"]: row["class"] for row in csv.DictReader(file)}
    unknown = set(class_of) - {item.key for item in items}
    if unknown:
        raise SystemExit(f"furniture_classes.csv names items that the package has not: {sorted(unknown)[:5]}")
    classes = sorted(set(class_of.values()))
    labels = np.array([classes.index(class_of[i.key]) if i.key in class_of else -1 for i in items], np.int64)
    labelled = np.flatnonzero(labels >= 0)
    split = np.zeros(len(items), np.int8)
    split[labelled[train_val_split(labels[labelled], TEST_FRACTION, SEED)[1]]] = 1
    steps = np.rint(np.stack([item.points for item in items]) * STEPS).astype("<i2")
    np.savez_compressed(
        arguments.out / "furniture.npz",
        low=(steps & 0xFF).astype(np.uint8),  # two byte planes compress a tenth better than int16
        high=(steps >> 8).astype(np.int8),
        label=labels.astype(np.int8),
        classes=np.array(classes),
        split=split,
        name=np.array([item.name for item in items]),
        item=np.array([item.key for item in items]),
        creator=np.array([item.creator for item in items]),
        licence=np.array([item.licence for item in items]),
    )
    (arguments.out / "FURNITURE.md").write_text(credits(items, excluded, classes, labels, split), encoding="utf-8")
    size = (arguments.out / "furniture.npz").stat().st_size
    print(
        f"{len(items)} shapes, {len(labelled)} in {len(classes)} classes, {len(excluded)} excluded, {size / 1e6:.2f} MB"
    )


if __name__ == "__main__":
    main()
