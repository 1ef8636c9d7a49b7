"""Randomly initialised modules of fair-esm, and batches for them and for us."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mmbio.sequences import Sequences, join

TEXTS = ["MKTAYIAKQRQISFVK", "GA", "MKV<mask>LLLLLAW<mask>YGGCD<unk>XBUZOH", "WWWWWWWWW.-HH"]
PADDING = 1


class Peer(NamedTuple):
    """A module of fair-esm, what its file holds, and the alphabet."""

    model: Any
    content: dict[str, Any]
    alphabet: Any


def esm2(depth: int = 3, dim: int = 32, heads: int = 4, seed: int = 0) -> Peer:
    """ESM-2 with a file in the layout of the published ones."""
    from esm.data import Alphabet
    from esm.model.esm2 import ESM2

    alphabet = Alphabet.from_architecture("ESM-1b")
    torch.manual_seed(seed)
    model = perturbed(ESM2(depth, dim, heads, alphabet))
    cfg = Namespace(
        encoder_layers=depth, encoder_embed_dim=dim, encoder_attention_heads=heads, token_dropout=True, arch="esm2"
    )
    return Peer(model, {"cfg": {"model": cfg}, "model": trained_names(model)}, alphabet)


def esm1b(norm_before: bool, depth: int = 2, dim: int = 24, heads: int = 3, positions: int = 40) -> Peer:
    """ESM-1b, or ESM-1v without the norm before, with a file in the layout of the published ones."""
    from esm.data import Alphabet
    from esm.model.esm1 import ProteinBertModel

    alphabet = Alphabet.from_architecture("roberta_large")
    sizes = {"layers": depth, "embed_dim": dim, "ffn_embed_dim": 4 * dim, "attention_heads": heads}
    said = {"arch": "roberta_large", "max_positions": positions, "token_dropout": True, "final_bias": True}
    torch.manual_seed(1)
    model = perturbed(ProteinBertModel(Namespace(**sizes, **said, emb_layer_norm_before=norm_before), alphabet))
    with torch.no_grad():
        model.embed_tokens.weight[alphabet.mask_idx] = 0  # as the official loader does
    args = Namespace(**{f"encoder_{name}": value for name, value in sizes.items()}, **said)
    return Peer(model, {"args": args, "model": trained_names(model)}, alphabet)


def msa_transformer() -> Any:
    """The MSA Transformer, small."""
    from esm import Alphabet, MSATransformer

    arguments = Namespace(
        layers=2, embed_dim=32, ffn_embed_dim=64, attention_heads=4, dropout=0.1, attention_dropout=0.1,
        activation_dropout=0.1, max_tokens=2**14, max_positions=64, embed_positions_msa=True,
    )  # fmt: skip
    torch.manual_seed(0)
    return MSATransformer(arguments, Alphabet.from_architecture("msa_transformer")).eval()


def perturbed(model: Any) -> Any:
    """Biases and norms moved from zero and one, where a mistake in them would not show."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter += 0.2 * torch.randn_like(parameter)
    return model.eval()


def trained_names(model: Any) -> dict[str, Tensor]:
    """The state dict by the names of the training code, without the regression of contacts, which has a file of its own."""
    state = {name: tensor for name, tensor in model.state_dict().items() if "contact_head" not in name}
    return {("encoder." if n.startswith("lm_head") else "encoder.sentence_encoder.") + n: t for n, t in state.items()}


def regression(model: Any) -> dict[str, Any]:
    """What the file with the regression of contacts holds."""
    return {"model": {n: t for n, t in model.state_dict().items() if "contact_head" in n}}


def hugging_face_names(model: Any) -> dict[str, Tensor]:
    """The state dict by the names of EsmForMaskedLM, of ESM-2 with the table of positions that files of the hub have unread."""
    layer = {
        "self_attn.q_proj": "attention.self.query",
        "self_attn.k_proj": "attention.self.key",
        "self_attn.v_proj": "attention.self.value",
        "self_attn.out_proj": "attention.output.dense",
        "self_attn_layer_norm": "attention.LayerNorm",
        "fc1": "intermediate.dense",
        "fc2": "output.dense",
        "final_layer_norm": "LayerNorm",
        "self_attn.rot_emb": "attention.self.rotary_embeddings",
    }
    around = {
        "embed_tokens": "esm.embeddings.word_embeddings",
        "embed_positions": "esm.embeddings.position_embeddings",
        "emb_layer_norm_before": "esm.embeddings.layer_norm",
        "emb_layer_norm_after": "esm.encoder.emb_layer_norm_after",
        "contact_head.regression": "esm.contact_head.regression",
        "lm_head.dense": "lm_head.dense",
        "lm_head.layer_norm": "lm_head.layer_norm",
    }
    found = {"esm.embeddings.position_ids": torch.arange(9)[None]}
    for name, tensor in model.state_dict().items():
        module, _, entry = name.rpartition(".")
        if module.startswith("layers."):
            _, number, rest = module.split(".", 2)
            found[f"esm.encoder.layer.{number}.{layer[rest]}.{entry}"] = tensor
        elif name in ("lm_head.weight", "lm_head.bias"):
            found["lm_head.decoder.weight" if entry == "weight" else "lm_head.bias"] = tensor
        else:
            found[f"{around[module]}.{entry}"] = tensor
    if any("rotary" in name for name in found):
        draws = torch.Generator().manual_seed(2)
        width = found["esm.embeddings.word_embeddings.weight"].shape[1]
        found["esm.embeddings.position_embeddings.weight"] = 0.02 * torch.randn(40, width, generator=draws)
    return found


def write_settings(folder: Path, heads: int, positions: str, **more: Any) -> None:
    """The ``config.json`` beside weights of Hugging Face."""
    said = {"model_type": "esm", "num_attention_heads": heads, "position_embedding_type": positions, **more}
    (folder / "config.json").write_text(json.dumps(said))


def saved(content: Any, path: Path) -> Path:
    torch.save(content, path)
    return path


def both(peer: Peer, texts: list[str] = TEXTS) -> tuple[Tensor, Sequences]:
    """The same texts as padded tokens of fair-esm (B, L) and as our packed ones."""
    convert = peer.alphabet.get_batch_converter()
    tokens = convert([(str(number), text) for number, text in enumerate(texts)])[2]
    return tokens, join([row[row != PADDING] for row in tokens])


def unpadded(padded: Tensor, batch: Sequences) -> Tensor:
    """(B, L, ...) -> (T, ...)."""
    return torch.cat([row[:length] for row, length in zip(padded, batch.lengths.tolist(), strict=True)])


def far(ours: Tensor, theirs: Tensor) -> float:
    """Greatest difference, relative to the greatest value."""
    assert ours.shape == theirs.shape
    return ((ours - theirs).abs().max() / theirs.abs().max()).item()
