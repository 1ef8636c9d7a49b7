"""How well models do on data, beside controls: probes where there are labels, perplexity where there are none."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from core.errors import UserError
from core.evaluation.metrics import MeanStd, mean_std
from core.evaluation.probes import METHODS
from core.evaluation.untrained import untrained
from core.reporting.tables import Table
from mmbio.config import MSADataConfig, TextConfig
from mmbio.config.probes import ResidueProbeConfig
from mmbio.contact_probe import SHARES, contact_rows
from mmbio.data.msa import MSASet
from mmbio.data.sets import AntibodySet, LabelledSequences, SequenceSet
from mmbio.data.structures import StructureSet
from mmbio.data.variants import VariantSet
from mmbio.embedding import embed_residues, embed_sequences
from mmbio.msa_score import score_by_column, score_msa
from mmbio.perplexity import LMScore, score_lm
from mmbio.probes import probe_binary, probe_classes, probe_values
from mmbio.raw_features import raw_features
from mmbio.readers import Samples
from mmbio.recovery import KINDS, recover, recover_by_place
from mmbio.residue_features import WINDOW, Around, Letters
from mmbio.residue_probe import probe_residues
from mmbio.takes import check_kind, check_maps, check_names_hidden, name_of
from mmbio.texts import samples_of
from mmbio.variants import variant_rows

CLASS_METHODS = ("logistic", "linear_svm", "knn")


class ProbeRow(NamedTuple):
    """One line: what was scored (which features), by what, and its scores by name over pretraining seeds."""

    subject: str
    probe: str
    scores: dict[str, MeanStd]


class ProbeSettings(NamedTuple):
    """How models are evaluated: beside controls or alone, by which probes (classes), the probe of residues, and how sequences
    and alignments whose tokens are hidden are cut."""

    controls: bool = True
    methods: tuple[str, ...] = ()
    residues: ResidueProbeConfig = ResidueProbeConfig()
    text: TextConfig = TextConfig()
    msa: MSADataConfig = MSADataConfig()


DEFAULTS = ProbeSettings()

Evaluation = Callable[[Sequence[Any], Any, ProbeSettings], list[ProbeRow]]
"""Called with models, one a pretraining seed, data and settings."""


def evaluation_of(data: Any, models: Sequence[Any] = ()) -> Evaluation:
    """How models are evaluated on what :func:`~mmbio.data.sources.load` gave, by its type.

    Args:
        models: that are to be evaluated.

    Raises:
        UserError: nothing evaluates such data, or one of the models does not read it or cannot say what is asked.
    """
    for kind, evaluation, check in (
        (LabelledSequences, probe_labelled_rows, None),
        (SequenceSet, perplexity_rows, check_names_hidden),
        (StructureSet, probe_contact_rows, check_maps),
        (VariantSet, probe_variant_rows, check_names_hidden),
        (AntibodySet, probe_recovery_rows, check_names_hidden),
        (MSASet, probe_alignment_rows, check_names_hidden),
    ):
        if isinstance(data, kind):
            for model in models:
                check_kind(model, data)
                if check is not None:
                    check(model, name_of(data))
            return evaluation
    raise UserError(f"{type(data).__name__}: no models are evaluated on such data")


def probe_rows(models: Sequence[Any], data: Any, settings: ProbeSettings = DEFAULTS) -> list[ProbeRow]:
    """Scores of pretrained models, one a seed, and, unless switched off, of controls: the network untrained, raw features.

    Raises:
        UserError: data that these models cannot be evaluated on, or an unknown method.
    """
    known = CLASS_METHODS if isinstance(data, LabelledSequences) and data.task == "classes" else ()
    for method in settings.methods:
        if method not in known:
            choices = f"expected some of {', '.join(known)}" if known else "probes are chosen for classes only"
            raise UserError(f"probe {method!r}: not one for this data; {choices}")
    return evaluation_of(data, models)(models, data, settings)


def subjects(models: Sequence[Any], controls: bool) -> list[tuple[str, list[Any]]]:
    """The models, and the same networks untrained, by name."""
    found = [("pretrained", list(models))]
    if controls:
        found.append(("untrained", [untrained(models[0], seed) for seed in range(len(models))]))
    return found


def probe_labelled_rows(
    models: Sequence[Any], data: LabelledSequences, settings: ProbeSettings = DEFAULTS
) -> list[ProbeRow]:
    """Probes of features of residues or of whole sequences, as the labels are."""
    probe = probe_residue_rows if data.task == "residues" else probe_sequence_rows
    return probe(models, data, settings)


def probe_sequence_rows(
    models: Sequence[Any], data: LabelledSequences, settings: ProbeSettings = DEFAULTS
) -> list[ProbeRow]:
    """Probes of features of whole sequences: classes, values or yes-or-no questions."""
    features = [
        (name, [embed_sequences(model, data.texts) for model in some])
        for name, some in subjects(models, settings.controls)
    ]
    if settings.controls:
        features += [(name, [x]) for name, x in raw_features(data, models[0].reader).items()]
    rows = []
    for name, some in features:
        for method in sequence_probes(data, settings.methods):
            rows.append(_row(name, method, [probe_sequences(x, data, method, n) for n, x in enumerate(some)]))
    return rows


def sequence_probes(data: LabelledSequences, methods: Sequence[str]) -> tuple[str, ...]:
    """The probes that suit a task."""
    if data.task == "classes":
        return tuple(methods) or CLASS_METHODS[:1]
    return ("ridge",) if data.task == "values" else ("logistic",)


def probe_sequences(features: np.ndarray, data: LabelledSequences, method: str, seed: int) -> dict[str, float]:
    """Test scores by name of one probe of features (N, C)."""
    if data.task == "classes":
        assert method in METHODS
        return probe_classes(features, data, method, seed)
    return probe_values(features, data) if data.task == "values" else probe_binary(features, data)


def probe_residue_rows(
    models: Sequence[Any], data: LabelledSequences, settings: ProbeSettings = DEFAULTS
) -> list[ProbeRow]:
    """A linear layer on features of residues, and one on the windows around them where the settings ask for it; raw features
    are the letter of the residue, and those of a window of :data:`~mmbio.residue_features.WINDOW`."""
    window = settings.residues.window
    probes = ["linear", f"linear, window of {window}"][: 1 + (window > 1)]
    rows = []
    for name, some in subjects(models, settings.controls):
        scores = []
        for seed, model in enumerate(some):
            found = embed_residues(model, data.texts)
            found.standardise(data.train.tolist())
            read = (found, Around(found, window))[: len(probes)]
            scores.append([probe_residues(features, data, settings.residues, seed) for features in read])
            del found, read  # before the next: features of millions of residues are large
        rows += [_row(name, probe, list(own)) for probe, own in zip(probes, zip(*scores, strict=True), strict=True)]
    if settings.controls:
        for name, places in (("residue", 1), (f"window of {WINDOW}", WINDOW)):
            letters = Around(Letters(data.texts), places)
            rows.append(_row(name, "linear", [probe_residues(letters, data, settings.residues, 0)]))
    return rows


def perplexity_rows(models: Sequence[Any], data: SequenceSet, settings: ProbeSettings = DEFAULTS) -> list[ProbeRow]:
    """How well hidden tokens of sequences are told, all of them or those that the data holds out.

    Masks are those of training, always the same ones. The control beside the untrained network is the frequencies of the
    hidden tokens themselves, which no table of frequencies can beat.
    """
    rows = []
    first: list[LMScore] = []
    for name, some in subjects(models, settings.controls):
        found = [score_lm(model, _tokens(model, data, settings.text.longest)) for model in some]
        first = first or found  # an untrained model with a tokenizer of its own hides other codes
        rows.append(_row(name, "hidden tokens", [_told(score) for score in found]))
    if settings.controls:
        rows.append(_row("frequencies", "hidden tokens", [frequencies(first[0])]))
    return rows


def probe_contact_rows(models: Sequence[Any], data: StructureSet, settings: ProbeSettings = DEFAULTS) -> list[ProbeRow]:
    """Contacts from attention maps; see :mod:`mmbio.contact_probe`."""
    return [
        ProbeRow(
            row.subject,
            f"contacts {row.separation} or more apart",
            {f"P@L/{share}" if share > 1 else "P@L": p for share, p in zip(SHARES, row.precisions, strict=True)},
        )
        for row in contact_rows(models, data, settings.controls)
    ]


def probe_variant_rows(models: Sequence[Any], data: VariantSet, settings: ProbeSettings = DEFAULTS) -> list[ProbeRow]:
    """Effects of variants; see :mod:`mmbio.variants`."""
    rows = variant_rows(models, data, settings.controls)
    return [ProbeRow(row.subject, row.method, {"Spearman": row.spearman}) for row in rows]


def probe_recovery_rows(models: Sequence[Any], data: AntibodySet, settings: ProbeSettings = DEFAULTS) -> list[ProbeRow]:
    """How many hidden residues of loops and framework of the test part are told right, and their perplexity.

    The control beside the untrained network names the most frequent residue at the same place in the training part.
    """
    chains, test = data.sequences, data.test.tolist()
    found = [
        (name, [recover(model, chains, test) for model in some]) for name, some in subjects(models, settings.controls)
    ]
    if settings.controls:
        found.append(("most frequent there", [recover_by_place(chains, data.train.tolist(), test)]))
    rows = []
    for name, some in found:
        for kind in KINDS:
            scores = [{"told right": one[kind].share, "perplexity": one[kind].perplexity} for one in some]
            if some[0][kind].residues:
                rows.append(_row(name, kind, scores))
    return rows


def probe_alignment_rows(models: Sequence[Any], data: MSASet, settings: ProbeSettings = DEFAULTS) -> list[ProbeRow]:
    """How well hidden cells of alignments are told; the control is how often each residue is in the column."""
    samples = models[0].samples(data, range(len(data)), settings.msa)
    found = [(name, [score_msa(m, samples) for m in some]) for name, some in subjects(models, settings.controls)]
    if settings.controls:
        found.append(("frequencies of the column", [score_by_column(models[0], samples)]))
    return [_row(name, "hidden cells", [_told(score) for score in some]) for name, some in found]


def frequencies(score: LMScore) -> dict[str, float]:
    """Perplexity and accuracy of always naming tokens as often as they were hidden."""
    shares = np.array([n for n in score.hidden if n], dtype=np.float64) / max(sum(score.hidden), 1)
    return {"perplexity": math.exp(float(-(shares * np.log(shares)).sum())), "accuracy": float(shares.max())}


def _tokens(model: Any, data: SequenceSet, longest: int) -> Samples:
    found = samples_of(model, data, data.held_out or range(len(data)), model.reader.trained_length(longest) or longest)
    if not len(found):
        raise UserError(f"{data.name}: no sequence of which masks may hide something")
    return found


def _told(score: LMScore) -> dict[str, float]:
    return {"perplexity": score.perplexity, "accuracy": score.accuracy}


def _row(subject: str, probe: str, scores: Sequence[dict[str, float]]) -> ProbeRow:
    return ProbeRow(subject, probe, {name: mean_std([score[name] for score in scores]) for name in scores[0]})


def probe_table(rows: Sequence[ProbeRow]) -> Table:
    """A row for every subject and probe, scores across."""
    names = list(dict.fromkeys(name for row in rows for name in row.scores))
    cells = [(row.subject, row.probe, *(row.scores.get(name) for name in names)) for row in rows]
    return Table(("features", "probe", *names), cells)
