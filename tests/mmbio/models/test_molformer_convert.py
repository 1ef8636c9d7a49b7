"""`mmbio convert` of MolFormer: official weights, and the official file of tokens in its order."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tiny_mmbio import command
from torch import Tensor

from core.errors import UserError
from mmbio.models import load_model
from mmbio.models.molformer_official import OMEGA
from mmbio.models.molformer_tokens import read_vocabulary
from mmbio.sequences import join

SPECIAL = ("<bos>", "<eos>", "<pad>", "<mask>")
TOKENS = (*SPECIAL, "C", "c", "(", ")", "1", "O", *(f"[{n}C]" for n in range(39)), "<unk>")
RECIPE = """# A test
system: molformer
model: {dim: 48, depth: 2, heads: 4, hidden: 48, features: 32}
"""


@pytest.fixture
def golden(shared: Path) -> dict[str, Tensor]:
    with np.load(shared / "golden/molformer_layers.npz") as found:
        return {name: torch.from_numpy(found[name]) for name in found.files}


@pytest.fixture
def files(golden: dict[str, Tensor], tmp_path: Path) -> Path:
    """A folder with a recipe, the official weights with and without random features, and tokens."""
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    (tmp_path / "bert_vocab.txt").write_text("\n".join(TOKENS) + "\n")
    weights = {name.removeprefix("weight/"): value for name, value in golden.items() if name.startswith("weight/")}
    torch.save({"state_dict": weights}, tmp_path / "bare.ckpt")
    features = {f"blocks.layers.{n}.{OMEGA}": golden[f"nomask/omega/{n}"] for n in range(2)}
    torch.save({"state_dict": weights | features, "hyper_parameters": {"n_head": 4}}, tmp_path / "official.ckpt")
    return tmp_path


def convert(files: Path, name: str, out: str, *words: object):  # type: ignore[no-untyped-def]
    return command("convert", files / name, "--recipe", files / "tiny.yaml", "--out", files / out, *words)


@torch.no_grad()
def test_official_outputs_and_the_official_tokens_in_their_order(files: Path, golden: dict[str, Tensor]) -> None:
    said = convert(files, "official.ckpt", "ours", "--vocabulary", files / "bert_vocab.txt")
    assert said.status == 0, said.err
    model = load_model(files / "ours")
    latent = model.encode(join(list(golden["in/input_ids"])))
    close = {"rtol": 1e-5, "atol": 1e-5}
    torch.testing.assert_close(latent, golden["nomask/hidden"].flatten(0, 1), **close)
    torch.testing.assert_close(model.lm_head.logits(latent), golden["nomask/logits"].flatten(0, 1), **close)
    assert model.vocabulary.tokens == TOKENS
    assert model.vocabulary.encode("C(O)Cc1[7C]").tolist() == [0, 4, 6, 9, 7, 4, 5, 8, 17, 1]
    assert model.vocabulary.encode("[Pt]").tolist() == [0, 49, 1]


IN_BLOCK = {
    "attention.query_projection": "attention.self.query",
    "attention.key_projection": "attention.self.key",
    "attention.value_projection": "attention.self.value",
    "attention.out_projection": "attention.output.dense",
    "norm1": "attention.output.LayerNorm",
    "linear1": "intermediate.dense",
    "linear2": "output.dense",
    "norm2": "output.LayerNorm",
}
OUTSIDE = {
    "tok_emb": "molformer.embeddings.word_embeddings",
    "blocks.norm": "molformer.LayerNorm",
    "lang_model.embed": "lm_head.transform.dense",
    "lang_model.ln_f": "lm_head.transform.LayerNorm",
    "lang_model.head": "lm_head.decoder",
}


def hugging_face(golden: dict[str, Tensor]) -> dict[str, Tensor]:
    """The official weights and features by the names that Hugging Face's module gives them."""
    found = {
        f"molformer.encoder.layer.{n}.attention.self.feature_map.weight": golden[f"nomask/omega/{n}"] for n in range(2)
    }
    for name, tensor in golden.items():
        official, _, kind = name.removeprefix("weight/").rpartition(".")
        if not name.startswith("weight/"):
            continue
        if official in OUTSIDE:
            found[f"{OUTSIDE[official]}.{kind}"] = tensor
        elif kind != "inv_freq":
            _, _, layer, inner = official.split(".", 3)
            found[f"molformer.encoder.layer.{layer}.{IN_BLOCK[inner]}.{kind}"] = tensor
    return found


