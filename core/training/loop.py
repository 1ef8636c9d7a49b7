"""The training loop: one explicit loop for pretraining, tokenizers and fine-tuning."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies import ModelParallelStrategy
from torch import Tensor, nn

from core.errors import Interrupted, UserError
from core.memory import give_back_memory
from core.random import derive_seed
from core.training.checkpoint import load_checkpoint, save_checkpoint
from core.training.config import OptimConfig, RunConfig, TrainConfig
from core.training.data import Microbatch, TrainingData, lengths_of, make_plan, microbatches
from core.training.optim import learning_rate, new_optimizer
from core.training.progress import Progress
from core.training.run import RunFolder
from core.training.trackers import Trackers

TRIM_SECONDS = 20.0  # between two times of giving memory back

# (wrapped model, microbatch on the device, seed) -> (loss, named parts without gradient)
Step = Callable[[nn.Module, Microbatch, int], tuple[Tensor, dict[str, Tensor]]]


class FitResult(NamedTuple):
    """Steps in all, steps of this call, seconds of this call, and samples a second over it.

    ``counted`` is what else batches are measured by, and how much of it a second; None where that is nothing.
    """

    steps: int
    steps_now: int
    seconds: float
    samples_per_second: float
    counted: tuple[str, float] | None = None

    @property
    def speed(self) -> str:
        """Throughput in words: samples, and what else is counted."""
        said = f"{self.samples_per_second:.1f} samples/s"
        return said if self.counted is None else f"{said}, {self.counted[1]:,.0f} {self.counted[0]}/s"


def make_fabric(run: RunConfig, precision: str) -> Fabric:
    """Devices, processes and precision.

    Raises:
        UserError: a GPU is asked for and there is none, or fewer than asked for.
    """
    if run.accelerator == "gpu" and not torch.cuda.is_available():
        raise UserError("run.accelerator gpu: no GPU that torch can use was found; --run.accelerator cpu runs without")
    if precision == "16-mixed" and (run.accelerator == "cpu" or not torch.cuda.is_available()):
        raise UserError("train.precision 16-mixed: needs a GPU; take bf16-mixed or 32-true on a CPU")
    gpus = torch.cuda.device_count() if run.accelerator != "cpu" else 0
    if gpus and run.devices > gpus:
        raise UserError(f"run.devices {run.devices}: this machine has {gpus}")
    strategy: Any = run.strategy
    if run.strategy == "fsdp":
        strategy = ModelParallelStrategy(shard, data_parallel_size=run.devices * run.nodes, tensor_parallel_size=1)
    return Fabric(
        accelerator="gpu" if gpus else "cpu",
        devices=run.devices,
        num_nodes=run.nodes,
        strategy=strategy,
        precision=precision,  # type: ignore[arg-type]
    )


def shard(model: nn.Module, mesh: Any) -> nn.Module:
    """Shard every block of a stack, and then what is left, over the processes (FSDP).

    Blocks are the members of a module list that is called ``blocks``, as every transformer here calls them.
    """
    from torch.distributed.fsdp import fully_shard

    for module in list(model.modules()):
        stack = getattr(module, "blocks", None)
        for block in stack if isinstance(stack, nn.ModuleList) else ():
            fully_shard(block, mesh=mesh["data_parallel"])
    fully_shard(model, mesh=mesh["data_parallel"])
    return model


def fit(
    folder: RunFolder,
    fabric: Fabric,
    model: nn.Module,
    data: TrainingData,
    step: Step,
    optim: OptimConfig,
    train: TrainConfig,
    run: RunConfig,
    after_step: Callable[[int], None] | None = None,
    after_epoch: Callable[[int], dict[str, float] | None] | None = None,
    before_step: Callable[[int], None] | None = None,
    counted: tuple[str, Callable[[Any], int]] | None = None,
    enough: Callable[[int], bool] | None = None,
) -> FitResult:
    """Train a model to the end of its schedule, from wherever its run folder stands.

    Order, augmentation and masks are functions of (seed, epoch, sample); dropout of (seed, step, process). Resuming
    therefore needs no random state, and gives bit-identical losses on a CPU.

    Args:
        folder: an open run folder.
        fabric: launched devices.
        model: its weights already initialised or loaded; ``new_optimizer`` optimises what requires gradient.
        step: computes loss and parts of one microbatch.
        after_step: called with the number of steps done (an EMA teacher moves here).
        after_epoch: called with the number of epochs done, on every process, the model in training mode; scores that
            it gives are logged, a FloatingPointError that it raises says that training diverged.
        before_step: called with the number of the step when its gradients are there, before any weight moves.
        counted: (name, function): what the batches of all processes hold by it is logged a second, as ``name_per_second``.
        enough: called with the number of epochs done, behind ``after_epoch``; the training ends where the main process's says
            so, and stays ended when it is resumed.

    Raises:
        UserError: batch sizes that do not fit, a loss that is not finite, a disk that is full.
        Interrupted: SIGINT or SIGTERM came; the state is saved.
    """
    if run.threads:
        torch.set_num_threads(run.threads)
    plan = make_plan(len(data), train, fabric.world_size, lengths_of(data))
    total = plan.steps_per_epoch * train.epochs
    compiled = torch.compile(model) if run.compile else model
    wrapped = fabric.setup_module(compiled)  # type: ignore[arg-type]
    optimizer: Any = fabric.setup_optimizers(new_optimizer(model, optim, fused=train.precision != "16-mixed"))
    progress = load_checkpoint(folder.state, model, optimizer.optimizer)
    first = int(progress["step"])
    if first > total:
        raise UserError(f"{folder.path}: its state is of step {first}, and this training has {total} steps")
    if progress.get("ended"):
        total = first
    if progress.get("scaler"):
        fabric.strategy.precision.load_state_dict(progress["scaler"])
    if fabric.is_global_zero:
        folder.truncate_metrics(first)
    trackers = Trackers(run.trackers if fabric.is_global_zero else (), folder.path)

    def save(done: int, ended: bool = False) -> None:
        extra = {"epoch": done / plan.steps_per_epoch, "scaler": fabric.strategy.precision.state_dict()}
        extra |= {"ended": True} if ended else {}
        problem = None
        try:
            save_checkpoint(folder.state, done, model, optimizer.optimizer, extra, fabric.is_global_zero)
        except OSError as error:
            problem = (
                f"{folder.state}: checkpoint of step {done} could not be written ({error.strerror or error}); "
                "the one before is whole: make room and go on with --resume"
            )
        except FloatingPointError as error:
            problem = _not_finite(done, str(error), folder.path)
        raise_everywhere(fabric, problem)

    wrapped.train()
    batches = microbatches(data, plan, first, total, fabric.global_rank, run.workers, pin=fabric.device.type == "cuda")
    begin = logged = saved = trimmed = time.monotonic()
    finite = torch.ones((), dtype=torch.bool, device=fabric.device)  # looked at when logging and before saving
    logged_step, seen, seen_in_all = first, 0, 0
    with Progress(total, first, None if fabric.is_global_zero else False) as bar, _stop_signals() as stop, trackers:
        for done in range(first + 1, total + 1):
            epoch = (done - 1) / plan.steps_per_epoch
            rate = learning_rate(optim, epoch, train.epochs)
            for group in optimizer.param_groups:
                group["lr"] = rate
            report = done % run.log_steps == 0 or done == total
            sums: dict[str, Tensor] = {}
            for part in range(train.accumulate):
                micro = next(batches)
                micro = Microbatch(fabric.to_device(micro.batch), micro.places)
                own = 0 if counted is None else counted[1](micro.batch)
                seen, seen_in_all = seen + own, seen_in_all + own
                torch.manual_seed(derive_seed(train.seed, done, part, fabric.global_rank, "dropout"))
                with fabric.no_backward_sync(wrapped, enabled=part + 1 < train.accumulate and run.strategy != "fsdp"):
                    loss, parts = step(wrapped, micro, train.seed)
                    fabric.backward(loss / train.accumulate)
                for name, value in {"loss": loss.detach(), **parts}.items():
                    sums[name] = sums.get(name, 0) + value.float() / train.accumulate
            if before_step is not None:
                before_step(done)
            if optim.clip_norm is not None:
                fabric.clip_gradients(wrapped, optimizer, max_norm=optim.clip_norm, error_if_nonfinite=False)
            optimizer.step()
            optimizer.zero_grad()
            if after_step is not None:
                after_step(done)
            row = None
            if report:
                now = time.monotonic()
                means: Any = fabric.all_reduce(torch.stack(list(sums.values())), reduce_op="mean")
                row = {
                    "step": done,
                    "epoch": done / plan.steps_per_epoch,
                    **dict(zip(sums, means.tolist(), strict=True)),
                    "lr": rate,
                }
                row["samples_per_second"] = (done - logged_step) * train.batch_size / max(now - logged, 1e-9)
                if counted is not None:
                    all_seen: Any = fabric.all_reduce(torch.tensor(float(seen), device=fabric.device), reduce_op="sum")
                    row[f"{counted[0]}_per_second"] = float(all_seen) / max(now - logged, 1e-9)
                logged, logged_step, seen = now, done, 0
                if fabric.is_global_zero:
                    _append(folder.metrics, row)
                    trackers.log(row)
            bar.update(done, row)
            if fabric.device.type == "cpu" and time.monotonic() - trimmed > TRIM_SECONDS:
                give_back_memory()
                trimmed = time.monotonic()
            finite &= sums["loss"].isfinite()
            whole_epoch = done % plan.steps_per_epoch == 0
            if whole_epoch and after_epoch is not None:
                problem = None
                scores: dict[str, float] = {}
                try:
                    scores = after_epoch(done // plan.steps_per_epoch) or {}
                except UserError as error:
                    problem = str(error)
                except FloatingPointError as error:
                    problem = _not_finite(done, str(error), folder.path)
                raise_everywhere(fabric, problem)
                if scores and fabric.is_global_zero:
                    _append(folder.metrics, {"step": done, "epoch": done / plan.steps_per_epoch, **scores})
            ending = whole_epoch and enough is not None and enough(done // plan.steps_per_epoch)
            ending = bool(fabric.broadcast(ending)) if fabric.world_size > 1 else ending
            stopping = bool(fabric.broadcast(stop.is_set())) if fabric.world_size > 1 else stop.is_set()
            if run.save_steps:
                due = done % run.save_steps == 0
            else:
                due = whole_epoch and time.monotonic() - saved > run.save_seconds
                due = bool(fabric.broadcast(due)) if fabric.world_size > 1 else due
            due = due or stopping or ending or done == total
            if (report or due) and fabric.all_reduce(finite.float(), reduce_op="mean") != 1:
                said = ", ".join(f"{name} {float(value):.4g}" for name, value in sums.items())
                raise UserError(_not_finite(done, f"the loss is not finite: {said}", folder.path))
            if due:
                save(done, ending)
                saved = time.monotonic()
            if ending:
                total = done
                break
            if stopping and done < total:
                raise Interrupted(f"stopped after step {done} of {total}; the state is saved in {folder.path}")
    seconds = time.monotonic() - begin
    whole = max(seconds, 1e-9)
    also = None
    if counted is not None:
        held: Any = fabric.all_reduce(torch.tensor(float(seen_in_all), device=fabric.device), reduce_op="sum")
        also = (counted[0], float(held) / whole)
    return FitResult(total, total - first, seconds, (total - first) * train.batch_size / whole, also)


def raise_everywhere(fabric: Fabric, problem: str | None) -> None:
    """Raise the main process's problem as a UserError in all processes, so that none waits for ever."""
    problem = fabric.broadcast(problem) if fabric.world_size > 1 else problem
    if problem is not None:
        raise UserError(problem)


def _append(path: Path, row: dict[str, Any]) -> None:
    try:
        with path.open("a") as file:
            file.write(json.dumps(row) + "\n")
    except OSError as error:
        raise UserError(f"{path}: could not be written ({error.strerror or error})") from error


def _not_finite(step: int, what: str, folder: Path) -> str:
    return (
        f"training diverged at or shortly before step {step} ({what}); {folder} keeps the last good checkpoint. "
        "Lower optim.lr or set optim.clip_norm"
    )


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """SIGINT and SIGTERM ask for a stop after the current step; a second SIGINT stops at once."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def ask(number: int, frame: Any) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
