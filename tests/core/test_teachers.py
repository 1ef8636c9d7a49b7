"""Teachers learn by averaging and in no other way."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from core.teachers import EMATeacher, FrozenTeacher


def network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2))


def test_average_is_exact() -> None:
    student = network()
    teacher = EMATeacher(student, 0.75)
    start = [p.clone() for p in student.parameters()]
    for p in student.parameters():
        p.data += torch.randn_like(p)
    first = [p.clone() for p in student.parameters()]
    teacher.update(student)
    for p in student.parameters():
        p.data -= torch.randn_like(p)
    teacher.update(student, momentum=0.5)
    for own, a, b, c in zip(teacher.module.parameters(), start, first, student.parameters(), strict=True):
        expected = 0.5 * (0.75 * a.double() + 0.25 * b.double()) + 0.5 * c.double()
        assert torch.allclose(own.double(), expected, atol=1e-6)


def test_momentum_at_its_ends() -> None:
    student, other = network(), network(1)
    still, copying = EMATeacher(student, 1.0), EMATeacher(student, 0.0)
    still.update(other)
    copying.update(other)
    for p, q in zip(still.module.parameters(), student.parameters(), strict=True):
        assert torch.equal(p, q)
    for p, q in zip(copying.module.parameters(), other.parameters(), strict=True):
        assert torch.equal(p, q)
    for momentum in (-0.1, 1.1):
        with pytest.raises(ValueError, match="momentum"):
            EMATeacher(student, momentum)


def test_buffers_are_copied() -> None:
    student = network()
    teacher = EMATeacher(student, 0.9)
    student.train()(torch.randn(8, 3))
    teacher.update(student)
    for (name, own), (_, theirs) in zip(teacher.module.named_buffers(), student.named_buffers(), strict=True):
        assert torch.equal(own, theirs), name


def test_a_teacher_that_drops_out() -> None:
    student = network()
    teacher = EMATeacher(student, 0.5, dropout=True)
    model = nn.ModuleDict({"student": student, "teacher": teacher})
    assert all(m.training for m in teacher.modules())  # as the student, from the start
    x = torch.randn(64, 3, requires_grad=True)
    assert not torch.equal(teacher(x), teacher(x))
    assert not teacher(x).requires_grad
    model.eval()
    assert not any(m.training for m in teacher.modules())
    assert torch.equal(teacher(x), teacher(x))
    model.train()
    assert all(m.training for m in teacher.module.modules())
    start, moved = teacher.module[0].weight.clone(), student[0].weight.detach() + 1  # type: ignore[index]
    with torch.no_grad():
        student[0].weight += 1  # type: ignore[operator]
    teacher.update(student)
    assert torch.allclose(teacher.module[0].weight, (start + moved) / 2)  # type: ignore[index]


@pytest.mark.parametrize("make", [FrozenTeacher, lambda m: EMATeacher(m, 0.9)])
def test_nothing_else_moves_a_teacher(make: type[FrozenTeacher]) -> None:
    student = network()
    teacher = make(student)
    model = nn.ModuleDict({"student": student, "teacher": teacher}).train()
    assert student.training
    assert not any(m.training for m in teacher.module.modules())
    assert not any(p.requires_grad for p in teacher.parameters())
    before = {name: t.clone() for name, t in teacher.state_dict().items()}
    x = torch.randn(8, 3, requires_grad=True)
    target = teacher(x)
    assert not target.requires_grad
    assert torch.equal(target, teacher(x))  # no dropout
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    (student(x) - target).square().mean().backward()
    optimizer.step()
    for name, tensor in teacher.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert not torch.equal(student[0].weight, teacher.module[0].weight)  # type: ignore[index]


def test_a_teacher_with_batch_statistics_of_its_own() -> None:
    student = network()
    teacher = EMATeacher(student, 0.0, buffers=False)
    student.train()(torch.randn(8, 3))
    with torch.no_grad():
        student[0].weight.add_(1.0)
    before = {name: buffer.clone() for name, buffer in teacher.module.named_buffers()}
    teacher.update(student)
    for name, buffer in teacher.module.named_buffers():
        assert torch.equal(buffer, before[name]), name
    for own, theirs in zip(teacher.module.parameters(), student.parameters(), strict=True):
        assert torch.equal(own, theirs)
