"""What is trained on, what is held out, and what is scored and said of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_antibodies import random_antibodies, write_antibodies
from tiny_mmbio import RECIPE, command, random_proteins, write_fasta, write_recipe
from tiny_msas import random_rows, write_a3m

from core.errors import UserError
from core.random import generator
from mmbio.config import CPCProtConfig, ESM2Config, MSADataConfig, SmilesBertRecipe
from mmbio.data.sets import SequenceSet
from mmbio.data.sources import load
from mmbio.held_out import held_out_of
from mmbio.models import load_model
from mmbio.models.cpcprot import CPCProt
from mmbio.models.esm2 import ESM2
from mmbio.molecules.vocabulary import build_vocabulary, smiles_vocabulary
from mmbio.msa_score import score_msa
from mmbio.sequences import join
from mmbio.texts import counted, samples_of, spelled

BERT = {"dim": 16, "depth": 1, "heads": 2, "hidden": 16}
QUICK = {k: RECIPE[k] for k in ("optim", "train", "run")}


def metrics(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def held_out_perplexity(run: Path) -> float:
    return [row["held_out_perplexity"] for row in metrics(run) if "held_out_perplexity" in row][-1]


def said_of_data(run: Path) -> dict:
    return json.loads((run / "environment.json").read_text())["data"]


def train(path: Path, name: str, values: dict, *words: object) -> Path:
    recipe = write_recipe(path / f"{name}.yaml", {**QUICK, **values})
    said = command("pretrain", recipe, "--out", path / name, *words)
    assert said.status == 0, said.err
    return path / name


def refused(path: Path, values: dict, *words: object) -> str:
    recipe = write_recipe(path / "refused.yaml", {**QUICK, **values})
    said = command("pretrain", recipe, "--out", path / "refused", *words)
    assert said.status == 2
    assert not (path / "refused").exists()  # before any training
    return said.err


def probed(run: Path) -> tuple[str, float]:
    said = command("probe", run, "--device", "cpu")
    assert said.status == 0, said.err
    found = json.loads((run / "probe.json").read_text())
    return said.out, found["rows"][0]["scores"]["perplexity"]["mean"]


def test_a_run_is_probed_on_what_it_held_out(pretrained: Path, proteins: str, tmp_path: Path) -> None:
    said = command("probe", pretrained, "--out", tmp_path / "own.json")
    assert "held out by the run, 8 sequences" in said.out
    rows = json.loads((tmp_path / "own.json").read_text())["rows"]
    assert rows[0]["scores"]["perplexity"]["mean"] == pytest.approx(held_out_perplexity(pretrained), rel=1e-5)
    said = command("probe", pretrained, "--data", proteins, "--out", tmp_path / "all.json")
    assert "all 40 sequences" in said.out


def test_joined_data_and_nothing_held_out(proteins: str, tmp_path: Path) -> None:
    more = write_fasta(tmp_path / "more.fasta", random_proteins(20, seed=5))
    values = {"system": "esm2", "model": {"dim": 16, "depth": 1, "heads": 2}, "data": f"{proteins}+{more}"}
    run = train(tmp_path, "joined", {**values, "text": {"held_out": 0.2}})
    out, perplexity = probed(run)
    assert "held out by the run, 12 sequences" in out
    assert perplexity == pytest.approx(held_out_perplexity(run), rel=1e-5)
    assert "12 sequences that were not trained on" in (run / "report.html").read_text()
    run = train(tmp_path, "none", {**values, "text": {"held_out": 0}})
    said = command("probe", run)
    assert said.status == 2
    assert "held out nothing of its data" in said.err
    report = (run / "report.html").read_text()
    assert "60 sequences that were trained on, since none were held out" in report
    assert "not trained on" not in report


def test_data_that_has_changed_since(tmp_path: Path) -> None:
    data = write_fasta(tmp_path / "p.fasta", random_proteins(30))
    run = train(tmp_path, "run", {"system": "esm2", "model": {"dim": 16, "depth": 1, "heads": 2}, "data": data})
    write_fasta(tmp_path / "p.fasta", random_proteins(31))
    said = command("probe", run)
    assert said.status == 2
    assert "its data has changed since, 30 sequences then and 31 now" in said.err


def test_alignments(tmp_path: Path) -> None:
    (tmp_path / "msa").mkdir()
    for number in range(9):
        write_a3m(tmp_path / "msa" / f"{number}.a3m", random_rows(6, 20, number))
    values = {"system": "msa_transformer", "model": BERT, "data": f"msa:{tmp_path / 'msa'}"}
    run = train(tmp_path, "some", {**values, "train": {"epochs": 1, "batch_size": 2}, "msa": {"held_out": 0.3}})
    out, perplexity = probed(run)
    assert "held out by the run, 2 alignments" in out
    assert perplexity == pytest.approx(held_out_perplexity(run), rel=1e-5)
    assert "2 alignments that were not trained on" in (run / "report.html").read_text()
    run = train(tmp_path, "none", {**values, "train": {"epochs": 1, "batch_size": 2}})  # a tenth of nine is none
    assert "9 alignments that were trained on" in (run / "report.html").read_text()
    assert "held out nothing" in command("probe", run).err


def test_other_alignments_are_taken_as_the_run_takes_its_own(tmp_path: Path) -> None:
    (tmp_path / "msa").mkdir()
    for number in range(4):
        write_a3m(tmp_path / "msa" / f"{number}.a3m", random_rows(6, 20, number))
    word = f"msa:{tmp_path / 'msa'}"
    values = {"system": "msa_transformer", "model": BERT, "data": word, "train": {"epochs": 1, "batch_size": 2}}
    shallow = {"depth": 2, "width": 9, "held_out": 0.3}
    run = train(tmp_path, "some", {**values, "msa": shallow})
    said = command("probe", run, "--data", word, "--device", "cpu")
    assert said.status == 0, said.err
    (row,) = (row for row in json.loads((run / "probe.json").read_text())["rows"] if row["features"] == "pretrained")
    model, data = load_model(run), load(word)
    scores = [score_msa(model, model.samples(data, range(4), MSADataConfig(**some))) for some in (shallow, {})]
    found = row["scores"]["perplexity"]["mean"]
    assert found == pytest.approx(scores[0].perplexity, rel=1e-5)
    assert found != pytest.approx(scores[1].perplexity, rel=1e-3)


def test_molecules_that_are_read_in_all_spellings(tmp_path: Path) -> None:
    pytest.importorskip("rdkit")
    texts = ["OCC", "C(C)O", "N[C@@H](C)C(=O)O", "c1ccccc1O", "CC(N)=O", "C", "OCCN", "ClCC", "CCOC", "O=C=O"]
    (tmp_path / "m.smi").write_text("\n".join(texts) + "\n")
    run = train(
        *(tmp_path, "r"),
        {"system": "smiles_bert", "model": BERT, "data": f"smiles:{tmp_path / 'm.smi'}", "randomise": True}
        | {"text": {"held_out": 0.4}, "train": {"epochs": 2, "batch_size": 2}},
    )
    assert said_of_data(run)["sequences"] == 9  # two were one molecule
    held = held_out_of(run).data
    assert len(held) == 3
    assert probed(run)[1] == pytest.approx(held_out_perplexity(run), rel=1e-5)


def test_no_unknown_token_is_read_in_any_spelling() -> None:
    pytest.importorskip("rdkit")
    texts = ("C[Si@@H](F)Cl", "[13CH3][C@H](N)C(=O)O", "C1CC1/C=C/Br", "O=[N+]([O-])c1ccccc1")
    data, augment = spelled(SmilesBertRecipe(randomise=True), SequenceSet("some", "molecule", texts))
    assert augment is not None
    texts, chosen = counted(data, range(len(data)), augment)
    assert counted(data, [0], None) == (data, [0])
    vocabulary = smiles_vocabulary(build_vocabulary(texts.texts[i] for i in chosen))
    unknown = vocabulary.ids["<unk>"]
    found = {augment(text, generator(0, i)) for text in data.texts for i in range(30)}
    assert len(found) > 20
    assert not any(unknown in vocabulary.token_ids(text) for text in found)
    with pytest.raises(UserError, match="expected molecules"):
        spelled(SmilesBertRecipe(randomise=True), SequenceSet("p", "protein", ("MKV",)))


def test_proteins_for_a_model_of_molecules(tmp_path: Path, proteins: str) -> None:
    said = refused(tmp_path, {"system": "smiles_bert", "model": BERT, "data": proteins})
    assert "proteins; expected molecules for smiles_bert" in said


def test_what_masks_cannot_hide_is_left_out_before_training(tmp_path: Path) -> None:
    (tmp_path / "s.smi").write_text("\n".join([*("C" * n + "O" for n in range(1, 19)), *"CNOSFI"]) + "\n")
    values = {"system": "smiles_bert", "model": BERT, "data": f"smiles:{tmp_path / 's.smi'}"}
    run = train(tmp_path, "one", values | {"text": {"held_out": 0.3}, "train": {"epochs": 1, "batch_size": 1}})
    said = said_of_data(run)
    assert said["left_out"] == 6
    assert said["trained_on"] + said["held_out"] == 18
    (tmp_path / "c.smi").write_text("C\n" * 9)
    assert "no sequence that SmilesBert learns from" in refused(tmp_path, values | {"data": f"smiles:{tmp_path}/c.smi"})
    x = write_fasta(tmp_path / "x.fasta", ["XXXXXXXX"] * 20)
    assert "no sequence that ESM2" in refused(
        tmp_path, {"system": "esm2", "model": {"dim": 16, "depth": 1, "heads": 2}, "data": x}
    )


def test_antibodies_without_marked_loops(tmp_path: Path) -> None:
    chains = random_antibodies(30)
    chains = [(seq, cdr if i % 3 else "0" * len(cdr)) for i, (seq, cdr) in enumerate(chains)]
    values = {"system": "abbert", "model": {**BERT, "positions": 160}, "text": {"longest": 150}}
    values["data"] = write_antibodies(tmp_path / "a.jsonl", chains)
    run = train(tmp_path, "run", values | {"train": {"epochs": 1, "batch_size": 1}})
    assert said_of_data(run)["left_out"] > 0
    assert (run / "predictions.png").exists()


def test_windows_of_which_nothing_can_be_hidden_are_not_scored(tmp_path: Path) -> None:
    model = ESM2(ESM2Config(16, 1, 2))
    data = SequenceSet("some", "protein", ("AK" + "X" * 60, "X" * 60 + "AK", "AKLV" * 20))
    tokens = samples_of(model, data, [0, 1], 10)
    assert len(tokens) == 2
    scores = model.held_out_scores(tokens, 8)
    assert scores == {} or np.isfinite(scores["held_out_loss"])
    from mmbio.pictures import held_out_rows

    assert len(held_out_rows(model, samples_of(model, data, [0, 1, 2], 10), 4)) in (1, 2, 3)


CPC = {"system": "cpcprot", "model": {"dim": 16}, "train": {"epochs": 1, "batch_size": 4}}


@pytest.mark.parametrize(
    ("count", "words", "said"),
    [
        (30, (), "text.held_out: 1 sequence"),
        (30, ("--text.longest", 40), "text.longest 40: expected at least 66"),
        (30, ("--text.held_out", 0, "--train.batch_size", 1), "train.batch_size: 1 sequence"),
        (33, ("--text.held_out", 0, "--train.last_batch", "keep"), "train.last_batch keep: 1 sequence"),
    ],
)
def test_contrast_needs_sequences_to_tell_apart(tmp_path: Path, count: int, words: tuple, said: str) -> None:
    data = write_fasta(tmp_path / "p.fasta", random_proteins(count, shortest=80, longest=90))
    assert said in refused(tmp_path, {**CPC, "data": data}, *words)


def test_begin_and_end_are_not_counted() -> None:
    model = ESM2(ESM2Config(16, 1, 2))
    assert model.reader.size(join([model.vocabulary.encode("MKV")] * 2)) == 6
    contrast = CPCProt(CPCProtConfig(dim=16))
    assert contrast.reader.size(join([contrast.vocabulary.encode("MKV")] * 2)) == 6


def _fail_while(mode, model: ESM2) -> None:  # type: ignore[no-untyped-def]
    with mode as device:
        assert not model.training
        assert not torch.is_grad_enabled()
        assert device.type == "cpu"
        raise KeyError


def test_evaluation_mode_ends_with_an_error() -> None:
    from mmbio.evaluating import evaluating

    model = ESM2(ESM2Config(16, 1, 2)).train()
    with pytest.raises(KeyError):
        _fail_while(evaluating(model), model)
    assert model.training
    assert torch.is_grad_enabled()
