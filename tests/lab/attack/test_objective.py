"""What is wanted of logits, the names of classes, and which pixels a classifier sees."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bitbrush.classify import imagenet_classes, prepare
from bitbrush.errors import InputError
from bitbrush.lab.attack.objective import Aim, Classifier, find_class, seen_pixels
from bitbrush.networks.registry import network_spec


def test_classes_are_found_by_id_and_by_name() -> None:
    assert find_class("n01443537") == find_class("goldfish") == find_class(" GoldFish ") == 1
    for index in (0, 500, 999):
        assert find_class(imagenet_classes()[index][0]) == index


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("goldfsh", "did you mean 'goldfish'"),
        ("n01443538", "did you mean 'n0144"),
        ("pointer", "did you mean 'German short-haired pointer'"),
        ("crane", "write n02012849 or n03126707"),
        ("qqqqqqqq", "write a name such as 'goldfish'"),
        ("", "write a name"),
    ],
)
def test_unknown_and_double_names_are_refused(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        find_class(text)
    assert message in str(caught.value)


LOGITS = torch.tensor([[1.0, 4.0, 3.5, -2.0]])


def test_margins_by_hand() -> None:
    assert float(Aim(1).margin(LOGITS)) == -0.5 and not Aim(1).reached(LOGITS)
    assert float(Aim(2).margin(LOGITS)) == 0.5 and Aim(2).reached(LOGITS)
    assert float(Aim(1, 0).margin(LOGITS)) == -3 and not Aim(1, 0).reached(LOGITS)
    assert float(Aim(2, 1).margin(LOGITS)) == 0.5 and Aim(2, 1).reached(LOGITS)


@pytest.mark.parametrize("kind", ["margin", "cross-entropy"])
@pytest.mark.parametrize("target", [None, 0])
def test_going_down_the_loss_comes_nearer_to_the_aim(kind: str, target: int | None) -> None:
    aim = Aim(1, target)
    logits = LOGITS.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(aim.loss(logits, kind), logits)
    assert aim.margin(LOGITS - 0.1 * gradient) > aim.margin(LOGITS)


def test_the_margins_gradient_does_not_vanish_where_the_network_is_sure() -> None:
    logits = torch.tensor([[200.0, 0.0, 0.0]], requires_grad=True)
    margin, entropy = (
        torch.autograd.grad(Aim(0).loss(logits, kind), logits)[0].abs().sum()
        for kind in ("margin", "cross-entropy")
    )
    assert margin == 2 and entropy == 0


def test_an_unknown_loss_is_refused() -> None:
    with pytest.raises(InputError, match="did you mean 'margin'"):
        Aim(0).loss(LOGITS, "margins")


def test_a_network_without_logits_cannot_be_deceived() -> None:
    with pytest.raises(InputError, match="vgg19-16x has no classifier"):
        Classifier(network_spec("vgg19-16x").build())


def test_pictures_are_classified_as_classify_prepares_them(
    one_bit: Classifier, clean: Tensor
) -> None:
    expected = one_bit.network(prepare(clean), ["logits"])["logits"]
    assert torch.equal(one_bit.logits(clean), expected)
    other = clean.flip(-1)
    for picture in (clean, other, clean, other.flip(-1)):  # from memory or not
        assert torch.equal(one_bit.logits(picture), one_bit._logits(picture))


def test_the_picture_gets_a_gradient_through_one_bit_layers(
    one_bit: Classifier, clean: Tensor
) -> None:
    leaf = clean.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(Aim(0).loss(one_bit(leaf), "margin"), leaf)
    seen = seen_pixels(clean).expand_as(clean) > 0
    assert gradient[seen].any() and not gradient[~seen].any()


def test_pixels_that_are_cut_off_are_not_seen() -> None:
    seen = seen_pixels(torch.zeros(1, 3, 256, 400))
    # 224 of 256 along both axes.
    assert seen.sum() == 224 * 224 and seen[0, 0, 16, 88] == 1 and seen[0, 0, 15, 88] == 0
    assert not seen[..., :88].any() and not seen[..., 312:].any()
