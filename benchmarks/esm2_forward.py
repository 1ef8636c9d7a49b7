"""Forward pass of ESM-2 on proteins of unequal length, logits of all tokens: python -m benchmarks.esm2_forward [--size 650m]

The same weights everywhere, in bfloat16 on a GPU and in float32 on a CPU. Ours reads the sequences packed; the peers of
``esm2_step`` read them padded to the longest. Also prints residues a second and which share that is of the largest product of
matrices that the device was seen to make in the same type.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from benchmarks.esm2_step import padded, peers, proteins
from benchmarks.timing import Case, one_time, run
from core.cli.recipes import build_recipe, find_recipe
from mmbio.config import ESM2Recipe
from mmbio.models.esm2 import ESM2
from mmbio.proteins.alphabet import ESM
from mmbio.sequences import Sequences

TIMES = 5  # of which the least counts


def flops(model: ESM2, batch: Sequences) -> float:
    """Multiplications and additions of a forward pass: products with weights, and of queries, keys and values."""
    config = model.config
    weights = sum(layer.weight.numel() for layer in model.modules() if isinstance(layer, torch.nn.Linear))
    weights += len(model.vocabulary) * config.dim  # the tied head
    pairs = float(batch.lengths.double().square().sum())
    return 2.0 * (weights * len(batch.ids) + 2 * config.depth * config.dim * pairs)


def matmul_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Operations a second of the largest product of two matrices that is tried."""
    size = 8192 if device.type == "cuda" else 1024
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    return 2 * size**3 / (seconds(lambda: a @ b, device))


def seconds(function: Callable[[], object], device: torch.device) -> float:
    """The least time of a call, after one that is not timed."""
    function()
    return min(one_time(function, device, 1)[0] for _ in range(TIMES)) / 1e3


def say_throughput(
    model: ESM2, batch: Sequences, logits: Callable[[], Tensor], device: torch.device, dtype: torch.dtype
) -> None:
    torch.set_num_threads(1)
    taken, peak = seconds(logits, device), matmul_rate(device, dtype)
    rate = flops(model, batch) / taken
    where = "" if device.type == "cuda" else ", one thread"
    print(
        f"{len(batch.ids) / taken:,.0f} tokens/s{where}, {rate / 1e12:.2f} TFLOP/s, {rate / peak:.2f} of a matrix product's "
        f"{peak / 1e12:.2f} ({str(dtype).removeprefix('torch.')})"
    )


def cases(size: str, device: torch.device) -> list[Case]:
    """One case with every peer that is installed, after its logits were compared with ours."""
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    torch.manual_seed(0)
    recipe = build_recipe(find_recipe("mmbio", f"esm2_{size}"), ESM2Recipe)
    model, batch = ESM2(recipe.model).eval(), proteins()
    read = padded(batch, batch.ids, ESM.pad_id).to(device)
    others = peers(model)
    model, batch = model.to(device, dtype), batch.to(device)
    own = forward(lambda: model.logits(batch))
    say_throughput(model, batch, own, device, dtype)
    found = {}
    for peer in others:
        peer.module.to(device, dtype).eval()
        found[peer.name] = forward(partial(peer.logits, read))
        given, expected = found[peer.name]()[read != ESM.pad_id].float(), own().float()
        difference = float((given - expected).norm() / expected.norm())
        print(f"{peer.name}: logits differ by {difference:.1e} of their norm")
        if not difference < (1e-4 if dtype == torch.float32 else 0.05):
            raise AssertionError(f"{peer.name}: other logits than ours")
    lengths, kind = batch.lengths, str(dtype).removeprefix("torch.")
    name = f"{size}, {kind}, {len(batch)} proteins of {int(lengths.min())} to {int(lengths.max())} tokens"
    return [Case(name, own, found)]


def forward(logits: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """The same without gradients."""
    return torch.no_grad()(lambda: logits())


if __name__ == "__main__":
    words = sys.argv
    size = words.pop(words.index("--size") + 1) if "--size" in words else ""
    if "--size" in words:
        words.remove("--size")
    run(
        "Forward pass of ESM-2", lambda device: cases(size or ("650m" if device.type == "cuda" else "8m"), device), 5, 1
    )
