"""What a run folder says of itself: its settings of evaluation."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from core.config import from_dict
from core.saving import resolve
from core.training.run import RunFolder
from mmgraph.config import GraphProbeConfig, NodeProbeConfig, SamplingConfig


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
