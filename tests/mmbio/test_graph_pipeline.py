"""Models of molecular graphs on the command line: tokenize, pretrain, probe, fine-tune, embed, reconstruct, convert."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tiny_mmbio import command, write_recipe

from mmbio.config import GraphDataConfig
from mmbio.data.labelled import LabelledTexts
from mmbio.data.sets import SequenceSet
from mmbio.data.smiles import nci
from mmbio.data.sources import load
from mmbio.data.tokens import split_held_out
from mmbio.finetune import supervised_loss
from mmbio.models import load_model
from mmbio.models.attr_masking import MoleculeAttrMasking
from mmbio.molecules.graphs import molecule_graphs
from mmbio.prediction import score_part

pytest.importorskip("rdkit")

SIZES = {"dim": 16, "depth": 2}
BASE = {
    "text": {"held_out": 0.2},
    "optim": {"algorithm": "adam", "lr": 0.01, "schedule": "constant", "warmup_epochs": 0, "weight_decay": 0.0},
    "train": {"epochs": 2, "batch_size": 16},
    "run": {"accelerator": "cpu", "log_steps": 1},
}
TOKENIZER = {**BASE, "system": "mole_bert_tokenizer", "model": {**SIZES, "codes": [8, 4, 4, 2], "kmeans": 2}}
MASKING = {**BASE, "system": "attr_masking", "model": {**SIZES, "mask_edges": True}}
MOLE_BERT = {**BASE, "system": "mole_bert", "model": SIZES}
QUICK = ("--train.epochs", 3, "--train.batch_size", 16, "--optim.lr", 0.01, "--run.accelerator", "cpu")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with molecules, a table with labels of which some are missing, and runs of all three systems."""
    base = tmp_path_factory.mktemp("graphs")
    texts = nci().texts[:90]
    (base / "some.smi").write_text("\n".join(texts))
    rows = [f"{text},{int('N' in text)},{'' if i % 3 else int('O' in text)}" for i, text in enumerate(texts)]
    (base / "some.csv").write_text("\n".join(["smiles,nitrogen,oxygen", *rows]))
    data = f"smiles:{base / 'some.smi'}"
    words = {
        "tokenizer": ("tokenize", write_recipe(base / "t.yaml", TOKENIZER, data=data)),
        "masking": ("pretrain", write_recipe(base / "a.yaml", MASKING, data=data)),
        "mole_bert": (
            "pretrain",
            write_recipe(base / "m.yaml", MOLE_BERT, data=data, tokenizer=str(base / "tokenizer")),
        ),
    }
    for name, given in words.items():
        said = command(*given, "--out", base / name)
        assert said.status == 0, said.err
    return base


def labels(base: Path) -> str:
    return f"csv:{base / 'some.csv'},text=smiles,kind=molecule,label=nitrogen,label=oxygen,task=binary"


