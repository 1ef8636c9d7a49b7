"""Every command with every system and every kind of data: it works, or one line says why not."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_antibodies import random_antibodies, write_antibodies
from tiny_mmbio import OPTIONS, command, random_proteins, write_fasta, write_labelled
from tiny_msas import random_rows, write_a3m

from core.errors import UserError
from mmbio.config import MoleBertTokenizerConfig, SequencePredictorConfig
from mmbio.data.sources import load
from mmbio.models import classes, load_model, new_model
from mmbio.models.predictor import SequencePredictor
from mmbio.probing import evaluation_of
from mmbio.takes import takes

SMALL = {
    "dim": 16,
    "depth": 1,
    "heads": 2,
    "hidden": 16,
    "positions": 160,
    "codes": (4, 2, 2, 2),
    "tokenizer": MoleBertTokenizerConfig(dim=16, depth=1, codes=(4, 2, 2, 2)),
}
SYSTEMS = {kind.__name__: kind for kind in classes() if kind is not SequencePredictor}
ALIGNMENTS, CONTRAST = {"MSATransformer"}, {"CPCProt"}
GRAPHS = {"MoleBert", "MoleBertTokenizer", "MoleculeAttrMasking"}
MOLECULES = {"MolFormer", "SmilesBert"} | GRAPHS
NAME_ATOMS = MOLECULES - {"MoleBertTokenizer"}
PROTEINS = SYSTEMS.keys() - ALIGNMENTS - MOLECULES
LANGUAGE = PROTEINS - CONTRAST


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an untrained tiny model of each system, and one of a fine-tuned ESM-2."""
    base = tmp_path_factory.mktemp("systems")
    for name, kind in SYSTEMS.items():
        torch.manual_seed(0)
        config = kind.Config  # type: ignore[attr-defined]
        sizes = {field.name: SMALL[field.name] for field in dataclasses.fields(config) if field.name in SMALL}
        new_model(config(**sizes)).save_pretrained(base / name)
    encoder = load_model(base / "ESM2")
    predictor = SequencePredictorConfig("ESM2", dataclasses.asdict(encoder.config), 16, "classes", ("a", "b"))
    SequencePredictor(predictor).save_pretrained(base / "SequencePredictor")
    return base


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Source words of all kinds of data."""
    base = tmp_path_factory.mktemp("data")
    table = write_labelled(base / "labels.csv")
    found = {task: f"csv:{table},{options}" for task, options in OPTIONS.items()}
    (base / "m.csv").write_text("smiles,y\n" + "".join(f"{'C' * (i % 9 + 1)}O,{i * 0.1}\n" for i in range(40)))
    found["molecules"] = f"csv:{base / 'm.csv'},text=smiles,kind=molecule,label=y,task=values"
    (base / "m.smi").write_text("CCO\nc1ccccc1O\nC\n")
    found["smiles"] = f"smiles:{base / 'm.smi'}"
    found["sequences"] = write_fasta(base / "p.fasta", random_proteins(12))
    found["antibodies"] = write_antibodies(base / "a.jsonl", random_antibodies(24))
    (base / "msa").mkdir()
    for number in range(3):
        write_a3m(base / "msa" / f"{number}.a3m", random_rows(5, 20, number))
    found["alignments"] = f"msa:{base / 'msa'}"
    (base / "s.csv").write_text("mutant,score\nA2G,1\nA2K,2\nK3R,0.5\n")
    (base / "s.fasta").write_text(">w\nMAKLVV\n")
    found["variants"] = f"variants:{base / 's.csv'}"
    rng, lengths = np.random.default_rng(0), [30] * 6
    chains = random_proteins(6, shortest=30, longest=30)
    steps = rng.normal(size=(sum(lengths), 1, 3)) * 2
    places = np.concatenate([x.cumsum(0) for x in np.split(steps, 6)]) + rng.normal(size=(sum(lengths), 4, 3)) * 0.1
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    np.savez(base / "structures.npz", seq=np.array(chains), xyz=places.astype(np.float32), offset=offsets)
    found["structures"] = f"structures:{base / 'structures.npz'}"
    return found


READ_BY = {
    **dict.fromkeys(OPTIONS, PROTEINS | {"SequencePredictor"}),
    "molecules": MOLECULES,
    "smiles": NAME_ATOMS,
    "sequences": LANGUAGE - {"AbBERT"},  # whose masks need regions
    "antibodies": LANGUAGE,
    "alignments": ALIGNMENTS,
    "variants": LANGUAGE,
    "structures": LANGUAGE,
}
"""Systems that `mmbio probe` evaluates on each kind of data."""


@pytest.mark.parametrize("data", list(READ_BY))
def test_probe(saved: Path, words: dict[str, str], tmp_path: Path, data: str) -> None:
    for name in [*SYSTEMS, "SequencePredictor"]:
        out = ("--epochs", 1, "--controls", "false", "--out", tmp_path / "found.json")
        check(command("probe", saved / name, "--data", words[data], *out), name in READ_BY[data], name)


EMBEDDED = {
    "sequences": PROTEINS,
    "antibodies": PROTEINS,
    "classes": PROTEINS,
    "smiles": MOLECULES,
    "alignments": ALIGNMENTS,
}


@pytest.mark.parametrize("data", list(EMBEDDED))
def test_embed(saved: Path, words: dict[str, str], tmp_path: Path, data: str) -> None:
    for name in SYSTEMS:
        for more in ((), ("--residues",)):
            said = command("embed", saved / name, words[data], "-o", tmp_path / "e.npz", *more)
            check(said, name in EMBEDDED[data], name)


FINETUNED = {
    "classes": [*SYSTEMS, "SequencePredictor"],
    "residues": ["CPCProt", "MSATransformer", "SmilesBert"],
    "molecules": ["AbBERT", "MolFormer", "SmilesBert", *sorted(GRAPHS)],
}


@pytest.mark.parametrize("data", list(FINETUNED))
def test_finetune(
    saved: Path, words: dict[str, str], tmp_path: Path, data: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmbio.finetune.write_scores", lambda *given: None)  # whose pictures take longer than all else
    for name in FINETUNED[data]:
        said = command(
            *("finetune", saved / name, "--data", words[data], "--out", tmp_path / name),
            *("--train.epochs", 1, "--train.batch_size", 32, "--run.accelerator", "cpu"),
        )
        check(said, name in (MOLECULES if data == "molecules" else PROTEINS), name)


RECONSTRUCTED = {
    "MKVLAAGIVALLAAC": LANGUAGE - {"AbBERT"},
    "CC(=O)OCC": NAME_ATOMS,
    "MKVLAAGIVA" * 20: LANGUAGE - {"AbBERT"},  # longer than positions
    "M": set(),
    "": set(),
    "antibodies": LANGUAGE,
    "alignments": set(),
}


@pytest.mark.parametrize("what", list(RECONSTRUCTED))
def test_reconstruct(saved: Path, words: dict[str, str], tmp_path: Path, what: str) -> None:
    for name in [*SYSTEMS, "SequencePredictor"]:
        said = command("reconstruct", saved / name, words.get(what, what), "--count", 2, "--out", tmp_path / "look")
        check(said, name in RECONSTRUCTED[what], name)


def check(said, works: bool, name: str) -> None:  # type: ignore[no-untyped-def]
    assert said.status == (0 if works else 2), f"{name}: {said.out}{said.err}"
    if not works:
        assert len(said.err.strip().splitlines()) == 1, f"{name}: {said.err}"
        assert said.err.startswith("error: ")


def test_refusals_say_what_is_expected(saved: Path, words: dict[str, str]) -> None:
    def said(name: str, data: str) -> str:
        with pytest.raises(UserError) as error:
            evaluation_of(load(words[data]), [load_model(saved / name)])
        return str(error.value)

    assert "molecules; expected proteins for ESM2" in said("ESM2", "molecules")
    assert "expected alignments for MSATransformer" in said("MSATransformer", "classes")
    assert "CPCProt names no hidden tokens" in said("CPCProt", "antibodies")
    assert "CPCProt has no attention maps" in said("CPCProt", "structures")


def test_what_models_take(saved: Path) -> None:
    assert takes(load_model(saved / "MSATransformer")) == ("alignment", True, True)
    assert takes(load_model(saved / "CPCProt")) == ("protein", False, False)
    assert takes(load_model(saved / "SmilesBert")) == ("molecule", True, False)
    assert takes(load_model(saved / "ACMLM")) == ("protein", True, True)
    assert takes(load_model(saved / "MoleculeAttrMasking")) == ("molecule", True, False)
