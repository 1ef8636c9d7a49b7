"""What a run folder says of itself: its settings of evaluation, and its model on a device."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.config import from_dict
from core.devices import move_to
from core.saving import resolve
from core.training.run import RunFolder
from mmgraph.config import GraphProbeConfig, NodeProbeConfig, SamplingConfig
from mmgraph.models import load_model


@dataclass(frozen=True)
class ProbeConfig:
    """Settings of evaluation: probes of nodes, of graphs, and whether graphs are embedded in blocks (where roots are set)."""

    nodes: NodeProbeConfig = field(default_factory=NodeProbeConfig)
    graphs: GraphProbeConfig = field(default_factory=GraphProbeConfig)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)


def probe_config_of(source: str | Path) -> ProbeConfig:
    """The settings in the recipe of the run that trained a model; the defaults for a model without a run."""
    folder = RunFolder(resolve(source))
    if not (folder.path / "config.yaml").exists():
        return ProbeConfig()
    config, where = folder.config(), str(folder.path / "config.yaml")
    pooled = {"pool": config["pool"]} if "pool" in config else {}  # of a fine-tuning
    return ProbeConfig(
        from_dict(NodeProbeConfig, config.get("probe_nodes", {}), where),
        from_dict(GraphProbeConfig, config.get("probe_graphs", pooled), where),
        from_dict(SamplingConfig, config.get("sampling", {}), where),
    )


def load_encoder_on(source: str | Path, device: str) -> Any:
    """A saved model on a device ("auto": a GPU where there is one).

    Raises:
        UserError: a device that is not there, and what loading raises.
    """
    model = load_model(source)
    move_to(model, device)
    return model
