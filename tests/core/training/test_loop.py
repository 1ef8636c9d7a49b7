"""The loop: it learns, resumes bit-identically from anywhere, and never keeps a broken or half-written state."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_training
import torch
from safetensors.torch import load_file
from tiny_training import Tiny, TinyData, TinyRecipe, determined_weights, losses, recipe, started, train
from torch import Tensor, nn

from core import files
from core.errors import Interrupted, UserError
from core.random import derive_seed
from core.training.checkpoint import checkpoints
from core.training.data import Microbatch
from core.training.job import masked_step
from core.training.loop import FitResult, Step, fit, make_fabric
from core.training.run import RunFolder

TOTAL = 18  # steps: 3 epochs of 26 // 4 batches


def fit_tiny(
    folder: Path,
    settings: TinyRecipe,
    after_step: Callable[[int], None] | None = None,
    after_epoch: Callable[[int], None] | None = None,
    wrap: Callable[[Step], Step] = lambda step: step,
    enough: Callable[[int], bool] | None = None,
) -> tuple[Tiny, FitResult]:
    """The loop alone, with hooks; leaves the final weights beside the metrics."""
    fabric = make_fabric(settings.run, settings.train.precision)
    torch.manual_seed(derive_seed(settings.train.seed, "weights"))
    model = Tiny(settings.model)
    folder.mkdir(exist_ok=True)
    data = TinyData(settings.samples, settings.slow)
    step = wrap(masked_step(model))
    result = fit(
        RunFolder(folder),
        fabric,
        model,
        data,
        step,
        settings.optim,
        settings.train,
        settings.run,
        after_step,
        after_epoch,
        enough=enough,
    )
    model.save_pretrained(folder)
    return model, result


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run."""
    folder = tmp_path_factory.mktemp("whole")
    torch.set_num_threads(1)
    fit_tiny(folder, recipe())
    return folder


def assert_same(folder: Path, whole: Path) -> None:
    assert losses(folder) == losses(whole)
    ours, theirs = (load_file(f / "weights.safetensors") for f in (folder, whole))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


class Crash(Exception):
    pass


def crash_at(step: int) -> Callable[[int], None]:
    def after_step(done: int) -> None:
        if done == step:
            raise Crash

    return after_step


def test_the_loss_falls(tmp_path: Path) -> None:
    settings = recipe(train={"epochs": 50}, model={"drop_path": 0.0}, run={"save_steps": 0})
    _, result = fit_tiny(tmp_path, settings)
    values = [loss for _, loss in losses(tmp_path)]
    assert result.steps == result.steps_now == len(values) == 300
    assert sum(values[-24:]) < 0.5 * sum(values[:24])