@pytest.mark.parametrize("nested", [False, True])
def test_files_of_hugging_face(files: Path, golden: dict[str, Tensor], nested: bool) -> None:
    (files / "hub").mkdir()
    save_file(
        {name: tensor.contiguous() for name, tensor in hugging_face(golden).items()}, files / "hub/model.safetensors"
    )
    numbers = dict(reversed([(token, number) for number, token in enumerate(TOKENS)]))
    content = {"version": "1.0", "model": {"type": "WordLevel", "vocab": numbers}} if nested else numbers
    (files / "hub/tokens.json").write_text(json.dumps(content))
    assert convert(files, "hub", "theirs", "--vocabulary", files / "hub/tokens.json").status == 0
    assert convert(files, "official.ckpt", "ours", "--vocabulary", files / "bert_vocab.txt").status == 0
    theirs, ours = load_model(files / "theirs"), load_model(files / "ours")
    assert theirs.vocabulary.tokens == TOKENS
    expected = ours.state_dict()
    assert theirs.state_dict().keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in theirs.state_dict().items())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "no JSON"),
        ("[1, 2]", "no tokens with their numbers"),
        ('{"C": "0"}', "no tokens with their numbers"),
        ('{"C": 0, "N": 2}', "2 tokens whose numbers are not 0 to 1"),
        ('{"C": 0, "N": 1}', "<bos>, <eos>, <pad>, <mask>, <unk> missing"),
    ],
)
def test_numbers_of_tokens_that_are_none(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "vocab.json").write_text(content)
    with pytest.raises(UserError, match=said) as found:
        read_vocabulary(tmp_path / "vocab.json")
    assert "vocab.json" in str(found.value)


def test_random_features_that_a_file_has_not_are_always_the_same(files: Path) -> None:
    for out in ("one", "two"):
        torch.manual_seed(len(out))
        assert convert(files, "bare.ckpt", out, "--vocabulary", files / "bert_vocab.txt").status == 0
    one, two = load_model(files / "one").state_dict(), load_model(files / "two").state_dict()
    assert any(name.endswith("omega") for name in one)
    assert all(torch.equal(tensor, two[name]) for name, tensor in one.items())


def test_official_ids(shared: Path, tmp_path: Path) -> None:
    """Tokens of molecules get the official ids, as far as these tell the vocabulary."""
    with np.load(shared / "golden/molformer_tokens.npz") as found:
        golden = dict(found)
    tokens = [*SPECIAL, *(f"[{n}*]" for n in range(4, 2361)), "<unk>"]
    for token, number in zip(golden["tokens_flat"], golden["token_ids_flat"], strict=True):
        if number >= 0:
            tokens[number] = str(token)
    (tmp_path / "bert_vocab.txt").write_text("\n".join(tokens))
    vocabulary = load_tokens(tmp_path / "bert_vocab.txt")
    unknown = vocabulary.ids["<unk>"]
    for number in np.flatnonzero(~golden["lossy"]):
        begin, end = golden["token_ptr"][number : number + 2]
        ids = golden["token_ids_flat"][begin:end]
        assert vocabulary.token_ids(str(golden["smiles"][number])) == np.where(ids < 0, unknown, ids).tolist()


def load_tokens(path: Path):  # type: ignore[no-untyped-def]
    from mmbio.molecules.vocabulary import smiles_vocabulary

    return smiles_vocabulary(read_vocabulary(path))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "<bos>, <eos>, <pad>, <mask>, <unk> missing; expected bert_vocab.txt of the official code"),
        ("\n".join(TOKENS[:-1]), "<unk> missing"),
        ("\n".join((*TOKENS[:6], "", *TOKENS[6:])), "line 7: ''; expected one token, without white space"),
        ("\n".join((*TOKENS[:6], "C", *TOKENS[6:])), "line 7: 'C' stands in line 5 already"),
        ("C \n", "line 1: 'C '"),
        ("\n".join((*TOKENS[:6], "[Pt]", *TOKENS[6:])), "embeddings of 50 tokens; the vocabulary has 51"),
    ],
)
def test_files_of_tokens_that_do_not_fit(files: Path, text: str, said: str) -> None:
    (files / "other.txt").write_text(text)
    found = convert(files, "official.ckpt", "ours", "--vocabulary", files / "other.txt")
    assert found.status == 2
    assert said in found.err
    assert len(found.err.strip().splitlines()) == 1
    assert not (files / "ours").exists()


def test_no_file_of_tokens_or_one_of_no_use(files: Path) -> None:
    found = convert(files, "official.ckpt", "ours")
    assert found.status == 2
    assert "MolFormer's weights do not say its tokens; give --vocabulary" in found.err
    found = convert(files, "official.ckpt", "ours", "--vocabulary", files / "none.txt")
    assert "none.txt: cannot be read" in found.err
    (files / "bytes.txt").write_bytes(b"\x80\x02}q\x00")
    assert (
        "bytes.txt: truncated or no text"
        in convert(files, "official.ckpt", "o", "--vocabulary", files / "bytes.txt").err
    )
    alone = command(
        "convert", files / "official.ckpt", "--vocabulary", files / "bert_vocab.txt", "--out", files / "ours"
    )
    assert "goes with --recipe" in alone.err
    (files / "tiny.yaml").write_text("# A test\nsystem: tape\n")
    found = convert(files, "official.ckpt", "ours", "--vocabulary", files / "bert_vocab.txt")
    assert found.status == 2
    assert "only MolFormer takes one" in found.err
    with pytest.raises(UserError, match="cannot be read"):
        read_vocabulary(files)
