"""CPCProt against its official code, and what our default does otherwise."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_mmbio import random_proteins
from torch.nn import functional as F

from core.errors import UserError
from core.masking import Mask
from core.saving import load_strictly
from core.training.config import OptimConfig, RunConfig, TrainConfig
from core.training.job import Job, masked_step, run_training
from core.training.run import RunFolder
from mmbio.config import CPCProtConfig, CPCProtRecipe
from mmbio.contrast import score_contrast
from mmbio.data.sets import SequenceSet
from mmbio.layers.patches import padded
from mmbio.models import load_model
from mmbio.models.cpcprot import RESIDUES_ONLY, CPCProt
from mmbio.models.cpcprot_official import from_official
from mmbio.sequences import Sequences, join
from mmbio.texts import samples_of

TINY = CPCProtConfig(dim=40, clip=10.0)


class Golden:
    def __init__(self, path: Path) -> None:
        self.arrays = dict(np.load(path))
        lengths = self["in/protein_length"].tolist()
        self.batch = join([torch.tensor(ids[:n]) for ids, n in zip(self["in/input_ids"], lengths, strict=True)])
        weights = {
            k.removeprefix("weight/"): torch.tensor(v) for k, v in self.arrays.items() if k.startswith("weight/")
        }
        self.model = CPCProt(dataclasses.replace(TINY, rows="all")).eval()
        self.ours = CPCProt(TINY).eval()
        for model in (self.model, self.ours):
            load_strictly(model, from_official(weights), "golden")

    def __getitem__(self, name: str) -> np.ndarray:
        return self.arrays[name]


@pytest.fixture(scope="module")
def golden(shared: Path) -> Golden:
    return Golden(shared / "golden/cpcprot.npz")


def close(ours: torch.Tensor, theirs: np.ndarray) -> None:
    torch.testing.assert_close(ours.detach(), torch.tensor(theirs), rtol=1e-5, atol=1e-5)


def test_features_of_patches_are_the_official_ones(golden: Golden) -> None:
    ids = torch.tensor(golden["in/input_ids"])
    close(golden.model.encoder.features(ids[:, :11]), golden["out/enc_first_patch"])
    close(golden.model.encoder(ids[:, :11]), golden["out/enc_first_patch_mean"])
    close(golden.model.encoder.features(ids[:2, :30]), golden["out/enc_30_residues"])
    found = golden.model.patches(golden.batch)
    begin = 0
    for sample, count in enumerate(found.counts.tolist()):
        close(found.z[begin : begin + count], golden["out/z"][sample, :count])
        close(found.c[begin : begin + count], golden["out/c"][sample, :count])
        begin += count


def test_padding_has_the_official_features(golden: Golden) -> None:
    whole = golden.model.patches(padded(golden.batch, torch.full((4,), 132), 0))
    close(whole.z.view(4, 12, -1), golden["out/z"])
    close(whole.c.view(4, 12, -1), golden["out/c"])


def test_loss_accuracy_and_gradients_as_released(golden: Golden) -> None:
    model = golden.model
    model.zero_grad()
    output = model(golden.batch)
    output.loss.backward()
    close(output.loss, golden["out/nce"])
    running = golden["out/loss_mask"].sum(0)  # how many sequences run at every place
    scores, targets = output.predictions["nce"], output.targets["nce"]
    losses = F.cross_entropy(scores, targets, reduction="none").view(4, -1, 4).mean(2)  # steps, places, sequences
    places = np.flatnonzero(running)
    close(losses.T, golden["out/nce_t_k"][places])
    right = (scores.argmax(1) == targets).float().view(4, -1, 4).mean(2)
    weights = torch.tensor(running[places]).float()
    close((right * weights).sum() / (4 * weights.sum()), golden["out/acc"])
    close(model.encoder.embedding.weight.grad, golden["grad/enc.embedding.weight"])
    close(model.encoder.convs[0].weight.grad, golden["grad/enc.conv1.weight"])
    close(model.gru.weight_ih_l0.grad, golden["grad/autoregressor.gru.weight_ih_l0"])


def by_hand(model: CPCProt, batch: Sequences) -> float:
    """Our loss, one term after the other."""
    found = model.patches(batch)
    z, c = found.z.split(found.counts.tolist()), found.c.split(found.counts.tolist())
    steps, terms = model.config.steps, []
    for t in range(model.config.first, max(found.counts.tolist())):
        running = [s for s, count in enumerate(found.counts.tolist()) if t < count - steps]
        for k in range(1, steps + 1):
            for own in running if len(running) > 1 else []:
                dots = torch.stack([z[own][t + k] @ c[other][t] for other in running])
                dots = 10 * torch.tanh(dots / 10)
                terms.append(float((dots.logsumexp(0) - dots[running.index(own)]).detach()))
    return sum(terms) / len(terms)


def test_by_default_only_running_sequences_take_part(golden: Golden) -> None:
    ours = golden.ours
    assert by_hand(ours, golden.batch) == pytest.approx(float(ours(golden.batch).loss.detach()), rel=1e-5)
    longest = golden.batch.split()[int(golden.batch.lengths.argmax())]
    even = join([longest, longest.flip(0)])
    as_released = golden.model(even).loss.detach()
    torch.testing.assert_close(ours(even).loss.detach(), as_released)  # without padding both are the same


def test_a_short_sequence_changes_nothing(golden: Golden) -> None:
    batch = golden.batch
    more = join([*batch.split(), torch.full((40,), 7), torch.full((5,), 9)])
    torch.testing.assert_close(golden.ours(more).loss, golden.ours(batch).loss)


def test_masks_choose_what_is_predicted(golden: Golden) -> None:
    ours, batch = golden.ours, golden.batch
    mask = ours.draw_mask(batch)
    replayed = ours(batch, mask)
    assert replayed.loss == ours(batch).loss
    fewer = mask.hidden.clone()
    fewer[: int(mask.offsets[1])] = False
    less = ours(batch, Mask(fewer, mask.offsets))
    assert 0 not in less.targets["nce"]
    assert len(less.targets["nce"]) < len(replayed.targets["nce"])
    with pytest.raises(ValueError, match="no patch to predict"):
        ours(batch, Mask(torch.zeros_like(fewer), mask.offsets))


def test_features_of_residues_and_sequences(golden: Golden) -> None:
    model, batch = golden.ours, golden.batch
    features = model.encode(batch)
    assert features.shape == (len(batch.ids), 40)
    found = model.patches(batch)
    first = features[: int(batch.lengths[0])][::11][: int(found.counts[0])]
    torch.testing.assert_close(
        first, found.c[: int(found.counts[0])]
    )  # residues 0, 11, 22, ... begin the usual patches
    alone = torch.cat([model.embed(join([ids])) for ids in batch.split()])
    torch.testing.assert_close(model.embed(batch), alone)
    ends = found.counts.cumsum(0) - 1
    torch.testing.assert_close(model.embed_context(batch), found.c[ends])
    tiny = join([torch.tensor([5, 6]), batch.split()[0]])
    assert model.embed(tiny).isfinite().all()
    assert model.encode(tiny).shape[0] == len(tiny.ids)


def test_too_short_batches_and_foreign_weights_are_errors() -> None:
    model = CPCProt(CPCProtConfig(dim=8))
    assert model.shortest == 66
    with pytest.raises(UserError, match="fewer than two have 66 residues"):
        model(join([torch.full((70,), 5), torch.full((65,), 5)]))
    with pytest.raises(UserError, match=r"enc\.conv4\.weight is not an entry"):
        from_official({"enc.conv4.weight": torch.zeros(1)})
    with pytest.raises(ValueError, match="clip"):
        CPCProtConfig(clip=0.0)


def test_it_trains_and_comes_back(tmp_path: Path) -> None:
    texts = tuple(random_proteins(48, shortest=66, longest=120))
    data = SequenceSet("some", "protein", (*texts, "ACDEF"))
    recipe = CPCProtRecipe(
        model=CPCProtConfig(dim=16),
        optim=OptimConfig(algorithm="adam", lr=3e-3, schedule="constant", weight_decay=0.0, warmup_epochs=0),
        train=TrainConfig(epochs=6, batch_size=16),
        run=RunConfig(accelerator="cpu", log_steps=1),
    )

    def make(main: bool) -> Job:
        model = CPCProt(recipe.model)
        samples = samples_of(model, data, range(len(data)), 110)
        assert len(samples) == 48
        return Job(model, samples, masked_step(model), {}, counted=("residues", lambda batch: len(batch.ids)))

    outcome = run_training(RunFolder(tmp_path / "run"), dataclasses.asdict(recipe), False, "", recipe, make)
    model, data_of = load_model(tmp_path / "run"), outcome.job.data
    torch.manual_seed(0)
    before, after = (score_contrast(m, data_of, 16) for m in (CPCProt(recipe.model), model))
    assert after.loss < before.loss
    assert after.patches == before.patches > 0
    assert math.isclose(after.loss, score_contrast(model, data_of, 16).loss)
    assert RESIDUES_ONLY.around == 0
