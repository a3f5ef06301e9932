"""The library's attacks come back within the budget, as they would be saved."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch import Tensor

from bitbrush.errors import InputError
from bitbrush.lab.attack import library
from bitbrush.lab.attack.budget import LEVELS, make_budget
from bitbrush.lab.attack.library import LIBRARY_ATTACKS, library_attack
from bitbrush.lab.attack.loop import AttackSettings
from bitbrush.lab.attack.objective import Aim, Classifier
from bitbrush.lab.judge import Judge

SETTINGS = AttackSettings(steps=10)
needs_library = pytest.mark.skipif(
    not library.library_is_there(), reason="needs the Adversarial Robustness Toolbox"
)


@needs_library
@pytest.mark.parametrize("name", LIBRARY_ATTACKS)
@pytest.mark.parametrize(("norm", "epsilon"), [("linf", 12 / 255), ("l2", 4.0)])
@pytest.mark.parametrize("upright", [False, True])
def test_pictures_are_within_the_budget_and_nearer_to_the_aim(
    name: str, norm: str, epsilon: float, upright: bool, floating: Classifier, clean: Tensor
) -> None:
    if upright:
        clean = clean.mT.contiguous()
    logits = floating.logits(clean)
    first, second = logits[0].topk(2).indices.tolist()
    budget = make_budget(norm, epsilon, clean)
    for target in (None, second):
        aim = Aim(first, target)
        found = library_attack(name, floating, clean, aim, budget, SETTINGS, 30)
        assert found.shape == clean.shape and budget.used(found) <= epsilon + 1e-9
        assert torch.equal((found * LEVELS).round() / LEVELS, found)
        assert float(aim.margin(floating.logits(found))) > float(aim.margin(logits))


@needs_library
@pytest.mark.parametrize("name", LIBRARY_ATTACKS)
def test_a_content_distance_is_used_like_a_norm(
    name: str, floating: Classifier, clean: Tensor, judge: Judge
) -> None:
    logits = floating.logits(clean)[0]
    aim = Aim(int(logits.argmax()), int(logits.argmin()))
    used = []
    for epsilon in (0.0003, 0.005):
        budget = make_budget("content", epsilon, clean, judge)
        found = library_attack(name, floating, clean, aim, budget, SETTINGS, 10)
        used.append(budget.used(found) / epsilon)
    assert all(0.6 < share <= 1 for share in used), used


@needs_library
@pytest.mark.parametrize("name", LIBRARY_ATTACKS)
@pytest.mark.parametrize("upright", [False, True])
def test_the_network_stays_on_its_device(
    name: str, upright: bool, floating: Classifier, clean: Tensor
) -> None:
    class Here(Classifier):
        def _apply(self, *arguments: object, **options: object) -> Here:
            raise AssertionError("the library moved the network")

    if upright:
        clean = clean.mT.contiguous()
    here = Here(floating.network)
    aim = Aim(int(here.logits(clean)[0].argmax()))
    budget = make_budget("linf", 4 / 255, clean)
    assert library_attack(name, here, clean, aim, budget, SETTINGS, 5).device == clean.device


@needs_library
def test_it_can_be_repeated_and_leaves_the_processs_chance_alone(
    floating: Classifier, clean: Tensor
) -> None:
    aim = Aim(int(floating.logits(clean)[0].argmax()))
    budget = make_budget("linf", 4 / 255, clean)
    np.random.seed(1)
    random.seed(1)
    before = np.random.get_state()[1].tolist(), random.getstate()
    found = [library_attack("square", floating, clean, aim, budget, SETTINGS, 10) for _ in range(2)]
    assert torch.equal(*found)
    assert (np.random.get_state()[1].tolist(), random.getstate()) == before


def test_without_the_library_it_says_how_to_get_it(
    floating: Classifier, clean: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "find_spec", lambda name: None)
    budget = make_budget("linf", 4 / 255, clean)
    with pytest.raises(InputError, match=r"pip install 'bitbrush\[attack\]'"):
        library_attack("fgsm", floating, clean, Aim(0), budget, SETTINGS, 10)


def test_an_unknown_attack_is_refused(
    floating: Classifier, clean: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "find_spec", lambda name: object())
    with pytest.raises(InputError, match="did you mean 'fgsm'"):
        library_attack("fgms", floating, clean, Aim(0), make_budget("l2", 1, clean), SETTINGS, 10)