def rows(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_runs_say_what_they_did(base: Path) -> None:
    held = [row for row in rows(base / "tokenizer") if "held_out_codes" in row]
    assert [row["epoch"] for row in held] == [1, 2]
    assert {"held_out_elements_right", "held_out_bonds_right", "held_out_perplexity"} <= set(held[0])
    assert {"loss_elements", "loss_commitment", "atoms_per_second"} <= set(rows(base / "tokenizer")[0])
    assert "surroundings" in (base / "tokenizer/report.html").read_text()
    for name in ("masking", "mole_bert"):
        held = [row for row in rows(base / name) if "held_out_accuracy" in row]
        assert held[1]["held_out_loss"] < held[0]["held_out_loss"]
        assert (base / name / "predictions.png").exists()
        assert "Hidden tokens" in (base / name / "report.html").read_text()


def test_a_model_stands_alone_with_its_tokenizer(base: Path) -> None:
    tokenizer, model = load_model(base / "tokenizer"), load_model(base / "mole_bert")
    assert model.config.tokenizer == tokenizer.config
    graphs = molecule_graphs(["CCO", "c1ccccc1N"])
    assert torch.equal(model.true_ids(graphs), tokenizer.ids(graphs))


@pytest.mark.parametrize("name", ["masking", "mole_bert"])
def test_resuming_is_exact(base: Path, tmp_path: Path, name: str) -> None:
    recipe = base / ("a.yaml" if name == "masking" else "m.yaml")
    out = tmp_path / "again"
    assert command("pretrain", recipe, "--out", out, "--train.epochs", 2).status == 0
    one, two = load_file(base / name / "weights.safetensors"), load_file(out / "weights.safetensors")
    assert all(torch.equal(one[key], two[key]) for key in one)
    said = command("pretrain", recipe, "--out", out, "--resume")
    assert said.status == 0
    assert "this run is finished" in said.out


@pytest.mark.parametrize("name", ["tokenizer", "masking", "mole_bert"])
def test_probe_finetune_embed(base: Path, tmp_path: Path, name: str) -> None:
    said = command("probe", base / name, "--data", labels(base), "--out", tmp_path / "p.json")
    assert said.status == 0, said.err
    found = {row["features"] for row in json.loads((tmp_path / "p.json").read_text())["rows"]}
    assert found == {"pretrained", "untrained", "atom counts", "ECFP4"}
    words = ("--recipe", "finetune_molecules", "--seeds", 2, *QUICK)
    said = command("finetune", base / name, "--data", labels(base), "--out", tmp_path / "f", *words)
    assert said.status == 0, said.err
    tuned = load_model(tmp_path / "f/seed-1")
    assert tuned.config.model["dropout"] == 0.5
    assert not any("objectives" in key for key in tuned.state_dict())
    given, scores = load(labels(base)), json.loads((tmp_path / "f/seed-1/result.json").read_text())
    assert score_part(tuned, given, given.test)["roc_auc"] == pytest.approx(scores["roc_auc"])
    for more, count in ((), 90), (("--residues",), int(tuned.reader.size(molecule_graphs(nci().texts[:90])))):
        said = command("embed", base / name, f"smiles:{base / 'some.smi'}", "-o", tmp_path / "e.npz", *more)
        assert said.status == 0, said.err
        assert np.load(tmp_path / "e.npz")["embeddings"].shape == (count, 16)


def test_probe_without_labels_and_reconstruct(base: Path, tmp_path: Path) -> None:
    for name in ("masking", "mole_bert"):
        said = command("probe", base / name, "--out", tmp_path / "p.json")
        assert said.status == 0, said.err
        scores = {r["features"]: r["scores"] for r in json.loads((tmp_path / "p.json").read_text())["rows"]}
        assert scores["pretrained"]["perplexity"]["mean"] < scores["untrained"]["perplexity"]["mean"]
        said = command("reconstruct", base / name, "CC(=O)Oc1ccccc1C(=O)O", "--out", tmp_path / "look")
        assert said.status == 0, said.err
        assert "2 hidden tokens" in said.out
    said = command("probe", base / "tokenizer", "--data", f"smiles:{base / 'some.smi'}")
    assert said.status == 2
    assert "MoleBertTokenizer names no hidden tokens" in said.err


def test_training_ends_on_validation(base: Path, tmp_path: Path) -> None:
    words = ("--recipe", "finetune_molecules_short", "--patience", 2, *QUICK, "--train.epochs", 40, "--optim.lr", 0)
    said = command("finetune", base / "masking", "--data", labels(base), "--out", tmp_path / "f", *words)
    assert said.status == 0, said.err
    scored = [row["epoch"] for row in rows(tmp_path / "f/seed-0") if "validation_roc_auc" in row]
    best = json.loads((tmp_path / "f/seed-0/state/best.json").read_text())["epoch"]
    assert scored[-1] == best + 2 < 40
    result = (tmp_path / "f/seed-0/result.json").read_text()
    words = ("finetune", base / "masking", "--data", labels(base), "--out", tmp_path / "f", *words, "--resume")
    assert command(*words).status == 0
    assert (tmp_path / "f/seed-0/result.json").read_text() == result


def test_missing_labels_have_no_part_in_the_loss(base: Path) -> None:
    data = load(labels(base))
    model = load_model(base / "masking")
    texts = LabelledTexts(data, data.train[:12], model.reader, 5)  # which cuts no molecule
    batch = texts.collate([texts.sample(i, torch.Generator()) for i in range(12)])
    assert len(batch.sequences) == 12
    assert model.reader.size(batch.sequences) == sum(texts.lengths)
    outputs = torch.zeros(12, 2, requires_grad=True)
    supervised_loss(outputs, batch.labels, "binary").backward()
    assert outputs.grad is not None
    assert torch.equal(outputs.grad == 0, batch.labels.isnan())
    assert batch.labels.isnan().any()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "tokenizer: none is named; expected --tokenizer RUN"),
        (("--tokenizer", "{base}/masking"), "a MoleculeAttrMasking; expected a MoleBertTokenizer"),
        (("--tokenizer", "{base}/nowhere"), "nowhere: no such folder"),
        (("--tokenizer", "{base}/tokenizer", "--train.batch_size", 1), "train.batch_size: 1 sequence(s) together"),
        (("--tokenizer", "{base}/tokenizer", "--model.mask_ratio", 1), "--model.mask_ratio 1"),
    ],
)
def test_what_mole_bert_refuses(base: Path, tmp_path: Path, words: tuple, said: str) -> None:
    recipe = write_recipe(tmp_path / "m.yaml", MOLE_BERT, data=f"smiles:{base / 'some.smi'}")
    given = [str(word).format(base=base) for word in words]
    found = command("pretrain", recipe, "--out", tmp_path / "out", *given)
    assert found.status == 2
    assert said in found.err
    assert not (tmp_path / "out").exists()


