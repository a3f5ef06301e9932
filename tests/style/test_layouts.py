"""Maps whose channels lie together (channels_last) are used as they are, and so are gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bitbrush.style.losses import ContentTerm
from bitbrush.style.statistics import channel_statistics, write_gradient
from bitbrush.style.target import StyleTarget

RANDOM = torch.Generator().manual_seed(0)
FEATURES = torch.randn(1, 6, 40, 700, generator=RANDOM) + 3
TARGET = torch.randn(1, 6, 40, 700, generator=RANDOM)
LAST = torch.channels_last


def gradient(distance: object, features: Tensor) -> Tensor:
    leaf = features.detach().requires_grad_(True)
    value = distance(leaf, RANDOM)  # type: ignore[operator]
    (found,) = torch.autograd.grad(value, leaf)
    return found


@pytest.mark.parametrize("statistic", ["covariance", "gram", "mean"])
def test_style_keeps_the_layout(statistic: str) -> None:
    distance = StyleTarget(TARGET, statistic).distance
    plain = gradient(distance, FEATURES)
    last = gradient(distance, FEATURES.contiguous(memory_format=LAST))
    assert plain.is_contiguous() and last.is_contiguous(memory_format=LAST)
    torch.testing.assert_close(last, plain, rtol=1e-3, atol=1e-9)


def test_content_keeps_the_layout() -> None:
    term = ContentTerm.of("stem", 1.0, TARGET.contiguous(memory_format=LAST))
    assert term.target.is_contiguous(memory_format=LAST)
    plain = gradient(ContentTerm.of("stem", 1.0, TARGET).distance, FEATURES)
    last = gradient(term.distance, FEATURES.contiguous(memory_format=LAST))
    assert last.is_contiguous(memory_format=LAST) and plain.is_contiguous()
    torch.testing.assert_close(last, plain)
    leaf = FEATURES.clone().requires_grad_(True)
    error = torch.nn.functional.mse_loss(leaf, TARGET) / term.variance
    (expected,) = torch.autograd.grad(error, leaf)
    torch.testing.assert_close(plain, expected)


@pytest.mark.parametrize("layout", [torch.contiguous_format, LAST])
def test_parts_of_maps_give_the_same(layout: torch.memory_format) -> None:
    """Cut out of a larger map, in either layout."""
    larger = torch.nn.functional.pad(FEATURES, (5, 9, 3, 2)).contiguous(memory_format=layout)
    cut = larger[..., 3:-2, 5:-9]
    expected, found = channel_statistics(FEATURES), channel_statistics(cut)
    torch.testing.assert_close(found.mean, expected.mean)
    torch.testing.assert_close(found.matrix, expected.matrix)
    of_mean, of_matrix = torch.randn(6, generator=RANDOM), torch.randn(6, 6, generator=RANDOM)
    of_matrix = of_matrix + of_matrix.T
    whole, part = torch.zeros_like(FEATURES), torch.zeros_like(larger)
    write_gradient(whole, FEATURES, expected, of_mean, of_matrix)
    write_gradient(part[..., 3:-2, 5:-9], cut, expected, of_mean, of_matrix)
    torch.testing.assert_close(part[..., 3:-2, 5:-9], whole, rtol=1e-3, atol=1e-9)
    assert float(part[..., :3, :].abs().max()) == 0
