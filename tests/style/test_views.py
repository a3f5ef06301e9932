"""What the network is shown: sizes, mirrored margins, shifts and the blurred gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bitbrush.style.views import MARGIN, View, blurred, noisy, random_view

PICTURE = torch.rand(1, 3, 40, 50, generator=torch.Generator().manual_seed(0))


def test_margins_are_mirrored() -> None:
    seen = View(top=3, left=5, extra=9)(PICTURE)
    plain = PICTURE[0].permute(1, 2, 0).numpy()
    expected = np.pad(plain, ((3, 6), (5, 4), (0, 0)), mode="reflect")
    np.testing.assert_array_equal(seen[0].permute(1, 2, 0).numpy(), expected)


@pytest.mark.parametrize(("scale", "size"), [(1.0, (72, 82)), (2.0, (144, 164)), (0.5, (36, 41))])
def test_every_shift_shows_the_same_size(scale: float, size: tuple[int, int]) -> None:
    random = torch.Generator().manual_seed(1)
    views = [random_view(16, scale, random, turn) for turn in range(40)]
    assert {tuple(view(PICTURE).shape[-2:]) for view in views} == {size}
    for edges in ({view.top for view in views}, {view.left for view in views}):
        assert min(edges) >= MARGIN and max(edges) <= MARGIN + 16 and len(edges) > 10


@pytest.mark.parametrize("roll", [1, 2, 15, 16])
def test_of_four_views_each_has_other_parities(roll: int) -> None:
    random = torch.Generator().manual_seed(2)
    for _ in range(20):
        views = [random_view(roll, 1.0, random, turn) for turn in range(4)]
        assert len({(view.top % 2, view.left % 2) for view in views}) == 4
        shifts = [edge - MARGIN for view in views for edge in (view.top, view.left)]
        assert min(shifts) >= 0 and max(shifts) <= roll


def test_without_shifts_every_view_is_the_same() -> None:
    views = {random_view(0, 1.0, torch.Generator(), turn) for turn in range(4)}
    assert views == {View(MARGIN, MARGIN, 2 * MARGIN)}


@pytest.mark.parametrize("orientation,axes", [(0, ()), (1, (3,)), (2, (2,)), (3, (2, 3))])
def test_pictures_are_turned_before_they_are_shifted(
    orientation: int, axes: tuple[int, ...]
) -> None:
    view = View(3, 5, 9, orientation=orientation)
    seen = view(PICTURE)
    assert torch.equal(seen, View(3, 5, 9)(PICTURE.flip(axes)))
    # The same, pixel by pixel, for whoever cuts tiles.
    rows, columns = view.sources(*PICTURE.shape[-2:])
    assert torch.equal(seen, PICTURE[..., rows, :][..., columns])


@pytest.mark.parametrize("orientations", [1, 2, 4])
def test_each_orientation_meets_shifts_of_all_parities(orientations: int) -> None:
    random = torch.Generator().manual_seed(3)
    views = [random_view(16, 1.0, random, turn, orientations) for turn in range(16)]
    met = {(view.orientation, view.top % 2, view.left % 2) for view in views}
    assert len(met) == 4 * orientations
    # None waits long for its turn.
    for turn in range(0, 16, orientations):
        seen = {view.orientation for view in views[turn : turn + orientations]}
        assert seen == set(range(orientations))


def test_narrow_picture_is_padded_as_far_as_it_can_be_mirrored() -> None:
    assert View(24, 0, 48)(PICTURE[..., :6, :]).shape[-2:] == (6 + 5 + 5, 50 + 0 + 48)


def test_blur_spreads_a_point_and_removes_a_checkerboard() -> None:
    point = torch.zeros(1, 3, 7, 7)
    point[0, 1, 3, 3] = 16
    blurry = blurred(point)
    kernel = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]])
    torch.testing.assert_close(blurry[0, 1, 2:5, 2:5], kernel)
    assert float(blurry.sum()) == 16, "nothing elsewhere, and not in other channels"
    board = (torch.arange(8)[:, None] + torch.arange(8)[None]) % 2 * 2.0 - 1
    inner = blurred(board.expand(1, 3, 8, 8))[..., 1:-1, 1:-1]
    assert float(inner.abs().max()) == 0
    flat = torch.full((1, 3, 5, 5), 0.3)
    torch.testing.assert_close(blurred(flat), flat)
    torch.testing.assert_close(blurred(point, times=2), blurred(blurred(point)))


def test_noise_has_the_spread_that_is_asked_for_and_is_drawn_anew() -> None:
    image, random = torch.full((1, 3, 90, 80), 0.5), torch.Generator().manual_seed(0)
    first, second = (noisy(image, 0.1, random) - image for _ in range(2))
    assert noisy(image, 0.0, random) is image
    for noise in (first, second):
        assert abs(float(noise.mean())) < 2e-3
        assert float(noise.std()) == pytest.approx(0.1, rel=0.02)
    assert abs(float((first * second).mean())) < 2e-4
