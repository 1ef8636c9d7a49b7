"""One training step of the default Point-MAE against the straightforward arithmetic: python -m benchmarks.point_mae_step

The peer has the same weights and the same transformer blocks. It differs where implementations differ: all patches are
embedded by 1x1 convolutions, the patch's maximum is repeated and concatenated before the second convolution, tokens are
taken out by boolean indices, centres are sampled by the usual loop, neighbours come from torch.cdist and a top-k, and
the Chamfer distance from torch.cdist and autograd.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.chamfer import cdist_chamfer
from benchmarks.farthest_point_sample import naive
from benchmarks.timing import Case, run, training_step
from core.masking import Mask
from core.training.config import OptimConfig
from mm3d.config import PatchEncoderConfig, PointMAEConfig
from mm3d.layers.mini_pointnet import MiniPointNet
from mm3d.models.point_mae import PointDecoder, PointMAE

POINTS = 1024
BATCH = {"cpu": 8, "cuda": 128}


def plain_embed(embed: MiniPointNet, patches: Tensor) -> Tensor:
    """(P, K, 3) -> (P, C) with convolutions over (P, channels, K)."""
    size = patches.shape[1]
    points = F.conv1d(patches.transpose(1, 2), embed.point1.weight[:, :, None], embed.point1.bias)
    points = F.relu(_norm(embed.norm1, points))
    points = F.conv1d(points, embed.point2.weight[:, :, None], embed.point2.bias)
    whole = points.max(2, keepdim=True).values
    points = torch.cat([whole.expand(-1, -1, size), points], 1)
    points = F.conv1d(points, embed.mix.weight[:, :, None], embed.mix.bias)
    points = F.relu(_norm(embed.norm2, points))
    return F.conv1d(points, embed.out.weight[:, :, None], embed.out.bias).max(2).values


@torch.no_grad()
def plain_patches(points: Tensor, groups: int, size: int) -> tuple[Tensor, Tensor]:
    """(B, N, 3) -> patches (B, G, K, 3) relative to their centres, and the centres (B, G, 3)."""
    clouds = torch.arange(len(points), device=points.device)[:, None]
    centers = points[clouds, naive(points, groups)]
    nearest = torch.cdist(centers, points).topk(size, largest=False).indices
    return points[clouds[:, :, None], nearest] - centers[:, :, None], centers


def plain_loss(model: PointMAE, points: Tensor, mask: Mask) -> Tensor:
    """The loss of a batch by the straightforward arithmetic."""
    config = model.config.encoder
    patches, centers = plain_patches(points, config.groups, config.group_size)
    batch, groups, size, _ = patches.shape
    hidden = mask.hidden
    tokens = plain_embed(model.encoder.embed, patches.view(batch * groups, size, 3)).view(batch, groups, -1)
    seen, at = tokens[~hidden].view(batch, -1, config.dim), centers[~hidden].view(batch, -1, 3)
    latent = model.encoder.transformer(seen, model.encoder.position(at))
    decoder = model.objectives["chamfer"].head
    assert isinstance(decoder, PointDecoder)
    empty = decoder.mask_token.expand(batch, groups - latent.shape[1], -1)
    where = torch.cat([decoder.position(at), decoder.position(centers[hidden].view(batch, -1, 3))], 1)
    decoded = decoder.transformer(torch.cat([latent, empty], 1), where)[:, latent.shape[1] :]
    return cdist_chamfer(decoder.points(decoded).view(-1, size, 3), patches[hidden])


def _norm(norm: torch.nn.BatchNorm1d, x: Tensor) -> Tensor:
    return F.batch_norm(
        x, norm.running_mean, norm.running_var, norm.weight, norm.bias, norm.training, norm.momentum or 0.1, norm.eps
    )


def our_loss(model: PointMAE, points: Tensor, mask: Mask) -> Tensor:
    return model(points, mask).loss


def gradients(model: PointMAE, loss: Callable[[PointMAE, Tensor, Mask], Tensor], points: Tensor, mask: Mask) -> Tensor:
    """All gradients in a row, the loss first; stochastic depth draws the same both times."""
    torch.manual_seed(0)
    value = loss(model, points, mask)
    return torch.cat(
        [value.detach()[None], *(g.flatten() for g in torch.autograd.grad(value, list(model.parameters())))]
    )


def cases(device: torch.device) -> list[Case]:
    torch.manual_seed(0)
    # the plain loop knows no rule about points near the origin
    model = PointMAE(PointMAEConfig(PatchEncoderConfig(skip_near_origin=False))).to(device).train()
    batch = BATCH[device.type]
    points = torch.randn(batch, POINTS, 3, generator=torch.Generator().manual_seed(0))
    points = (points / points.norm(dim=-1).amax(1)[:, None, None]).to(device)
    mask = model.draw_mask(points, torch.Generator().manual_seed(0)).to(device)
    for dtype, tolerance in ((torch.float64, 1e-8), (torch.float32, 1e-3)):  # in float32 cdist ties other points
        exact = copy.deepcopy(model).to(dtype)
        ours, plain = (gradients(exact, loss, points.to(dtype), mask) for loss in (our_loss, plain_loss))
        torch.testing.assert_close(ours[0], plain[0], rtol=min(tolerance, 1e-5), atol=0)
        difference = float((ours - plain).norm() / plain.norm())
        if not difference < tolerance:
            raise AssertionError(f"{dtype}: the gradients differ by {difference:.1e}")
        print(f"{dtype}: loss {float(ours[0]):.9f} and {float(plain[0]):.9f}, gradients differ by {difference:.0e}")

    visible = PointMAE(PointMAEConfig(PatchEncoderConfig(skip_near_origin=False, embed="visible"))).to(device)
    visible.load_state_dict(model.state_dict())
    with torch.no_grad():  # with running statistics both options are the same function
        torch.testing.assert_close(our_loss(visible.eval(), points, mask), plain_loss(model.eval(), points, mask))

    def step(model: PointMAE, loss: Callable[[PointMAE, Tensor, Mask], Tensor]) -> Callable[[], float]:
        def value() -> Tensor:
            with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
                return loss(model, points, mask)

        return training_step(model.train(), value, OptimConfig())

    peer = {"straightforward arithmetic": step(copy.deepcopy(model), plain_loss)}
    name = f"{batch} clouds" if device.type == "cpu" else f"{batch} clouds in bfloat16"
    return [
        Case(f"{name}, all patches embedded (default)", step(model, our_loss), peer, 1.5),
        Case(f"{name}, visible patches embedded", step(visible, our_loss), peer, 2.2),
    ]


if __name__ == "__main__":
    run("Training step of Point-MAE, 1,024 points", cases, repeats=7, warmup=1)
