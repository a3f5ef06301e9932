"""Our attack on small networks: it succeeds, stays within its budget, and can be repeated."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from bitbrush.errors import InputError
from bitbrush.lab.attack.budget import LEVELS, make_budget
from bitbrush.lab.attack.loop import AttackSettings, attack, random_noise
from bitbrush.lab.attack.objective import Aim, Classifier
from bitbrush.lab.judge import Judge

SETTINGS = AttackSettings(steps=12, restarts=3, confidence=0.0)


def answer(classifier: Classifier, picture: Tensor) -> int:
    return int(classifier.logits(picture)[0].argmax())


@pytest.mark.parametrize(
    ("name", "norm", "epsilon"),
    [("one_bit", "linf", 40 / 255), ("floating", "linf", 40 / 255), ("floating", "l2", 25.0)],
)
@pytest.mark.parametrize("targeted", [False, True])
def test_it_succeeds_within_its_budget(
    name: str,
    norm: str,
    epsilon: float,
    targeted: bool,
    clean: Tensor,
    request: pytest.FixtureRequest,
) -> None:
    classifier: Classifier = request.getfixturevalue(name)
    first, second = classifier.logits(clean)[0].topk(2).indices.tolist()
    aim = Aim(first, second if targeted else None)
    budget = make_budget(norm, epsilon, clean)
    made = attack(classifier, clean, aim, budget, SETTINGS)
    assert made.reached and aim.reached(classifier.logits(made.picture))
    assert made.margin == pytest.approx(float(aim.margin(classifier.logits(made.picture))))
    assert budget.used(made.picture) <= epsilon + 1e-9
    assert torch.equal((made.picture * LEVELS).round() / LEVELS, made.picture)
    assert 1 <= made.steps <= 36 and made.blocked == 0 and made.loss == 0


def test_the_same_seed_gives_the_same_picture(one_bit: Classifier, clean: Tensor) -> None:
    # An aim out of reach, so that every try is made.
    aim = Aim(answer(one_bit, clean), int(one_bit.logits(clean)[0].argmin()))
    budget = make_budget("linf", 1 / 255, clean)
    settings = dataclasses.replace(SETTINGS, steps=3)
    assert not attack(one_bit, clean, aim, budget, settings).reached
    made = [
        attack(one_bit, clean, aim, budget, dataclasses.replace(settings, seed=seed))
        for seed in (5, 5, 6)
    ]
    assert made[0].steps == 9
    assert torch.equal(made[0].picture, made[1].picture)
    assert made[0].margin == made[1].margin
    later = [random_noise(one_bit, clean, aim, budget, 2, seed) for seed in (5, 5, 6)]
    assert torch.equal(later[0], later[1]) and not torch.equal(later[0], later[2])


@pytest.mark.parametrize("epsilon", [0.0003, 0.005])
def test_noise_uses_a_content_distance_up(
    floating: Classifier, clean: Tensor, judge: Judge, epsilon: float
) -> None:
    logits = floating.logits(clean)[0]
    aim = Aim(int(logits.argmax()), int(logits.argmin()))
    budget = make_budget("content", epsilon, clean, judge)
    made = random_noise(floating, clean, aim, budget, 1, 0)
    assert 0.7 * epsilon < budget.used(made) <= epsilon


def test_later_tries_begin_anywhere_within_a_content_distance(
    floating: Classifier, clean: Tensor, judge: Judge
) -> None:
    shown = []

    class Recording(Classifier):
        def forward(self, pictures: Tensor) -> Tensor:
            shown.append(pictures.detach())
            return super().forward(pictures)

    logits = floating.logits(clean)[0]
    aim = Aim(int(logits.argmax()), int(logits.argmin()))
    budget = make_budget("content", 0.005, clean, judge)
    settings = AttackSettings(steps=1, restarts=4, confidence=0.0)
    attack(Recording(floating.network), clean, aim, budget, settings)
    used = [budget.used(picture) for picture in shown[2::2]]
    assert len(used) == 3 and max(used) > 0.4 * 0.005


def test_a_picture_that_is_answered_as_wanted_needs_no_step(
    floating: Classifier, clean: Tensor
) -> None:
    aim = Aim(answer(floating, clean), answer(floating, clean))
    made = attack(floating, clean, aim, make_budget("linf", 1 / 255, clean), SETTINGS)
    assert made.steps == 0 and torch.equal(made.picture, clean)


def test_more_confidence_takes_more_steps(floating: Classifier, clean: Tensor) -> None:
    aim = Aim(answer(floating, clean))
    budget = make_budget("linf", 8 / 255, clean)
    little, much = (
        attack(floating, clean, aim, budget, dataclasses.replace(SETTINGS, confidence=share))
        for share in (0.0, 0.99)
    )
    assert much.steps > little.steps and much.margin > little.margin


def test_gradients_that_are_zero_are_counted(clean: Tensor) -> None:
    class Flat(Classifier):
        def __init__(self) -> None:
            torch.nn.Module.__init__(self)
            self.network = None  # type: ignore[assignment]

        def forward(self, pictures: Tensor) -> Tensor:
            return 0 * pictures.mean((1, 2, 3))[:, None] + torch.tensor([[1.0, 0.0]])

    made = attack(Flat(), clean, Aim(0), make_budget("linf", 0.1, clean), SETTINGS)
    assert not made.reached and made.blocked == made.steps == 36


class Redness:
    """A style that wants all red."""

    def start(self) -> Tensor:
        return torch.zeros(1, 3, 60, 80)

    def gradient(self, picture: Tensor, random: torch.Generator) -> tuple[Tensor, float]:
        wanted = torch.zeros_like(picture)
        wanted[:, 0] = 1
        return picture - wanted, float((picture - wanted).square().mean())


def test_a_style_is_painted_too(floating: Classifier, clean: Tensor) -> None:
    aim = Aim(answer(floating, clean))
    budget = make_budget("linf", 0.3, clean)
    plain = attack(floating, clean, aim, budget, SETTINGS)
    made = attack(floating, clean, aim, budget, SETTINGS, style=Redness())
    assert made.reached and budget.used(made.picture) <= 0.3
    assert made.loss == Redness().gradient(made.picture, torch.Generator())[1]
    assert made.loss < Redness().gradient(plain.picture, torch.Generator())[1]
    assert made.steps == SETTINGS.steps  # all of them, for the picture's sake


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"steps": 0}, "--steps"),
        ({"restarts": 0}, "--restarts"),
        ({"confidence": 1.0}, "--confidence"),
        ({"seed": -1}, "--seed"),
        ({"loss": "marge"}, "did you mean 'margin'"),
        ({"estimator": "aprox"}, "did you mean 'approx'"),
    ],
)
def test_bad_settings_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        AttackSettings(**values)  # type: ignore[arg-type]
