"""`mmgraph embed`."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from core.errors import UserError
from core.files import write_atomically


def embed(run: str, data: str | None = None, out: str = "embeddings.npz", device: str = "auto") -> None:
    """Embeddings of nodes, or of graphs where there are many, as an npz with ``embeddings`` (M, C) and ``labels`` (M,).

    Args:
        run: run folder, saved model or hub id.
        data: what to embed; the data of the run where none is given.
        out: npz to write; a label of -1 means none.
        device: where embeddings are computed; auto takes a GPU where there is one.
    """
    from core.devices import moved
    from core.training.pretrained import data_of
    from mmgraph.data.inductive import InductiveSet
    from mmgraph.data.sets import NodeSet
    from mmgraph.data.sources import load
    from mmgraph.embedding import embed_graphs, embed_nodes
    from mmgraph.models import load_model
    from mmgraph.runs import probe_config_of
    from mmgraph.training_data import all_graphs

    if not Path(out).resolve().parent.is_dir():
        raise UserError(f"--out {out}: its folder does not exist")
    model = moved(load_model(run), device)
    source = data or data_of(run)
    given = load(source)
    model.check(all_graphs(given), source)
    config = probe_config_of(run)
    if isinstance(given, InductiveSet):
        raise UserError(f"{source}: graphs in three parts; expected one graph, or many with a class each")
    if isinstance(given, NodeSet):
        embeddings, labels = embed_nodes(model, given, config.sampling).numpy(), given.labels.numpy()
    else:
        embeddings, labels = embed_graphs(model, given, config.graphs).numpy(), given.labels
    content = io.BytesIO()
    np.savez(content, embeddings=embeddings, labels=labels)
    try:
        write_atomically(Path(out), content.getvalue())
    except OSError as error:
        raise UserError(f"{out}: could not be written ({error.strerror or error})") from error
    print(f"{out}: {embeddings.shape[0]} x {embeddings.shape[1]}")
