"""Terms of the loss: their units, their names, their sum."""

from __future__ import annotations

import pytest
import torch

from bitbrush.style.losses import (
    IMAGE,
    ContentTerm,
    SmoothnessTerm,
    StyleTerm,
    evaluate,
    roughness,
)
from bitbrush.style.target import StyleTarget

RANDOM = torch.Generator().manual_seed(0)
FEATURES = torch.randn(1, 4, 6, 8, generator=RANDOM) * 3 + 5


@pytest.mark.parametrize("factor", [0.01, 300.0])
def test_content_distance_is_in_units_of_the_contents_variance(factor: float) -> None:
    term = ContentTerm.of("stem", 1.0, factor * FEATURES)
    mean = FEATURES.mean((2, 3), keepdim=True)
    assert float(term.distance(factor * FEATURES, RANDOM)) == 0
    distance = float(term.distance(factor * mean.expand_as(FEATURES), RANDOM))
    assert distance == pytest.approx(1, rel=1e-5)


def test_content_of_one_colour_does_not_outweigh_everything() -> None:
    flat = torch.full((1, 3, 8, 8), 0.5)
    assert float(ContentTerm.of("stem", 1.0, flat).distance(flat + 0.5, RANDOM)) < 1e3


def test_roughness_of_stripes() -> None:
    stripes = torch.tensor([0.0, 1.0]).repeat(4).expand(1, 3, 8, 8)
    assert float(roughness(stripes)) == 1
    assert float(roughness(torch.full((1, 3, 8, 8), 0.3))) == 0
    assert float(SmoothnessTerm(1.0, 0.5).distance(stripes, RANDOM)) == 2


def test_gradient_of_roughness_is_autograds() -> None:
    image = torch.rand(1, 3, 5, 7, generator=RANDOM).double().requires_grad_(True)
    assert torch.autograd.gradcheck(roughness, image)
    rows, columns = image.diff(dim=2).square().mean(), image.diff(dim=3).square().mean()
    (expected,) = torch.autograd.grad(rows + columns, image)
    (found,) = torch.autograd.grad(3 * roughness(image), image)
    assert torch.allclose(found, 3 * expected, rtol=1e-12)


def test_terms_of_one_name_are_added_up_with_their_weights() -> None:
    style = StyleTarget(FEATURES)
    terms = [
        StyleTerm("stem", 2.0, style),
        StyleTerm("stem", 3.0, style),
        StyleTerm(IMAGE, 0.5, style),
    ]
    features = {"stem": FEATURES + 1, IMAGE: FEATURES - 1}
    total, parts = evaluate(terms, features, RANDOM)
    stem, image = (float(style.distance(features[tap], RANDOM)) for tap in ("stem", IMAGE))
    assert parts == pytest.approx({"style/stem": 5 * stem, "style/image": 0.5 * image})
    assert float(total) == pytest.approx(sum(parts.values()))
