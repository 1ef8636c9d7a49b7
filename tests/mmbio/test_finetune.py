"""Fine-tuning: losses by hand, all tasks through the command line, resuming, long sequences."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_mmbio import OPTIONS, command

from core.errors import UserError
from core.random import generator
from mmbio.config import (
    ESM1bConfig,
    MolFormerConfig,
    SequenceFinetuneRecipe,
    SequencePredictorConfig,
    SmilesBertConfig,
)
from mmbio.data.labelled import LabelledTexts
from mmbio.data.sets import LabelledSequences
from mmbio.data.sources import load
from mmbio.finetune import new_predictor, standardise, supervised_loss
from mmbio.models import load_model, new_model
from mmbio.models.esm1b import ESM1b
from mmbio.models.molformer import MolFormer
from mmbio.models.predictor import SequencePredictor
from mmbio.models.smiles_bert import SmilesBert
from mmbio.molecules.chemistry import canonical, randomise
from mmbio.prediction import predict, score_part
from mmbio.proteins.alphabet import ESM
from mmgraph.config.attr_masking import AttrMaskingConfig

QUICK = (
    "--train.epochs",
    "2",
    "--train.batch_size",
    "8",
    "--optim.lr",
    "0.01",
    "--optim.warmup_epochs",
    "0",
    "--run.accelerator",
    "cpu",
)


def test_losses_by_hand() -> None:
    nan = math.nan
    outputs = torch.tensor([[1.0, 2.0], [0.0, -1.0]])
    assert supervised_loss(outputs, torch.tensor([[0.0, nan], [2.0, -1.0]]), "values").item() == pytest.approx(5 / 3)
    binary = supervised_loss(outputs, torch.tensor([[1.0, nan], [nan, 0.0]]), "binary").item()
    assert binary == pytest.approx(math.log(1 + math.exp(-1)))
    chances = outputs.log_softmax(1)
    assert supervised_loss(outputs, torch.tensor([1, -1]), "residues").item() == pytest.approx(-chances[0, 1].item())
    assert supervised_loss(outputs, torch.tensor([-1, -1]), "residues").item() == 0
    assert supervised_loss(outputs, torch.full((2, 2), nan), "binary").item() == 0


@pytest.mark.parametrize("task", list(OPTIONS))
def test_all_tasks(pretrained: Path, table: Path, tmp_path: Path, task: str) -> None:
    data, out = f"csv:{table},{OPTIONS[task]}", tmp_path / "tuned"
    seeds = (0, 1) if task == "classes" else (0,)
    epochs = ("--train.epochs", "6")
    said = command("finetune", pretrained, "--data", data, "--out", out, "--seeds", len(seeds), *QUICK, *epochs)
    assert said.status == 0, said.err
    names = {
        "classes": ["accuracy", "mean_class_accuracy"],
        "values": ["spearman", "rmse"],
        "binary": ["roc_auc"],
        "residues": ["accuracy", "mcc", "average_precision"],
    }[task]
    for seed in seeds:
        scores = json.loads((out / f"seed-{seed}/result.json").read_text())
        assert list(scores) == [*names, "validation"]
        assert (out / f"seed-{seed}/report.html").exists()
    assert f"{len(seeds)} seed(s)" in said.out
    if task != "values":  # the two kinds of proteins differ in every residue
        assert scores[names[0]] > 0.75
    model, given = load_model(out / f"seed-{seeds[-1]}"), load(data)
    again = score_part(model, given, given.test)
    assert {name: again[name] for name in names} == pytest.approx({name: scores[name] for name in names})
    assert model.config.classes == given.classes


def test_scratch_freeze_and_resume(pretrained: Path, table: Path, tmp_path: Path) -> None:
    data = f"csv:{table},{OPTIONS['values']}"
    before = load_model(pretrained).state_dict()
    said = command("finetune", pretrained, "--data", data, "--out", tmp_path / "a", "--recipe", "finetune_head", *QUICK)
    assert said.status == 0, said.err
    frozen = load_model(tmp_path / "a/seed-0")
    assert frozen.head[1].out_features == 256
    for name, tensor in frozen.encoder.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    words = ("finetune", pretrained, "--data", data, "--out", tmp_path / "b", "--scratch", *QUICK)
    assert command(*words).status == 0
    assert not torch.equal(
        load_model(tmp_path / "b/seed-0").encoder.state_dict()["encoder.embedding.weight"],
        before["encoder.embedding.weight"],
    )
    assert "holds a run already" in command(*words).err
    result = (tmp_path / "b/seed-0/result.json").read_text()
    assert command(*words, "--resume").status == 0
    assert (tmp_path / "b/seed-0/result.json").read_text() == result


def test_values_come_back_in_their_units(pretrained: Path, table: Path) -> None:
    data = load(f"csv:{table},{OPTIONS['values']}")
    model = new_predictor(pretrained, SequenceFinetuneRecipe(), data, scratch=False)
    labels = standardise(model, data)
    assert isinstance(labels, np.ndarray)
    assert labels[data.train].mean() == pytest.approx(0, abs=1e-9)
    assert labels[data.train].std() == pytest.approx(1)
    model.eval()
    for parameter in model.head.parameters():
        torch.nn.init.zeros_(parameter)
    said = predict(model, data.texts[:3])
    assert np.stack(said)[:, 0] == pytest.approx([data.labels[data.train].mean()] * 3, rel=1e-5)


def predictor(task: str, positions: int) -> SequencePredictor:
    torch.manual_seed(0)
    encoder = ESM1b(ESM1bConfig(dim=16, depth=1, heads=2, positions=positions))
    config = SequencePredictorConfig("ESM1b", dataclasses.asdict(encoder.config), 16, task, ("a", "b", "c"))  # type: ignore[arg-type]
    return SequencePredictor(config).eval()


@pytest.mark.parametrize("task", ["classes", "residues"])
def test_predictions_do_not_depend_on_the_batch(task: str) -> None:
    model, texts = predictor(task, 64), ["MKVLA", "GG", "MKVLA" * 12]
    together = predict(model, texts)
    assert together[2].shape == ((60, 3) if task == "residues" else (3,))
    for text, found in zip(texts, together, strict=True):
        np.testing.assert_allclose(found, predict(model, [text])[0], atol=1e-6)
        np.testing.assert_allclose(found.sum(-1), 1, rtol=1e-5)


def test_answers_are_ranked_by_outputs_and_not_by_rounded_chances() -> None:
    """float32 makes 1 of the chances of outputs above 17, which then tie."""
    model = predictor("binary", 64)
    texts = ("MKVLA", "GG", "AAW", "KKV", "LV", "SSS")
    with torch.no_grad():
        model.head[-1].bias.add_(40)  # type: ignore[index,operator,union-attr]
        outputs = np.array([float(model(model.reader.join([model.reader.read(text)]))[0, 0]) for text in texts])
    assert {float(chances[0]) for chances in predict(model, texts)} == {1.0}
    labels = np.full((6, 3), np.nan)
    labels[outputs.argsort(), 0] = [0, 0, 0, 1, 1, 1]
    parts = (np.arange(4), np.array([4]), np.array([5]))
    data = LabelledSequences("some", "protein", texts, "binary", labels, *parts, ("a", "b", "c"))
    assert score_part(model, data, np.arange(6))["roc_auc"] == 1


def test_dropout_of_the_encoder_is_that_of_embeddings_too(tmp_path: Path) -> None:
    tokens = ("<bos>", "<eos>", "<pad>", "<mask>", "<unk>", "C", "O")
    config = MolFormerConfig(dim=8, depth=1, heads=2, hidden=8, features=4, tokens=tokens, embedding_dropout=0.2)
    MolFormer(config).save_pretrained(tmp_path / "saved")
    parts = (np.array([0]), np.array([1]), np.array([2]))
    data = LabelledSequences("some", "molecule", ("CO", "C", "OCO"), "classes", np.arange(3), *parts, ("a", "b", "c"))
    encoder = new_predictor(
        tmp_path / "saved", SequenceFinetuneRecipe(encoder_dropout=0.05), data, False
    ).encoder.encoder
    assert (encoder.dropout, encoder.blocks[0].dropout) == (0.05, 0.05)


@pytest.mark.parametrize("task", ["classes", "residues"])
def test_long_sequences_are_trained_on_in_windows(task: str) -> None:
    model = predictor(task, 12)
    texts = ("MKVLAGGSSTTRRK", "MK", "GG", "AA")
    labels = tuple(np.arange(len(text)) for text in texts) if task == "residues" else np.arange(4)
    parts = np.array([0, 1]), np.array([2]), np.array([3])
    data = LabelledSequences("some", "protein", texts, task, labels, *parts, tuple("abcdefghijklmn"))  # type: ignore[arg-type]
    tokens = LabelledTexts(data, data.train, model.reader, 10)
    assert list(tokens.lengths) == [10, 2]
    starts = set()
    for seed in range(20):
        batch = tokens.collate([tokens.sample(i, torch.Generator().manual_seed(seed)) for i in (0, 1)])
        assert batch.sequences.lengths.tolist() == [12, 4]
        window = ESM.decode(batch.sequences.split()[0])
        begin = texts[0].index(window)
        starts.add(begin)
        if task == "residues":
            assert batch.labels.tolist() == [*range(begin, begin + 10), 0, 1]
        assert model(batch.sequences).shape == (12 if task == "residues" else 2, 3)
    assert starts == {0, 1, 2, 3, 4}
    assert len(predict(model, texts)[0]) == (14 if task == "residues" else 3)


def test_saved_and_loaded(tmp_path: Path) -> None:
    model = predictor("values", 64)
    model.shift.fill_(3.0)
    model.save_pretrained(tmp_path)
    for one, two in zip(predict(model, ["MKV"]), predict(load_model(tmp_path), ["MKV"]), strict=True):
        np.testing.assert_array_equal(one, two)


MOLECULES = ("CCO", "c1ccccc1O", "CC(=O)Oc1ccccc1C(=O)O", "OC1CCN(C)CC1", "CCCCN", "Clc1ccncc1", "CC(C)CO", "C1CC1CBr")


def molecules(texts: tuple[str, ...] = MOLECULES) -> LabelledSequences:
    parts = np.arange(len(texts) - 2), np.array([len(texts) - 2]), np.array([len(texts) - 1])
    labels = np.arange(len(texts), dtype=float)[:, None]
    return LabelledSequences("some", "molecule", texts, "values", labels, *parts, ("number",))


def test_molecules_are_spelled_otherwise_every_time() -> None:
    pytest.importorskip("rdkit")
    data, model = molecules(), SmilesBert(SmilesBertConfig(dim=16, depth=1, heads=2, hidden=16))
    words = model.vocabulary
    plain = LabelledTexts(data, data.train, model.reader, 100)
    train = LabelledTexts(data, data.train, model.reader, 100, augment=randomise)
    seen: list[set[str]] = [set() for _ in train.part]
    for epoch in range(8):
        for number in range(len(train)):
            item, label = train.sample(number, generator(0, epoch, number, "data"))
            again, _ = train.sample(number, generator(0, epoch, number, "data"))
            assert item.tolist() == again.tolist()
            text = words.decode(item)
            seen[number].add(text)
            assert canonical(text) == canonical(data.texts[number])
            assert label.item() == number
            assert words.decode(plain.sample(number, generator(epoch))[0]) == data.texts[number]
    assert min(len(some) for some in seen[1:]) > 1
    assert len(seen[2]) > 5
    with pytest.raises(UserError, match="some, sequence 1: 'C1CC' is no molecule"):  # before anything is trained
        LabelledTexts(molecules(("C", "C1CC", "CC", "CCC")), np.array([0, 1]), model.reader, 9, augment=randomise)


def test_randomise_on_the_command_line(pretrained: Path, table: Path, tmp_path: Path) -> None:
    pytest.importorskip("rdkit")
    rows = [f"{'C' * (n % 5 + 1)}OC{'N' * (n % 2)},{n}" for n in range(30)]
    (tmp_path / "m.csv").write_text("\n".join(["smiles,y", *rows]))
    data = f"csv:{tmp_path / 'm.csv'},text=smiles,kind=molecule,label=y,task=values"
    new_model(SmilesBertConfig(dim=16, depth=1, heads=2, hidden=16)).save_pretrained(tmp_path / "smiles")
    new_model(AttrMaskingConfig(dim=16, depth=1)).save_pretrained(tmp_path / "graphs")
    outcomes = []
    for out in ("a", "b"):
        words = ("--data", data, "--out", tmp_path / out, "--randomise", "true", *QUICK)
        said = command("finetune", tmp_path / "smiles", *words)
        assert said.status == 0, said.err
        outcomes.append((tmp_path / out / "seed-0/result.json").read_text())
    assert outcomes[0] == outcomes[1]
    proteins = f"csv:{table},{OPTIONS['values']}"
    for model, word, reads in ((tmp_path / "graphs", data, "atoms"), (pretrained, proteins, "residues")):
        said = command("finetune", model, "--data", word, "--out", tmp_path / "no", "--randomise", "true", *QUICK)
        assert (said.status, said.err.count("\n")) == (2, 1)
        assert f"reads {reads}, which have one spelling; expected a model of SMILES" in said.err
        assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "has no labels; expected labelled sequences"),  # the data of the pretraining
        (("--data", "csv:none.csv,label=a,task=values"), "none.csv: cannot be read"),
        (("--hidden", "-1"), "--hidden -1: expected at least 0"),
        (("--recipe", "finetun"), "did you mean 'finetune'"),
        (("--seeds", "0"), "--seeds 0"),
    ],
)
def test_bad_words(pretrained: Path, tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    found = command("finetune", pretrained, "--out", tmp_path / "out", *words)
    assert found.status == 2
    assert said in found.err
    assert not (tmp_path / "out").exists()


def test_a_tuned_model_is_not_tuned_again(pretrained: Path, table: Path, tmp_path: Path) -> None:
    data = load(f"csv:{table},{OPTIONS['classes']}")
    model = new_predictor(pretrained, SequenceFinetuneRecipe(), data, scratch=False)
    model.save_pretrained(tmp_path / "tuned")
    said = command(
        "finetune", tmp_path / "tuned", "--data", f"csv:{table},{OPTIONS['classes']}", "--out", tmp_path / "x"
    )
    assert "is fine-tuned already" in said.err
    said = command("probe", tmp_path / "tuned", "--data", f"csv:{table},{OPTIONS['classes']}", "--controls", "false")
    assert said.status == 0, said.err
    said = command("probe", tmp_path / "tuned", "--data", f"csv:{table}")
    assert "SequencePredictor names no hidden tokens" in said.err