def test_a_tokenizer_is_not_pretrained_and_a_model_not_tokenized(base: Path, tmp_path: Path) -> None:
    assert "cannot be pretrained" in command("pretrain", base / "t.yaml").err
    assert "cannot be trained as a tokenizer" in command("tokenize", base / "a.yaml").err


def test_bad_smiles_are_named_with_their_line(base: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.smi").write_text("\n".join(["CCO"] * 40 + ["CC(C"] + ["CCN"] * 40))
    recipe = write_recipe(tmp_path / "a.yaml", MASKING, text={"held_out": 0}, train={"epochs": 1, "batch_size": 2})
    said = command("pretrain", recipe, "--data", f"smiles:{tmp_path / 'bad.smi'}", "--out", tmp_path / "a")
    assert said.status == 2
    assert said.err.strip().endswith("bad.smi, line 41: 'CC(C' is no molecule: 1 branches opened and 0 closed")
    said = command("pretrain", recipe, "--data", f"smiles_skip:{tmp_path / 'bad.smi'}", "--out", tmp_path / "a")
    assert said.status == 0, said.err
    assert "1 samples could not be used" in said.out
    assert "line 41" in (tmp_path / "a/environment.json").read_text()


def test_at_most_so_many_are_trained_on() -> None:
    data = SequenceSet("some", "molecule", tuple("C" * (1 + i % 50) for i in range(80)))
    train, held = split_held_out(data, GraphDataConfig(most=20, held_out=0.2))
    assert len(train) == 20
    assert len(held) == 10
    texts = [data.texts[i] for i in train]
    assert len(set(texts)) == 20
    assert not {data.texts[i] for i in held} & set(texts)
    assert set(train) <= set(split_held_out(data, GraphDataConfig(most=30, held_out=0.2))[0])


def test_official_weights_convert(shared: Path, tmp_path: Path) -> None:
    golden = np.load(shared / "golden/pretrain_gnns_gin.npz")
    weights = {
        key.removeprefix("weight/"): torch.from_numpy(golden[key]) for key in golden if key.startswith("weight/")
    }
    torch.save(weights, tmp_path / "masking.pth")
    recipe = write_recipe(tmp_path / "r.yaml", MASKING, model={"dim": 32, "depth": 5, "mask_edges": False})
    said = command("convert", tmp_path / "masking.pth", "--recipe", recipe, "--out", tmp_path / "official")
    assert said.status == 0, said.err
    model = load_model(tmp_path / "official")
    assert isinstance(model, MoleculeAttrMasking)
    graphs = molecule_graphs(golden["in/smiles"].tolist())
    theirs = torch.from_numpy(golden["eval/mean_pool"])
    torch.testing.assert_close(model.embed(graphs), theirs, rtol=1e-5, atol=1e-5 * float(theirs.abs().max()))
