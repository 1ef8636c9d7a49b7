"""`mmbio embed --contacts`: chances of contact of sequences and of alignments, by the regression beside the weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from esm_oracle import msa_transformer, regression
from tiny_mmbio import command, write_fasta
from tiny_msas import random_rows, write_a3m

from core.errors import UserError
from mmbio.config import ESM2Config, MSATransformerConfig
from mmbio.contacts import ContactHead, contacts_of_alignments, contacts_of_sequences, predict_contacts
from mmbio.models.esm2 import ESM2
from mmbio.models.msa_transformer import MSATransformer
from mmbio.proteins.alphabet import ESM
from mmbio.proteins.msa import Alignment, read_a3m
from mmbio.sequences import join

RECIPE = """# A test
system: msa_transformer
data: msa:none
model: {dim: 32, depth: 2, heads: 4, hidden: 64, positions: 64}
"""


def head(maps: int) -> ContactHead:
    torch.manual_seed(3)
    return ContactHead(maps).eval()


@pytest.fixture
def esm2(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    ESM2(ESM2Config(16, 2, 2)).save_pretrained(tmp_path / "esm2")
    head(4).save(tmp_path / "esm2")
    return tmp_path / "esm2"


@pytest.fixture
def msa(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    config = MSATransformerConfig(dim=16, depth=1, heads=2, hidden=16, positions=16, row_positions=4, dropout=0.0)
    MSATransformer(config).save_pretrained(tmp_path / "msa")
    head(2).save(tmp_path / "msa")
    return tmp_path / "msa"


def test_of_sequences(esm2: Path, tmp_path: Path) -> None:
    texts = ["MKTAYIAKQR", "MK", "MKVLAAGI"]
    file = write_fasta(tmp_path / "some.fasta", texts)
    said = command("embed", esm2, file, "--contacts", "-o", tmp_path / "c.npz")
    assert said.status == 0, said.err
    assert "contacts of 3" in said.out
    found = np.load(tmp_path / "c.npz")
    assert found["lengths"].tolist() == [10, 2, 8]
    assert found["offsets"].tolist() == [0, 100, 104, 168]
    model = ESM2.from_pretrained(esm2)
    expected = predict_contacts(model, head(4), join([ESM.encode(text) for text in texts]))
    for number, chances in enumerate(expected):
        some = found["contacts"][found["offsets"][number] : found["offsets"][number + 1]].reshape(chances.shape)
        np.testing.assert_allclose(some, chances, atol=1e-6)
        np.testing.assert_allclose(some, some.T, atol=1e-6)


def test_of_alignments(msa: Path, tmp_path: Path) -> None:
    for number in range(2):
        write_a3m(tmp_path / f"{number}.a3m", random_rows(6, 10 + number, number))
    said = command(
        "embed", msa, tmp_path / "0.a3m", tmp_path / "1.a3m", "--contacts", "--rows", 3, "-o", tmp_path / "c.npz"
    )
    assert said.status == 0, said.err
    found = np.load(tmp_path / "c.npz")
    assert found["names"].tolist() == ["0", "1"]
    assert found["lengths"].tolist() == [10, 11]
    expected = contacts_of_alignments(MSATransformer.from_pretrained(msa), head(2), [read_a3m(tmp_path / "1.a3m")], 3)
    np.testing.assert_allclose(found["contacts"][100:].reshape(11, 11), expected[0], atol=1e-6)


def test_converted_weights_give_the_contacts_of_fair_esm(tmp_path: Path) -> None:
    pytest.importorskip("esm")
    official = msa_transformer()
    with torch.no_grad():
        official.contact_head.regression.weight.mul_(30)
    torch.save({"model": official.state_dict()}, tmp_path / "a.pt")
    torch.save(regression(official), tmp_path / "b.pt")
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    words = ("convert", tmp_path / "a.pt", "--recipe", tmp_path / "tiny.yaml", "--contacts", tmp_path / "b.pt")
    said = command(*words, "--out", tmp_path / "ours")
    assert said.status == 0, said.err
    assert "with its regression of contacts" in said.out
    rows = random_rows(5, 12, 0)
    model = MSATransformer.from_pretrained(tmp_path / "ours")
    found = contacts_of_alignments(
        model, ContactHead.load(tmp_path / "ours"), [Alignment("a", tuple(rows), tuple("abcde"))]
    )
    with torch.no_grad():
        ids = torch.stack([model.vocabulary.wrap(model.vocabulary.token_ids(row)) for row in rows])
        expected = official.predict_contacts(ids[None])[0].numpy()
    assert expected.std() > 0.01
    np.testing.assert_allclose(found[0], expected, rtol=1e-4, atol=1e-5)


def test_bad_words(esm2: Path, msa: Path, tmp_path: Path) -> None:
    file = write_fasta(tmp_path / "some.fasta", ["MKTAYIAKQR"])
    write_a3m(tmp_path / "wide.a3m", random_rows(3, 16, 0))
    torch.manual_seed(0)
    ESM2(ESM2Config(16, 2, 2)).save_pretrained(tmp_path / "bare")
    ESM2(ESM2Config(16, 3, 2)).save_pretrained(tmp_path / "deeper")
    head(4).save(tmp_path / "deeper")
    for words, said in (
        ((tmp_path / "bare", file), "no contacts.safetensors in it, the regression of contacts; `mmbio convert"),
        ((tmp_path / "deeper", file), "a regression of 4 attention maps; the model has 6"),
        ((esm2, file, "--residues"), "--residues, --contacts"),
        ((esm2, file, "--rows", 2), "--rows 2: ESM2 reads no alignments"),
        ((msa, tmp_path / "wide.a3m"), "wide.a3m: 16 columns; contacts are of at most 15"),
        ((msa, tmp_path / "wide.a3m", "--rows", 5), "5 rows; expected 1 to 4"),
    ):
        found = command("embed", *words, "--contacts", "-o", tmp_path / "x.npz")
        assert found.status == 2, words
        assert said in found.err, found.err
        assert len(found.err.strip().splitlines()) == 1
    assert not (tmp_path / "x.npz").exists()


def test_sequences_that_do_not_fit() -> None:
    torch.manual_seed(0)
    from mmbio.config import ESM1bConfig
    from mmbio.models.esm1b import ESM1b

    model = ESM1b(ESM1bConfig(dim=16, depth=1, heads=2, positions=10)).eval()
    with pytest.raises(UserError, match="sequence 1: 9 residues; contacts are of at most 8"):
        contacts_of_sequences(model, head(2), ["MKV", "MKVMKVMKV"])
