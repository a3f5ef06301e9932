"""Fields, cells and paint that the styles are made of."""

from __future__ import annotations

import numpy as np

from bitbrush.styles.cells import divided, settled
from bitbrush.styles.fields import (
    as_array,
    blur,
    fractal,
    grid,
    noise,
    sample,
    smeared,
    streamlines,
)
from bitbrush.styles.pigment import lit, mixed, palette, ramp


def test_noise_is_one_field_seen_at_any_size() -> None:
    large, small = noise(256, 8, 3), noise(64, 8, 3)
    assert np.abs(large.reshape(64, 4, 64, 4).mean(axis=(1, 3)) - small).max() < 0.1
    assert 0.6 < fractal(256, 8, 3).std() < 1.4
    assert np.abs(noise(64, 8, 4) - small).mean() > 0.5


def test_sample_returns_pixels_at_their_centres_and_means_between() -> None:
    x, y = grid(8)
    field = as_array(np.random.default_rng(0).random((8, 8)))
    np.testing.assert_allclose(sample(field, x, y)[:7, :7], field[:7, :7], atol=1e-6)
    between = sample(field, as_array([0.25]), as_array([0.0625]))
    np.testing.assert_allclose(between, (field[0, 1] + field[0, 2]) / 2, atol=1e-6)


def test_blur_keeps_a_level_and_the_mean() -> None:
    level = np.full((32, 32), 0.3, dtype=np.float32)
    np.testing.assert_allclose(blur(level, 0.1), level, atol=1e-6)
    spot = np.zeros((65, 65, 3), dtype=np.float32)
    spot[32, 32] = 1
    blurred = blur(spot, 0.05)
    np.testing.assert_allclose(blurred.sum(axis=(0, 1)), 1, atol=1e-5)
    assert blurred.max() == blurred[32, 32].max() < 0.1


def test_streamlines_follow_the_field_for_their_length() -> None:
    angle = np.full((16, 16), np.pi / 2, dtype=np.float32)
    path = streamlines(angle, as_array([0.5]), as_array([0.5]), as_array([0.4]), 4)
    np.testing.assert_allclose(path[0, :, 0], 0.5, atol=1e-6)
    np.testing.assert_allclose(path[0, :, 1], np.linspace(0.3, 0.7, 9), atol=1e-6)


def test_smearing_makes_the_field_smooth_along_its_direction_only() -> None:
    texture = as_array(np.random.default_rng(1).standard_normal((64, 64)))
    across = smeared(texture, np.zeros((64, 64), dtype=np.float32), 0.3)
    assert np.abs(np.diff(across, axis=1)).mean() < 0.4 * np.abs(np.diff(across, axis=0)).mean()


def test_every_pixel_goes_to_its_nearest_site() -> None:
    x, y = as_array(np.random.default_rng(2).random((2, 20)))
    cells = divided(32, x, y, np.full(20, 2, dtype=np.float32))
    gx, gy = grid(32)
    distance = np.hypot(gx[..., None] - x, gy[..., None] - y)
    np.testing.assert_array_equal(cells.owner, distance.argmin(axis=-1))
    ordered = np.sort(distance, axis=-1)
    np.testing.assert_allclose(cells.near, ordered[..., 0], atol=1e-5)
    np.testing.assert_allclose(cells.next, ordered[..., 1], atol=1e-5)


def test_settling_spreads_the_sites() -> None:
    x, y = as_array(np.random.default_rng(3).random((2, 30)))
    reach, turn = np.full(30, 2, dtype=np.float32), np.zeros(30, dtype=np.float32)

    def closest(x: np.ndarray, y: np.ndarray) -> float:
        distance = np.hypot(x[:, None] - x, y[:, None] - y) + 9 * np.eye(len(x))
        return float(distance.min())

    assert closest(*settled(x, y, reach, turn, 0.0, 8, size=64)) > 3 * closest(x, y)


def test_colours_are_read_ranged_and_mixed() -> None:
    colours = palette("000000", "ff8000")
    np.testing.assert_allclose(colours[1], [1, 128 / 255, 0], atol=1e-6)
    np.testing.assert_allclose(ramp(as_array([-1, 0.5, 2]), colours)[1], colours[1] / 2, atol=1e-6)
    half = mixed(np.zeros((2, 2, 3), np.float32), np.ones((2, 2, 3), np.float32), as_array(
        [[0, 1], [0.25, 0.5]]))  # fmt: skip
    np.testing.assert_allclose(half[..., 0], [[0, 1], [0.25, 0.5]])


def test_light_comes_from_the_upper_left() -> None:
    x, y = grid(64)
    hill = as_array(0.1 * np.exp(-(((x - 0.5) ** 2 + (y - 0.5) ** 2) / 0.04)))
    picture = lit(np.full((64, 64, 3), 0.5, dtype=np.float32), hill, 40)
    assert picture[22, 22, 0] > 0.52 > 0.48 > picture[42, 42, 0]
