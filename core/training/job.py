"""From settings to a run folder: what pretraining, tokenizers and fine-tuning share."""

from __future__ import annotations

import atexit
import gc
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple, Protocol

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch import distributed as dist

from core.errors import UserError
from core.masked_model import MaskedModel
from core.random import derive_seed
from core.tokenizer import Tokenizer
from core.training.checkpoint import whole_weights
from core.training.config import OptimConfig, RunConfig, TrainConfig
from core.training.data import Microbatch, TrainingData, lengths_of, make_plan
from core.training.loop import FitResult, Step, fit, make_fabric, raise_everywhere
from core.training.run import RunFolder
from core.training.trackers import require_trackers


class Recipe(Protocol):
    """The sections that every recipe has."""

    optim: OptimConfig
    train: TrainConfig
    run: RunConfig


def masked_step(model: MaskedModel) -> Step:
    """The training step of a masked model: masks are drawn outside the forward pass, with a generator a sample."""

    def step(wrapped: nn.Module, micro: Microbatch, seed: int) -> tuple[Tensor, dict[str, Tensor]]:
        mask = model.draw_mask(micro.batch, micro.generators(seed, "mask"))
        output = wrapped(micro.batch, mask)
        terms = {f"loss_{name}": value for name, value in output.parts.items()}
        return output.loss, terms if len(terms) > 1 else {}

    return step


def tokenizer_step(model: Tokenizer) -> Step:
    """The training step of a tokenizer: its noise is drawn outside the forward pass, with a generator a sample."""

    def step(wrapped: nn.Module, micro: Microbatch, seed: int) -> tuple[Tensor, dict[str, Tensor]]:
        output = wrapped(micro.batch, model.draw_noise(micro.batch, micro.generators(seed, "noise")))
        return output.loss, {f"loss_{name}": value for name, value in output.parts.items()}

    return step


class Job(NamedTuple):
    """What is trained: model (with ``save_pretrained``), data, step, and what ``environment.json`` says of the data.

    ``counted`` names what batches are measured by beside samples, and counts it in one (residues of proteins, say).
    ``after_epoch`` and ``after_step`` are called with the number of epochs and steps done, ``before_step`` with that of
    the step whose gradients are there and whose weights have not moved yet; ``enough`` with the number of
    epochs done, to say in the process that writes whether the training ends here; ``finish`` once before the weights are saved.
    """

    model: Any
    data: TrainingData
    step: Step
    said: dict[str, Any]
    after_epoch: Callable[[int], dict[str, float] | None] | None = None
    finish: Callable[[], object] | None = None
    after_step: Callable[[int], None] | None = None
    before_step: Callable[[int], None] | None = None
    counted: tuple[str, Callable[[Any], int]] | None = None
    enough: Callable[[int], bool] | None = None


class Outcome(NamedTuple):
    """A finished training; ``main`` says whether this is the process that writes."""

    job: Job
    result: FitResult
    main: bool

    def wants_report(self, folder: RunFolder) -> bool:
        """Whether this process is to write ``report.html``: it writes, and something was trained or there is none yet."""
        return self.main and (self.result.steps_now > 0 or not (folder.path / "report.html").exists())


def run_training(
    folder: RunFolder, config: dict[str, Any], resume: bool, header: str, recipe: Recipe, make: Callable[[bool], Job]
) -> Outcome:
    """Open a run folder, train in it, and leave ``weights.safetensors`` and ``model.json`` behind.

    Args:
        config: the effective configuration, as it is written to ``config.yaml``.
        resume: go on with the run that is there.
        header: first line of ``config.yaml``.
        make: builds the job; called on every process after torch's seed is set and before anything is written. Its
            argument says whether this is the process that writes.

    Returns:
        The job with its trained model, what the loop says of it, and whether this is the process that writes.

    Raises:
        UserError: everything that :func:`core.training.loop.fit` and :meth:`RunFolder.open` raise.
    """
    fabric = make_fabric(recipe.run, recipe.train.precision)
    fabric.launch()
    atexit.register(leave_processes)
    on_main(fabric, lambda: folder.check(config, resume))
    torch.manual_seed(derive_seed(recipe.train.seed, "weights"))
    job = make(fabric.is_global_zero)
    # What would stop the training at its first step must not leave a folder behind.
    make_plan(len(job.data), recipe.train, fabric.world_size, lengths_of(job.data))
    require_trackers(recipe.run.trackers)
    on_main(fabric, lambda: folder.open(config, resume, header, {"seed": recipe.train.seed, **job.said}))
    with locked(fabric, folder):
        result = fit(
            folder,
            fabric,
            job.model,
            job.data,
            job.step,
            recipe.optim,
            recipe.train,
            recipe.run,
            after_step=job.after_step,
            after_epoch=job.after_epoch,
            before_step=job.before_step,
            counted=job.counted,
            enough=job.enough,
        )
    fabric.barrier()
    if job.finish is not None:
        job.finish()
    weights = whole_weights(job.model)
    on_main(fabric, lambda: job.model.save_pretrained(folder.path, weights))
    return Outcome(job, result, fabric.is_global_zero)


def leave_processes() -> None:
    """End the talk between processes before Python ends: gloo's threads abort a process that ends under them."""
    if dist.is_available() and dist.is_initialized():
        gc.collect()  # a wrapped model in a cycle holds the group
        dist.destroy_process_group()


@contextmanager
def locked(fabric: Fabric, folder: RunFolder) -> Iterator[None]:
    """Hold a run folder in the main process; that another holds it is raised in all."""
    with ExitStack() as stack:
        on_main(fabric, lambda: stack.enter_context(folder.lock()))
        yield


def on_main(fabric: Fabric, action: Callable[[], object]) -> None:
    """Do something in the main process only; its UserError is raised in all, so that none waits for ever."""
    said = None
    if fabric.is_global_zero:
        try:
            action()
        except UserError as error:
            said = str(error)
    raise_everywhere(fabric, said)
