"""Statistics against numpy, and distances: zero at the target, free of scale, differentiable."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from bitbrush.errors import InputError
from bitbrush.style.settings import STATISTICS
from bitbrush.style.statistics import VALUES, Moments, channel_statistics, gram_matrix
from bitbrush.style.target import StyleTarget
from bitbrush.style.wasserstein import FACTOR, NormalTarget


def maps(height: int, width: int, channels: int = 5, seed: int = 0) -> Tensor:
    """[1, C, H, W] with means far from 0, as one-bit layers have them."""
    random = torch.Generator().manual_seed(seed)
    features = torch.randn(1, channels, height, width, generator=random)
    return features * torch.linspace(0.5, 2, channels).view(1, -1, 1, 1) + 7


def draws() -> torch.Generator:
    return torch.Generator().manual_seed(3)


@pytest.mark.parametrize("width", [9, VALUES // 20])
def test_moments_are_numpys(width: int) -> None:
    features = maps(6, width)
    flat = features[0].flatten(1).double().numpy()
    moments = channel_statistics(features)
    np.testing.assert_allclose(moments.mean, flat.mean(1), rtol=1e-5)
    np.testing.assert_allclose(moments.matrix, np.cov(flat, bias=True), rtol=1e-3, atol=1e-4)
    gram = flat @ flat.T / flat.shape[1]
    np.testing.assert_allclose(gram_matrix(moments), gram, rtol=1e-5)


def test_covariance_keeps_its_precision_beside_a_large_mean() -> None:
    features = maps(64, 64) + 1000
    flat = features[0].flatten(1).double().numpy()
    moments = channel_statistics(features)
    np.testing.assert_allclose(moments.matrix, np.cov(flat, bias=True), rtol=1e-3, atol=2e-4)


def test_one_position_has_no_statistics() -> None:
    with pytest.raises(InputError, match="two positions"):
        channel_statistics(torch.ones(1, 3, 1, 1))


def test_moments_gradient_is_that_of_the_plain_formula() -> None:
    features = maps(4, 5).requires_grad_(True)
    weights = torch.randn(5, 5, generator=draws())

    def loss(mean: Tensor, matrix: Tensor) -> Tensor:
        return (mean * weights[0]).sum() + (matrix * weights).sum()

    moments = channel_statistics(features)
    (ours,) = torch.autograd.grad(loss(moments.mean, moments.matrix), features)
    flat = features[0].flatten(1)
    mean = flat.mean(1)
    centred = flat - mean[:, None]
    (plain,) = torch.autograd.grad(loss(mean, centred @ centred.T / flat.shape[1]), features)
    torch.testing.assert_close(ours, plain, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("statistic", STATISTICS)
def test_distance_is_zero_at_the_target_only(statistic: str) -> None:
    target = StyleTarget(maps(6, 7), statistic)
    # Projections are compared in bins of a thousandth of their range.
    nothing = 1e-6 if statistic == "sliced-wasserstein" else 1e-10
    assert float(target.distance(maps(6, 7), draws())) < nothing
    assert float(target.distance(0.5 * maps(6, 7), draws())) > 0.05


@pytest.mark.parametrize("statistic", STATISTICS)
@pytest.mark.parametrize("factor", [0.01, 300.0])
def test_distance_is_free_of_scale(statistic: str, factor: float) -> None:
    style, other = maps(6, 7), maps(8, 9, seed=1) - 2
    plain = StyleTarget(style, statistic).distance(other, draws())
    scaled = StyleTarget(factor * style, statistic).distance(factor * other, draws())
    torch.testing.assert_close(scaled, plain, rtol=1e-3, atol=0)


@pytest.mark.parametrize("statistic", STATISTICS)
def test_distance_of_repeated_texture_is_nearly_zero(statistic: str) -> None:
    """The same texture, more of it, is the same style: sizes need not agree."""
    style = maps(6, 8)
    repeated = torch.cat([style, style], dim=3)
    assert float(StyleTarget(style, statistic).distance(repeated, draws())) < 1e-3


@pytest.mark.parametrize("statistic", STATISTICS)
def test_gradient_is_that_of_finite_differences(statistic: str) -> None:
    target = StyleTarget(maps(6, 7), statistic)
    features = (maps(5, 6, seed=1) - 3).requires_grad_(True)
    (gradient,) = torch.autograd.grad(target.distance(features, draws()), features)
    direction = torch.randn(features.shape, generator=torch.Generator().manual_seed(9))
    step = 5e-2
    with torch.no_grad():
        ahead = float(target.distance(features + step * direction, draws()))
        behind = float(target.distance(features - step * direction, draws()))
    measured = (ahead - behind) / (2 * step)
    assert float((gradient * direction).sum()) == pytest.approx(measured, rel=0.02)


@pytest.mark.parametrize("statistic", STATISTICS)
@pytest.mark.parametrize("grey", [0.0, 0.5, 1.0])
def test_style_of_one_colour_gives_a_finite_distance(statistic: str, grey: float) -> None:
    target = StyleTarget(torch.full((1, 3, 8, 8), grey), statistic)
    features = torch.rand(1, 3, 8, 8, generator=draws(), requires_grad=True)
    distance = target.distance(features, draws())
    (gradient,) = torch.autograd.grad(distance, features)
    assert float(distance.detach()) > 0
    assert bool(gradient.isfinite().all())


def test_mean_statistic_is_blind_to_what_covariance_sees() -> None:
    """The same distribution of each channel, but channels that go together no longer."""
    style = maps(8, 8)
    shuffled = style.clone()
    order = torch.randperm(64, generator=draws())
    shuffled[0, 0] = style[0, 0].flatten()[order].view(8, 8)
    correlated = style.clone()
    correlated[0, 1] = 2 * style[0, 0]
    broken = correlated.clone()
    broken[0, 1] = 2 * shuffled[0, 0]
    assert float(StyleTarget(correlated, "mean").distance(broken, draws())) < 1e-8
    assert float(StyleTarget(correlated, "covariance").distance(broken, draws())) > 1e-3


@pytest.mark.parametrize("statistic", [name for name in STATISTICS if "sliced" not in name])
def test_given_gradients_are_those_of_the_distance(statistic: str) -> None:
    target = StyleTarget(maps(6, 7), statistic)
    moments = channel_statistics(maps(5, 6, seed=1) - 3)
    leaves = [value.detach().requires_grad_(True) for value in (moments.mean, moments.matrix)]
    distance = target.distance(Moments(leaves[0], leaves[1], moments.count), None)
    expected = torch.autograd.grad(3 * distance, leaves)
    value, *found = target.with_gradients(moments, 3.0)
    assert value == pytest.approx(float(distance.detach()), rel=1e-4)
    torch.testing.assert_close(found, list(expected), rtol=1e-3, atol=1e-5)


def test_wasserstein_is_that_of_normal_distributions() -> None:
    """By SciPy's matrix roots, where the style has no direction but strong ones."""
    sqrtm = pytest.importorskip("scipy.linalg").sqrtm
    style, other = maps(30, 40), maps(20, 30, seed=1) - 1
    ours, theirs = channel_statistics(other), channel_statistics(style)
    a, b = ours.matrix.double().numpy(), theirs.matrix.double().numpy()
    root = sqrtm(b)
    apart = float((ours.mean - theirs.mean).square().sum())
    expected = apart + np.trace(a + b - 2 * sqrtm(root @ a @ root).real)
    size = np.trace(b) + float(theirs.mean.square().sum())
    distance = float(StyleTarget(style, "wasserstein").distance(other, None))
    # What is kept apart is a bound from below.
    assert 0.98 * expected / size < distance / FACTOR < 1.002 * expected / size


