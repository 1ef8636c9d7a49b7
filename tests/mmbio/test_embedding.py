"""Frozen and raw features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_mmbio import command, random_proteins

import mmbio.residue_features
from core.errors import UserError
from core.evaluation.untrained import untrained
from mmbio.config import ESM1bConfig, ESM2Config
from mmbio.embedding import embed_residues, embed_sequences
from mmbio.models.esm1b import ESM1b
from mmbio.models.esm2 import ESM2
from mmbio.proteins.alphabet import ESM
from mmbio.raw_features import composition, one_hot
from mmbio.readers import TokenReader
from mmbio.residue_features import LETTERS, Around, Letters
from mmbio.sequences import join

TEXTS = random_proteins(9)


@pytest.fixture
def model() -> ESM2:
    torch.manual_seed(0)
    return ESM2(ESM2Config(dim=16, depth=2, heads=2)).eval()


@pytest.mark.parametrize("tokens", [1, 100, 10_000])
def test_a_sequence_alone_is_as_in_a_batch(model: ESM2, tokens: int) -> None:
    together, residues = embed_sequences(model, TEXTS, tokens), embed_residues(model, TEXTS, tokens)
    for number, text in enumerate(TEXTS):
        features = model.encode(join([ESM.encode(text)]))[1:-1].detach()
        np.testing.assert_allclose(together[number], features.mean(0).numpy(), atol=1e-5)
        np.testing.assert_allclose(residues.of(number), features.numpy(), atol=2e-3)


def test_long_sequences_are_cut(model: ESM2) -> None:
    torch.manual_seed(0)
    short = ESM1b(ESM1bConfig(dim=16, depth=1, heads=2, positions=12)).eval()
    text = TEXTS[0][:30].ljust(30, "K")
    residues = embed_residues(short, [TEXTS[1][:7], text])
    assert residues.offsets.tolist() == [0, 7, 37]
    from mmbio.windows import windows

    for window in windows(30, 10):
        alone = short.encode(join([ESM.encode(text[window.begin : window.end])]))[1:-1].detach().numpy()
        expected = alone[window.first - window.begin : window.last - window.begin]
        np.testing.assert_allclose(residues.of(1)[window.first : window.last], expected, atol=2e-3)
    assert embed_sequences(short, [text]).shape == (1, 16)


def test_mode_and_gradients_are_left_alone(model: ESM2) -> None:
    model.train()
    embed_sequences(model, TEXTS[:2])
    assert model.training
    assert all(p.grad is None for p in model.parameters())


def test_a_file_takes_what_memory_does_not(model: ESM2, monkeypatch: pytest.MonkeyPatch) -> None:
    in_memory = embed_residues(model, TEXTS)
    monkeypatch.setattr(mmbio.residue_features, "IN_MEMORY", 0)
    on_disk = embed_residues(model, TEXTS)
    assert isinstance(on_disk.x, np.memmap)
    path = Path(on_disk._file.name)
    assert path.exists()
    np.testing.assert_array_equal(in_memory.x, np.asarray(on_disk.x))
    on_disk.standardise([0, 1, 2])
    rows = on_disk.rows([0, 1, 2])
    np.testing.assert_allclose(rows.mean(0), 0, atol=1e-3)
    np.testing.assert_allclose(rows.std(0, correction=0), 1, atol=1e-3)
    del on_disk
    assert not path.exists()


def test_features_that_are_not_finite(model: ESM2) -> None:
    with torch.no_grad():
        model.encoder.embedding.weight.fill_(float("nan"))
    with pytest.raises(UserError, match="NaN"):
        embed_residues(model, TEXTS)


def test_bad_texts_are_named(model: ESM2) -> None:
    with pytest.raises(UserError, match="sequence 1: character '1'"):
        embed_sequences(model, ["MK", "M1"])
    with pytest.raises(UserError, match="no sequences"):
        embed_sequences(model, [])


def test_untrained_is_another_network(model: ESM2) -> None:
    one, two = untrained(model, 0), untrained(model, 1)
    assert not torch.equal(one.encoder.embedding.weight, model.encoder.embedding.weight)
    assert not torch.equal(one.encoder.embedding.weight, two.encoder.embedding.weight)
    assert torch.equal(one.encoder.embedding.weight, untrained(model, 0).encoder.embedding.weight)


def test_composition_and_counts() -> None:
    found = composition(["AAC", "X"])
    assert found[0, LETTERS.index("A")] == pytest.approx(2 / 3)
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-6)
    assert TokenReader(ESM, None).counts(["AAC"])[1][0, ESM.ids["A"]] == 2


def test_one_hot_leaves_out_what_never_changes() -> None:
    found = one_hot(["MKVA", "MKCA", "MRVA"])
    np.testing.assert_array_equal(found, [[1, 0, 0, 1, 1], [1, 0, 1, 0, 1], [0, 1, 0, 1, 1]])


def test_windows_of_letters() -> None:
    rows = Around(Letters(["MKV", "A"]), 3).rows([1, 0]).unflatten(1, (3, 26))
    outside = len(LETTERS)
    letter = LETTERS.index
    assert rows.argmax(2).tolist() == [
        [outside, letter("A"), outside],
        [outside, letter("M"), letter("K")],
        [letter("M"), letter("K"), letter("V")],
        [letter("K"), letter("V"), outside],
    ]
    assert (rows.sum(2) == 1).all()
    with pytest.raises(ValueError, match="odd"):
        Around(Letters(["MKV"]), 2)


def test_command(pretrained: Path, proteins: str, tmp_path: Path) -> None:
    file = proteins.removeprefix("fasta:")
    said = command("embed", pretrained, file, proteins, "-o", tmp_path / "x.npz")
    assert said.status == 0, said.err
    found = np.load(tmp_path / "x.npz")
    assert found["embeddings"].shape == (80, 16)
    assert found["names"][41] == "protein1"
    np.testing.assert_array_equal(found["embeddings"][:40], found["embeddings"][40:])
    said = command("embed", pretrained, file, "--residues", "--out", tmp_path / "r.npz")
    assert said.status == 0, said.err
    residues = np.load(tmp_path / "r.npz")
    assert residues["embeddings"].shape == (residues["offsets"][-1], 16)
    rows = residues["embeddings"][residues["offsets"][3] : residues["offsets"][4]].astype(np.float32)
    np.testing.assert_allclose(rows.mean(0), found["embeddings"][3], atol=2e-3)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("none.fasta",), "none.fasta: cannot be read"),
        (("fatsa:x",), "fatsa:x"),
        (("x.fasta", "-o", "no/folder/x.npz"), "its folder does not exist"),
        ((), "inputs"),
    ],
)
def test_bad_words(pretrained: Path, words: tuple[str, ...], said: str) -> None:
    found = command("embed", pretrained, *words)
    assert found.status == 2
    assert said in found.err


def test_raw_features_by_kind() -> None:
    from mmbio.data.sets import LabelledSequences
    from mmbio.raw_features import raw_features

    def named(kind: str, texts: tuple[str, ...]) -> dict[str, np.ndarray]:
        parts = np.array([0]), np.array([1]), np.array([2])
        data = LabelledSequences("x", kind, texts, "values", np.zeros((3, 1)), *parts, ("y",))  # type: ignore[arg-type]
        return raw_features(data, TokenReader(ESM, None))

    assert {name: x.shape for name, x in named("protein", ("MK", "MR", "MKV")).items()} == {"composition": (3, 25)}
    assert {name: x.shape for name, x in named("protein", ("MK", "MR", "MV")).items()} == {
        "composition": (3, 25),
        "one-hot": (3, 4),
    }
    found = named("molecule", ("CC", "CN", "CCC"))
    assert found["token counts"][2, ESM.ids["C"]] == 3
    assert set(found) <= {"token counts", "ECFP4"}


def test_regions_are_carried_into_features() -> None:
    from mmbio.config import AbBERTConfig
    from mmbio.models.abbert import AbBERT

    torch.manual_seed(0)
    abbert = AbBERT(AbBERTConfig(dim=16, depth=1, heads=2, hidden=16, positions=12)).eval()
    text, digits = "EVQLGFTFWVRQARDYWGQ", "0000111100003333300"
    framework = "0" * len(text)
    for embed in (embed_sequences, lambda *given, **more: embed_residues(*given, **more).x):
        none, loops = embed(abbert, [text]), embed(abbert, [text], regions=[digits])
        np.testing.assert_array_equal(none, embed(abbert, [text], regions=[framework]))
        assert np.abs(loops - none).max() > 1e-3
    batch = join([abbert.vocabulary.encode(text[:5])], [torch.tensor([0, 0, 4, 0, 0, 0, 0])])
    with pytest.raises(UserError, match="a residue in region 4; AbBERT knows 0"):
        abbert.encode(batch)
