"""GraphMAE2: reconstruct features from re-masked embeddings, and predict a teacher's embeddings."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from core.losses import scaled_cosine_error
from core.masked_model import MaskedModel, Objective
from core.prelu import PReLU
from core.random import Randomness
from core.saving import Pretrained
from core.teachers import EMATeacher
from mmgraph.config import GraphEncoderConfig, GraphMAE2Config
from mmgraph.drop_edges import drop_edges, kept_edges
from mmgraph.graph import Graphs, check_width
from mmgraph.layers.encoder import GraphEncoder
from mmgraph.layers.features import NodeFeatures
from mmgraph.masks import mask_nodes
from mmgraph.models.graphmae import GraphMAEDecoder, TokenEncoder, hidden_features
from mmgraph.remasks import RemaskedNodes, remask_nodes


class ViewDecoder(GraphMAEDecoder):
    """Random nodes' embeddings become a learned token, in several views that are each decoded: (T, C) -> (K, M, F)."""

    def __init__(self, width: int, config: GraphEncoderConfig) -> None:
        super().__init__(width, config)
        self.token = nn.Parameter(torch.zeros(1, config.dim))

    def forward(self, latent: Tensor, graphs: Graphs, mask: RemaskedNodes) -> Tensor:  # type: ignore[override]
        assert mask.remasked is not None
        bridged = self.bridge(latent)
        token = self.token.to(bridged.dtype)
        views = (torch.where(lost[:, None], token, bridged) for lost in mask.remasked)
        return torch.stack(self.read(views, graphs, mask))


class LatentHead(nn.Module):
    """Projector and predictor of the student, at the roots of a batch: (T, C) -> (R, C)."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.projector = nn.Sequential(nn.Linear(dim, hidden), PReLU(), nn.Linear(hidden, dim))
        self.predictor = nn.Sequential(PReLU(), nn.Linear(dim, dim))

    def forward(self, latent: Tensor, graphs: Graphs, mask: RemaskedNodes) -> Tensor:
        return self.predictor(self.projector(at_roots(latent, graphs)))


class ProjectedEncoder(nn.Module):
    """Encoder and projector on features as they are, at the roots of a batch; what the teacher is: -> (R, C)."""

    def __init__(self, encoder: GraphEncoder, projector: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.projector = projector

    def forward(self, graphs: Graphs, mask: RemaskedNodes) -> Tensor:
        latent = self.encoder(NodeFeatures(graphs), kept_edges(graphs, mask.teacher_kept))
        return self.projector(at_roots(latent, graphs))


class GraphMAE2(Pretrained, MaskedModel):
    """Hide nodes; reconstruct their features by scaled cosine error, and predict a teacher's embeddings of all nodes.

    Args:
        config: sizes and mask; the defaults are the published model for Cora.

    Shapes: a batch is a :class:`~mmgraph.graph.Graphs` of T nodes; the embeddings that are predicted are those of its
    ``roots``, or of all nodes where it has none. ``model(graphs, mask)`` gives a
    :class:`~core.masked_model.MaskedOutput` with parts ``sce`` (the mean over the views) and ``latent``; ``encode``
    gives (T, C).

    The teacher drops out as the student does, and moves at each step to what the student was *in* that step, before the
    optimiser: call :meth:`move_teacher` between the backward pass and the optimiser's step. With momentum 0 it is the
    student of the step before.

    Source: Hou et al., "GraphMAE2: A Decoding-Enhanced Masked Self-Supervised Graph Learner", WWW 2023, Section 3;
    models/edcoder.py of its official code, also where the two differ.
    """

    Config = GraphMAE2Config
    encoder: TokenEncoder

    def __init__(self, config: GraphMAE2Config) -> None:
        encoder = TokenEncoder(config.width, GraphEncoder(config.width, config.encoder))
        kind = ViewDecoder if config.remask == "random" else GraphMAEDecoder
        decoder, head = kind(config.width, config.encoder), LatentHead(config.encoder.dim, config.projector_dim)
        _initialise(encoder, decoder, config.init)
        teacher = EMATeacher(ProjectedEncoder(encoder.encoder, head.projector), config.momentum, dropout=True)
        views = config.views if config.remask == "random" else 1
        error = partial(scaled_cosine_error, gamma=config.gamma)
        objectives = {
            "sce": Objective(decoder, hidden_features, error, weight=views),
            "latent": Objective(head, teacher, scaled_cosine_error, config.latent_weight),
        }
        super().__init__(encoder, objectives)
        self.config = config

    def check(self, graphs: Graphs, source: str) -> None:
        """See that graphs have the features this model was made for.

        Raises:
            UserError: another width.
        """
        check_width(graphs, self.config.width, source)

    def draw_mask(self, batch: Graphs, randomness: Randomness = None) -> RemaskedNodes:
        """Which nodes are hidden, which edges student and teacher see, and what the decoder's views lose."""
        config = self.config
        nodes = mask_nodes(batch.offsets, config.mask_ratio, randomness=randomness)
        teacher_kept = remasked = None
        if config.drop_edge:
            nodes.kept, teacher_kept = (drop_edges(batch, config.drop_edge, randomness) for _ in range(2))
        if config.remask == "random":
            remasked = remask_nodes(len(batch.x), config.remask_ratio, config.views, randomness)
        return RemaskedNodes(nodes, teacher_kept, remasked)

    def encode(self, batch: Graphs) -> Tensor:
        """Embeddings of all nodes, nothing hidden: (T, C)."""
        return self.encoder(batch)

    @property
    def message_passing(self) -> GraphEncoder:
        """The layers that make embeddings of features, for graphs that are embedded in blocks."""
        return self.encoder.encoder

    def move_teacher(self) -> None:
        """One step of the teacher towards the student as it is now."""
        objective = self.objectives["latent"]
        assert isinstance(objective, Objective)
        teacher, head = objective.target, objective.head
        assert isinstance(teacher, EMATeacher)
        assert isinstance(head, LatentHead)
        teacher.update(ProjectedEncoder(self.encoder.encoder, head.projector))

    def teacher_follows(self, steps_per_epoch: int) -> Callable[[int], None]:
        """What a training calls before each step: :meth:`move_teacher`, from epoch ``teacher_delay`` on."""

        def before_step(step: int) -> None:
            if (step - 1) // steps_per_epoch >= self.config.teacher_delay:
                self.move_teacher()

        return before_step


def at_roots(nodes: Tensor, graphs: Graphs) -> Tensor:
    """The rows of a batch's roots: (T, C) -> (R, C); all where it has none."""
    return nodes if graphs.roots is None else nodes[graphs.roots]


def _initialise(encoder: TokenEncoder, decoder: GraphMAEDecoder, init: str) -> None:
    if init == "xavier":
        nn.init.xavier_normal_(encoder.token)
        if isinstance(decoder, ViewDecoder):
            nn.init.xavier_normal_(decoder.token)
        nn.init.xavier_normal_(decoder.bridge.weight, gain=2**0.5)
