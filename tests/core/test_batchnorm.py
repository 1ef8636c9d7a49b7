"""Batch norm over processes is batch norm of the whole batch."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import torch
from torch import distributed as dist
from torch import multiprocessing, nn

from core.batchnorm import BatchNorm

SHAPES = [(10, 3), (4, 3, 5)]
SINGLE = (1, 3)


def whole_batch(shape: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(len(shape))
    return 3 + 2 * torch.randn(shape), torch.randn(shape)


def layer(kind: type[nn.BatchNorm1d], **settings: float | None) -> nn.BatchNorm1d:
    made = kind(3, **settings)  # type: ignore[arg-type]
    if made.affine:
        made.weight.data = torch.tensor([0.5, 1.0, 2.0])
        made.bias.data = torch.tensor([0.1, 0.2, 0.3])
    return made


KINDS: list[dict[str, float | None]] = [
    {},
    {"momentum": None},
    {"affine": False},
    {"track_running_stats": False},
]
CASES = [(shape, settings) for shape in SHAPES for settings in KINDS] + [(SINGLE, settings) for settings in KINDS[:3]]


def in_process(rank: int, port: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    results = []
    for shape, settings in CASES:
        module = layer(BatchNorm, **settings)
        rows = shape[0] * 6 // 10  # unequal parts
        x, weight = whole_batch(shape)
        part = slice(0, rows) if rank == 0 else slice(rows, None)
        x = x[part].clone().requires_grad_()
        first = module(x)
        second = module(2 * x)
        ((first + second) * weight[part]).sum().backward()
        for p in module.parameters():
            dist.all_reduce(p.grad)
        gradients = {name: p.grad for name, p in module.named_parameters()}
        results.append((first.detach(), x.grad, gradients, module.state_dict(), module.eval()(x).detach()))
    torch.save(results, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_two_processes_compute_the_statistics_of_the_whole_batch(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    multiprocessing.spawn(in_process, (port, str(tmp_path)), nprocs=2)
    parts = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    for (shape, settings), a, b in zip(CASES, *parts, strict=True):
        module = layer(nn.BatchNorm1d, **settings).train(shape != SINGLE)  # a single row has no spread
        x, weight = whole_batch(shape)
        x.requires_grad_()
        first = module(x)
        second = module(2 * x)
        ((first + second) * weight).sum().backward()
        torch.testing.assert_close(torch.cat([a[0], b[0]]), first.detach(), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(torch.cat([a[1], b[1]]), x.grad, rtol=1e-5, atol=1e-5)
        for name, p in module.named_parameters():
            torch.testing.assert_close(a[2][name], p.grad, rtol=1e-5, atol=1e-5)
        for state in (a[3], b[3]):
            torch.testing.assert_close(dict(state), dict(module.state_dict()), rtol=1e-5, atol=1e-5)
        if settings != {"track_running_stats": False}:
            torch.testing.assert_close(torch.cat([a[4], b[4]]), module.eval()(x).detach(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_alone_it_is_torchs_own(shape: tuple[int, ...]) -> None:
    ours, theirs = layer(BatchNorm), layer(nn.BatchNorm1d)
    x, _ = whole_batch(shape)
    assert torch.equal(ours(x), theirs(x))
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    assert torch.equal(ours.eval()(x), theirs.eval()(x))


@pytest.mark.parametrize("shape", [SINGLE, (1, 3, 1)])
def test_a_single_row_is_normalised_as_in_evaluation(shape: tuple[int, ...]) -> None:
    module = layer(BatchNorm)
    module(whole_batch((10, 3))[0])
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    x, _ = whole_batch(shape)
    made = module(x)
    torch.testing.assert_close(dict(module.state_dict()), before, rtol=0, atol=0)
    assert torch.equal(made, module.eval()(x))
    assert not torch.equal(made, x)