def test_wasserstein_sees_faint_features_that_covariance_does_not() -> None:
    lengths = torch.tensor([1.0, 0.3]).view(1, 2, 1, 1)
    style = torch.randn(1, 2, 40, 40, generator=draws()) * lengths
    halved = [style.clone() for _ in range(2)]
    for channel in range(2):
        halved[channel][:, channel] *= 0.5

    def share_of_the_faint(statistic: str) -> float:
        target = StyleTarget(style, statistic)
        strong, faint = (float(target.distance(each, None)) for each in halved)
        return faint / strong

    assert share_of_the_faint("covariance") == pytest.approx(0.3**4, rel=0.3)
    assert share_of_the_faint("wasserstein") == pytest.approx(0.3**2, rel=0.3)


def test_what_lapack_gives_for_numbers_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """In float32 it may give none without saying so."""
    style, picture = maps(9, 8), maps(7, 9, seed=1)
    expected = StyleTarget(style, "wasserstein").distance(picture, None)
    real = torch.linalg.eigh

    def silent(matrix: Tensor) -> tuple[Tensor, Tensor]:
        spectrum, directions = real(matrix)
        lost = math.nan if matrix.dtype == torch.float32 else 1.0
        return spectrum * lost, directions

    monkeypatch.setattr(torch.linalg, "eigh", silent)
    found = StyleTarget(style, "wasserstein").distance(picture, None)
    assert float(found) == pytest.approx(float(expected), rel=1e-4)


def test_wasserstein_where_few_channels_are_awake() -> None:
    """LAPACK's float32 does not converge on such a style."""
    random = draws()
    few = torch.randn(2, 32, 400, generator=random) * torch.logspace(0, -2, 32)[:, None]
    matrices = few @ few.mT / 400
    style, other = torch.zeros(2, 512, 512)
    for whole, matrix in zip((style, other), matrices, strict=True):
        whole[::16, ::16] = matrix
    none = torch.zeros(512)
    distance, _, slope = NormalTarget(none, style).with_gradients(none, other)
    expected = NormalTarget(none[::16], matrices[0]).with_gradients(none[::16], matrices[1])
    assert distance == pytest.approx(expected[0], rel=1e-4)
    torch.testing.assert_close(slope[::16, ::16], expected[2], rtol=1e-2, atol=1e-4)