def test_rows_say_step_epoch_and_rate(whole: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in (whole / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(1, TOTAL + 1))
    assert rows[8]["epoch"] == pytest.approx(1.5)
    assert rows[0]["lr"] == pytest.approx(1e-6)
    assert set(rows[0]) == {"step", "epoch", "loss", "lr", "samples_per_second"}
    fit_tiny(tmp_path, recipe(run={"log_steps": 5}))
    assert losses(tmp_path) == [row for row in losses(whole) if row[0] % 5 == 0 or row[0] == TOTAL]


def test_same_seed_same_run_other_seed_other_run(whole: Path, tmp_path: Path) -> None:
    torch.rand(17)  # the state of the default generator must not matter
    fit_tiny(tmp_path / "a", recipe())
    assert_same(tmp_path / "a", whole)
    fit_tiny(tmp_path / "b", recipe(train={"seed": 1}))
    assert losses(tmp_path / "b") != losses(whole)


@pytest.mark.parametrize("step", [1, 5, 9, 18])
def test_a_crash_at_any_step_resumes_bit_identically(whole: Path, tmp_path: Path, step: int) -> None:
    with pytest.raises(Crash):
        fit_tiny(tmp_path, recipe(), crash_at(step))
    _, result = fit_tiny(tmp_path, recipe())
    assert result.steps_now == TOTAL - (step - 1) // 2 * 2
    assert_same(tmp_path, whole)


def test_crash_and_resume_with_a_loading_process(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(Crash):
        fit_tiny(tmp_path, recipe(run={"workers": 1}), crash_at(8))
    fit_tiny(tmp_path, recipe(run={"workers": 1}))
    assert_same(tmp_path, whole)


def test_crash_and_resume_while_accumulating_and_clipping(tmp_path: Path) -> None:
    settings = recipe(train={"accumulate": 2}, optim={"clip_norm": 0.5})
    fit_tiny(tmp_path / "whole", settings)
    with pytest.raises(Crash):
        fit_tiny(tmp_path / "cut", settings, crash_at(6))
    fit_tiny(tmp_path / "cut", settings)
    assert_same(tmp_path / "cut", tmp_path / "whole")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_stop_after_the_step_and_save(whole: Path, tmp_path: Path, number: signal.Signals) -> None:
    handler = signal.getsignal(number)
    with pytest.raises(Interrupted, match="after step 7 of 18; the state is saved"):
        fit_tiny(
            tmp_path,
            recipe(run={"save_steps": 0}),
            lambda done: os.kill(os.getpid(), number) if done == 7 else None,
        )
    assert signal.getsignal(number) == handler
    assert [p.name for p in checkpoints(tmp_path / "state")] == ["step-000000007"]
    _, result = fit_tiny(tmp_path, recipe())
    assert result.steps_now == TOTAL - 7
    assert_same(tmp_path, whole)


def test_a_second_interrupt_stops_at_once(tmp_path: Path) -> None:
    def twice(done: int) -> None:
        if done == 3:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.1)

    with pytest.raises(KeyboardInterrupt):
        fit_tiny(tmp_path, recipe(), twice)
    assert [p.name for p in checkpoints(tmp_path / "state")] == ["step-000000002"]


def test_a_signal_in_the_last_step_finishes(whole: Path, tmp_path: Path) -> None:
    fit_tiny(tmp_path, recipe(), lambda done: os.kill(os.getpid(), signal.SIGINT) if done == TOTAL else None)
    assert_same(tmp_path, whole)


def test_resuming_a_finished_run_changes_nothing(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, tmp_path / "run")
    _, result = fit_tiny(tmp_path / "run", recipe())
    assert result.steps_now == 0
    assert_same(tmp_path / "run", whole)


def test_two_checkpoints_are_kept(whole: Path) -> None:
    assert sorted(os.listdir(whole / "state")) == ["step-000000016", "step-000000018"]
    progress = json.loads((whole / "state" / "step-000000018" / "progress.json").read_text())
    assert progress["step"] == TOTAL
    assert progress["epoch"] == pytest.approx(3)


def test_what_a_killed_process_left_is_cleared(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(Crash):
        fit_tiny(tmp_path, recipe(), crash_at(6))
    (tmp_path / "state" / ".partial-1").mkdir()
    (tmp_path / "state" / ".partial-1" / "state.safetensors").write_bytes(b"half")
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 7, "lo')
    fit_tiny(tmp_path, recipe())
    assert_same(tmp_path, whole)
    assert len(os.listdir(tmp_path / "state")) == 2


def test_accumulating_equals_the_whole_batch(tmp_path: Path) -> None:
    quiet: dict[str, Any] = {"batch_norm": False, "drop_path": 0.0}
    results = []
    for parts in (1, 2, 4):
        settings = recipe(model=quiet, train={"accumulate": parts})
        fit_tiny(tmp_path / str(parts), settings)
        results.append((losses(tmp_path / str(parts)), determined_weights(tmp_path / str(parts))))
    for rows, weights in results[1:]:
        for (_, loss), (_, expected) in zip(rows, results[0][0], strict=True):
            assert loss == pytest.approx(expected, rel=1e-4)
        for name, tensor in weights.items():
            assert torch.allclose(tensor, results[0][1][name], atol=1e-4, equal_nan=True), name


def test_the_epoch_hook_counts_epochs(tmp_path: Path) -> None:
    epochs: list[int] = []
    steps: list[int] = []
    fit_tiny(tmp_path, recipe(), steps.append, epochs.append)
    assert epochs == [1, 2, 3]
    assert steps == list(range(1, TOTAL + 1))


def test_training_ends_where_it_is_enough_and_stays_ended(tmp_path: Path) -> None:
    asked: list[int] = []

    def enough(epoch: int) -> bool:
        asked.append(epoch)
        return epoch == 2

    settings = recipe(train={"epochs": 3})
    model, result = fit_tiny(tmp_path / "run", settings, enough=enough)
    assert asked == [1, 2]
    assert (result.steps, result.steps_now) == (12, 12)
    again, resumed = fit_tiny(tmp_path / "run", settings, enough=enough)
    assert (resumed.steps, resumed.steps_now) == (12, 0)
    assert asked == [1, 2]
    for one, other in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)


def poisoned(at: int, what: Callable[[Tensor], Tensor]) -> Callable[[Step], Step]:
    """A step whose loss is spoiled from one call on."""

    def wrap(step: Step) -> Step:
        calls = 0

        def spoiled(wrapped: nn.Module, micro: Microbatch, seed: int) -> tuple[Tensor, dict[str, Tensor]]:
            nonlocal calls
            calls += 1
            loss, parts = step(wrapped, micro, seed)
            return (what(loss) if calls == at else loss), parts

        return spoiled

    return wrap


def assert_checkpoints_are_finite(folder: Path, newest: int) -> None:
    found = checkpoints(folder / "state")
    assert int(found[-1].name.removeprefix("step-")) == newest
    for checkpoint in found:
        assert all(t.isfinite().all() for t in load_file(checkpoint / "state.safetensors").values())


@pytest.mark.parametrize(
    "what",
    [
        lambda loss: loss * float("nan"),
        lambda loss: loss * float("inf"),
        lambda loss: loss + 0 * (loss - loss.detach()).sqrt(),
    ],
    ids=["nan", "inf", "nan gradient of a finite loss"],
)
@pytest.mark.parametrize("log_steps", [1, 100])
@pytest.mark.parametrize("at", [7, 8])
def test_a_loss_that_is_not_finite_stops_and_is_not_kept(
    whole: Path, tmp_path: Path, what: Callable[[Tensor], Tensor], log_steps: int, at: int
) -> None:
    settings = recipe(run={"log_steps": log_steps})
    with pytest.raises(UserError, match=r"not finite.*keeps the last good checkpoint") as caught:
        fit_tiny(tmp_path, settings, wrap=poisoned(at, what))
    assert "\n" not in str(caught.value)
    assert_checkpoints_are_finite(tmp_path, 6)
    if log_steps == 1:
        fit_tiny(tmp_path, settings)
        assert_same(tmp_path, whole)


@pytest.mark.parametrize("call", ["fsync", "rename", "open"])
def test_a_full_disk_keeps_the_last_good_checkpoint(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")

    def fail(*arguments: Any, **settings: Any) -> None:
        raise full

    def break_disk(done: int) -> None:
        if done == 7:
            if call == "open":
                monkeypatch.setattr(files.Path, "open", fail)
            else:
                monkeypatch.setattr(os, call, fail)

    with pytest.raises(UserError, match="No space left on device") as caught:
        fit_tiny(tmp_path, recipe(), break_disk)
    assert "\n" not in str(caught.value)
    monkeypatch.undo()
    assert [p.name for p in checkpoints(tmp_path / "state")] == ["step-000000004", "step-000000006"]
    assert len(os.listdir(tmp_path / "state")) == 2
    fit_tiny(tmp_path, recipe())
    assert_same(tmp_path, whole)


def test_checkpoints_of_another_model_are_refused(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, tmp_path / "run")
    with pytest.raises(UserError, match="weights of another architecture"):
        fit_tiny(tmp_path / "run", recipe(model={"dim": 16}))
    newest = checkpoints(tmp_path / "run" / "state")[-1] / "state.safetensors"
    newest.write_bytes(newest.read_bytes()[:1000])
    with pytest.raises(UserError, match="truncated"):
        fit_tiny(tmp_path / "run", recipe())


def test_frozen_parameters_and_tied_weights_resume(tmp_path: Path) -> None:
    def tie(model: Tiny) -> None:
        blocks = model.encoder.transformer.blocks
        blocks[1].mlp = blocks[0].mlp  # type: ignore[union-attr,index]
        blocks[0].attn.requires_grad_(False)  # type: ignore[union-attr,index]

    class TiedTiny(Tiny):
        def __init__(self, config: tiny_training.TinyConfig) -> None:
            super().__init__(config)
            tie(self)

    patch = pytest.MonkeyPatch()
    patch.setattr(sys.modules[__name__], "Tiny", TiedTiny)
    try:
        fit_tiny(tmp_path / "whole", recipe())
        with pytest.raises(Crash):
            fit_tiny(tmp_path / "cut", recipe(), crash_at(9))
        fit_tiny(tmp_path / "cut", recipe())
    finally:
        patch.undo()
    assert_same(tmp_path / "cut", tmp_path / "whole")


def test_a_run_folder_from_start_to_end(whole: Path, tmp_path: Path) -> None:
    train(tmp_path / "run", recipe())
    assert_same(tmp_path / "run", whole)
    assert sorted(os.listdir(tmp_path / "run")) == sorted(
        ["config.yaml", "environment.json", "metrics.jsonl", "model.json", "state", "weights.safetensors"]
    )
    with pytest.raises(UserError, match="holds a run already"):
        train(tmp_path / "run", recipe())
    with pytest.raises(UserError, match=r"train.epochs: 3 -> 4"):
        train(tmp_path / "run", recipe(train={"epochs": 4}), resume=True)
    train(tmp_path / "run", recipe(run={"log_steps": 1, "workers": 0}), resume=True)
    assert_same(tmp_path / "run", whole)


def test_settings_that_cannot_work_leave_no_folder_in_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.training.trackers.find_spec", lambda name: None)
    for settings in ({"batch_size": 27}, {"batch_size": 4, "accumulate": 3}):
        with pytest.raises(UserError, match=r"train.batch_size"):
            train(tmp_path / "run", recipe(train=settings))
    with pytest.raises(UserError, match="tensorboard"):
        train(tmp_path / "run", recipe(run={"trackers": ["tensorboard"]}))
    assert not (tmp_path / "run").exists()


def test_ctrl_c_in_a_terminal_with_loading_processes(tmp_path: Path) -> None:
    """A terminal sends SIGINT to all processes: the loaders must live until the step is done and the state saved."""
    process = started(
        tmp_path / "run",
        slow=0.02,
        train={"epochs": 50, "accumulate": 4},
        run={"workers": 1, "save_steps": 0},
    )
    try:
        print(file=process.stdin, flush=True)
        until = time.monotonic() + 60
        while not (tmp_path / "run" / "metrics.jsonl").exists() and time.monotonic() < until:
            time.sleep(0.05)
        time.sleep(0.15)
        os.killpg(process.pid, signal.SIGINT)
        said, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, errors
    assert "the state is saved" in said
    assert len(checkpoints(tmp_path / "run" / "state")) == 1


def test_an_accelerator_that_is_not_there() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(UserError, match="no GPU"):
        make_fabric(recipe(run={"accelerator": "gpu"}).run, "32-true")
    assert make_fabric(recipe(run={"accelerator": "auto"}).run, "32-true").device.type == "cpu"
