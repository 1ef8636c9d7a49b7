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
    from mmgraph.data.sets import NodeSet
    from mmgraph.data.sources import load
    from mmgraph.features import data_of, embed_graphs, embed_nodes, load_encoder_on, probe_config_of
    from mmgraph.pretrain import all_graphs

    if not Path(out).resolve().parent.is_dir():
        raise UserError(f"--out {out}: its folder does not exist")
    model = load_encoder_on(run, device)
    source = data or data_of(run)
    given = load(source)
    model.check(all_graphs(given), source)
    if isinstance(given, NodeSet):
        embeddings, labels = embed_nodes(model, given).numpy(), given.labels.numpy()
    else:
        embeddings, labels = embed_graphs(model, given, probe_config_of(run).graphs).numpy(), given.labels
    content = io.BytesIO()
    np.savez(content, embeddings=embeddings, labels=labels)
    try:
        write_atomically(Path(out), content.getvalue())
    except OSError as error:
        raise UserError(f"{out}: could not be written ({error.strerror or error})") from error
    print(f"{out}: {embeddings.shape[0]} x {embeddings.shape[1]}")
