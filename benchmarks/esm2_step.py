"""One training step of the 8M ESM-2 on proteins of unequal length: python -m benchmarks.esm2_step

Forward pass, cross-entropy of the masked residues and backward pass, with the same weights and masks everywhere. Ours reads
the sequences packed. fair-esm (``pip install fair-esm``) and EsmForMaskedLM of transformers with its fused attention read
them padded to the longest, which is how both are used; a peer that is not installed is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.timing import Case, installed, run
from core.random import generator
from mmbio.config import ESM2Config
from mmbio.models.esm2 import ESM2
from mmbio.models.esm_names import plain_names
from mmbio.models.esm_official import to_official
from mmbio.proteins.alphabet import ESM, STANDARD
from mmbio.sequences import Sequences, join

BATCH, MEAN, LONGEST = 16, 200, 760
UNSCORED = -100


def proteins() -> Sequences:
    """Random residues; lengths are log-normal as those of proteins are, the longest as long as said."""
    draws = generator("proteins")
    lengths = torch.exp(0.7 * torch.randn(BATCH, generator=draws))
    lengths = (lengths / lengths.mean() * MEAN).round().long().clamp(30, LONGEST)
    lengths[lengths.argmax()] = LONGEST
    letters = torch.tensor([ESM.ids[letter] for letter in STANDARD])
    return join([ESM.wrap(letters[torch.randint(20, (n,), generator=draws)].tolist()) for n in lengths.tolist()])


def padded(batch: Sequences, ids: Tensor, value: int) -> Tensor:
    """Something of every token as a peer reads it, short sequences filled up: (T,) -> (B, L)."""
    return nn.utils.rnn.pad_sequence(list(ids.split(batch.lengths.tolist())), True, value)


class Peer(NamedTuple):
    """A module with a model's weights, and the logits it gives for padded ids: (B, L) -> (B, L, K)."""

    name: str
    module: nn.Module
    logits: Callable[[Tensor], Tensor]


def peers(model: ESM2) -> list[Peer]:
    """Those that are installed, with the weights of a model on the CPU.

    Raises:
        SystemExit: none is.
    """
    found = []
    for distribution, words, make in (("fair-esm", "", fair_esm), ("transformers", " sdpa", transformers)):
        name = installed(distribution)
        if name:
            found.append(Peer(f"{name}{words}, padded", *make(model)))
        else:
            print(f"{distribution}: left out, it is not installed")
    if not found:
        raise SystemExit("neither fair-esm nor transformers is installed")
    return found


def fair_esm(model: ESM2) -> tuple[nn.Module, Callable[[Tensor], Tensor]]:
    """fair-esm's module with a model's weights."""
    import esm

    alphabet = esm.data.Alphabet.from_architecture("ESM-1b")
    peer = esm.model.esm2.ESM2(model.config.depth, model.config.dim, model.config.heads, alphabet)
    peer.load_state_dict({**peer.state_dict(), **to_official(model)})
    peer.contact_head.requires_grad_(False)
    return peer, lambda read: peer(read)["logits"]


def transformers(model: ESM2) -> tuple[nn.Module, Callable[[Tensor], Tensor]]:
    """EsmForMaskedLM with a model's weights."""
    from transformers import EsmConfig, EsmForMaskedLM

    config = EsmConfig(
        vocab_size=len(ESM), mask_token_id=ESM.mask_id, pad_token_id=ESM.pad_id, hidden_size=model.config.dim,
        num_hidden_layers=model.config.depth, num_attention_heads=model.config.heads, intermediate_size=4 * model.config.dim,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, max_position_embeddings=1026, layer_norm_eps=1e-5,
        position_embedding_type="rotary", token_dropout=True, emb_layer_norm_before=False, tie_word_embeddings=True,
    )  # fmt: skip
    config._attn_implementation = "sdpa"
    peer: Any = EsmForMaskedLM(config)
    official = to_official(model)
    own = plain_names(peer.state_dict()).weights
    if own.keys() != official.keys():
        raise AssertionError(f"weights without a counterpart: {sorted(own.keys() ^ official.keys())}")
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(official[name])
    return peer, lambda read: peer(input_ids=read, attention_mask=(read != ESM.pad_id).long()).logits


def loss_of(peer: Peer, read: Tensor, scored: Tensor) -> Tensor:
    """A peer's cross-entropy of the masked residues."""
    return F.cross_entropy(peer.logits(read).flatten(0, 1), scored.flatten(), ignore_index=UNSCORED)


def step(model: nn.Module, loss: Callable[[], Tensor]) -> Callable[[], float]:
    """Forward and backward pass; gradients are thrown away before, not timed apart."""

    def both() -> float:
        model.zero_grad(set_to_none=True)
        value = loss()
        value.backward()
        return value.item()

    return both


def cases(device: torch.device) -> list[Case]:
    """One case with every peer that is installed, after its loss was compared with ours."""
    torch.manual_seed(0)
    model, batch = ESM2(ESM2Config()).train(), proteins()
    mask = model.draw_mask(batch, [generator(0, number) for number in range(len(batch))])
    read = padded(batch, mask.write(batch.ids), ESM.pad_id).to(device)
    scored = padded(batch, torch.where(mask.hidden, batch.ids, UNSCORED), UNSCORED).to(device)
    others = peers(model)
    model, batch, mask = model.to(device), batch.to(device), mask.to(device)
    ours = step(model, lambda: model(batch, mask).loss)
    print(f"{len(batch)} sequences, {len(batch.ids)} tokens packed, {read.numel()} padded; {len(mask.written)} scored")
    found, goals = {}, {"fair-esm": 3.0 if device.type == "cpu" else 2.0, "transformers": 2.0}
    for peer in others:
        theirs = step(peer.module.to(device).train(), partial(loss_of, peer, read, scored))
        mine, other = ours(), theirs()
        if not abs(mine - other) < 1e-4 * abs(other):
            raise AssertionError(f"{peer.name}: loss {other}, ours {mine}")
        print(f"{peer.name}: loss {other:.7f}, ours {mine:.7f}")
        found[peer.name] = theirs
    lengths = batch.lengths
    name = f"8M, {len(batch)} proteins of {int(lengths.min())} to {int(lengths.max())} tokens"
    return [Case(name, ours, found, tuple(goals[peer.split()[0]] for peer in found))]


if __name__ == "__main__":
    run("Training step of ESM-2", cases, repeats=3, warmup=1)
