"""Names of the official Point-BERT repository (left) and ours (right), for :mod:`mm3d.models.official`.

Source: models/dvae.py and models/Point_BERT.py of github.com/Julie-tang00/Point-BERT (checkpoints hold the state dict under
``base_model``, with a ``module.`` prefix where it was trained on several GPUs).
"""

from __future__ import annotations

from mm3d.models.official import EMBED


def _graph(theirs: str, ours: str) -> dict[str, str]:
    layers = {f"{theirs}.layer{n}.{a}.": f"{ours}.layers.{n - 1}.{b}." for n in range(1, 5)
              for a, b in ((0, "linear"), (1, "norm"))}  # fmt: skip
    return {
        f"{theirs}.input_trans.": f"{ours}.input.",
        **layers,
        f"{theirs}.layer5.0.": f"{ours}.out.",
        f"{theirs}.layer5.1.": f"{ours}.norm.",
    }


_FOLD = {"0": "fold1", "1": "norm1", "3": "fold2", "4": "norm2", "6": "out"}
DVAE = {
    "codebook": "quantizer.codebook",
    **{f"encoder.{a}.": f"encoder.{b}." for a, b in EMBED.items()},
    **_graph("dgcnn_1", "to_codes"),
    **_graph("dgcnn_2", "from_codes"),
    "decoder.mlp.": "decoder.coarse.",
    **{f"decoder.final_conv.{a}.": f"decoder.{b}." for a, b in _FOLD.items()},
}
