"""Keeping the content's colours: statistics and luminance."""

from __future__ import annotations

import torch
from torch import Tensor

from bitbrush.style.colour import recoloured, with_colours_of
from bitbrush.style.statistics import channel_statistics


def picture(low: float, high: float, seed: int, side: int = 24) -> Tensor:
    """RGB whose channels go together, in a range."""
    random = torch.Generator().manual_seed(seed)
    mixing = torch.rand(3, 3, generator=random)
    rgb = torch.einsum("dc,chw->dhw", mixing, torch.rand(3, side, side, generator=random))
    return (low + (high - low) * (rgb - rgb.min()) / (rgb.max() - rgb.min()))[None]


def test_recoloured_has_the_references_mean_and_covariance() -> None:
    style, content = picture(0.1, 0.9, 1), picture(0.4, 0.6, 2, side=31)
    changed = recoloured(style, content)
    assert float(changed.min()) > 0 and float(changed.max()) < 1, "nothing was cut off"
    ours, theirs = channel_statistics(changed), channel_statistics(content)
    torch.testing.assert_close(ours.mean, theirs.mean, rtol=0, atol=1e-5)
    torch.testing.assert_close(ours.matrix, theirs.matrix, rtol=0.02, atol=2e-5)
    before = channel_statistics(style)
    assert float((before.matrix - theirs.matrix).abs().max()) > 1e-3


def test_recolouring_of_grey_pictures_stays_finite_and_in_range() -> None:
    grey = picture(0.2, 0.8, 3)[:, :1].expand(1, 3, 24, 24)
    for style, content in ((grey, picture(0, 1, 4)), (picture(0, 1, 4), grey)):
        changed = recoloured(style, content)
        assert bool(changed.isfinite().all())
        assert float(changed.min()) >= 0 and float(changed.max()) <= 1


def luma(rgb: Tensor) -> Tensor:
    return (rgb * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1)


def test_luminance_transfer_keeps_luma_and_takes_the_colour_differences() -> None:
    painted, content = picture(0.4, 0.6, 5), picture(0.45, 0.55, 6)
    result = with_colours_of(painted, content)
    torch.testing.assert_close(luma(result), luma(painted), rtol=0, atol=1e-5)
    ours, theirs = (rgb - luma(rgb)[:, None] for rgb in (result, content))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)
