"""FGSM, PGD and the square attack as the Adversarial Robustness Toolbox has them.

Theirs is what ours is compared with, so nothing of it is changed but the last step: their pictures
are brought within the budget and to 8 bits like ours, and judged as they would be saved.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...errors import InputError, unknown_name
from ...quantizers import image_estimator
from .budget import L2, Budget, Content
from .loop import AttackSettings
from .objective import Aim, Classifier

LIBRARY_ATTACKS = ("fgsm", "pgd", "square")
HOW_TO_INSTALL = "pip install 'bitbrush[attack]'"

SQUARES = 0.05
"""Share of the picture that the first squares change: the paper's for ImageNet and linf
(Andriushchenko et al. 2020)."""


def library_is_there() -> bool:
    """Whether the toolbox is installed."""
    return find_spec("art") is not None


def library_attack(
    name: str,
    classifier: Classifier,
    clean: Tensor,
    aim: Aim,
    budget: Budget,
    settings: AttackSettings,
    queries: int,
) -> Tensor:
    """The library's picture, 8-bit and within the budget.

    Args:
        name: one of LIBRARY_ATTACKS.
        settings: of which steps, restarts, estimator and seed count; the loss is the library's
            own, cross-entropy for gradients and the margin for squares.
        queries: of the square attack, in all.
    Raises:
        InputError: the library is not installed, or an unknown name.
    """
    if not library_is_there():
        raise InputError(f"{name} needs the Adversarial Robustness Toolbox: {HOW_TO_INSTALL}")
    if name not in LIBRARY_ATTACKS:
        raise unknown_name("attack", name, LIBRARY_ATTACKS)
    classes = classifier.logits(clean).shape[1]
    # Its squares in L2 are laid out for pictures that are at least as wide as high.
    turn = name == "square" and clean.shape[-2] > clean.shape[-1]
    given = clean.mT.contiguous() if turn else clean
    estimator = _estimator(_Asked(classifier, clean.device, turn), given, classes)
    label = aim.clean if aim.target is None else aim.target
    wanted = np.eye(classes, dtype=np.float32)[[label]]
    with _seeded(settings.seed), image_estimator(settings.image_estimator()):
        norm = 2 if isinstance(budget, L2) else np.inf
        eps = _radius(budget, classifier, aim)
        made = _make(name, estimator, given, aim, norm, eps, settings, queries)
        found = torch.from_numpy(made.generate(given.cpu().numpy().copy(), wanted)).to(clean)
    _, picture = budget.project(found.mT.contiguous() if turn else found)
    return picture


class _Asked(torch.nn.Module):
    """A classifier that the library can ask but not move.

    The library takes its module to the current GPU, or to the CPU where there is no CUDA. Held as
    a function, the network that all attacks share stays on its device.

    Args:
        device: the classifier's.
        turn: whether the library's pictures have rows for columns.
    """

    def __init__(self, classifier: Classifier, device: torch.device, turn: bool) -> None:
        super().__init__()
        self.ask: Callable[[Tensor], Tensor] = lambda pictures: classifier(pictures)
        self.device, self.turn = device, turn

    def forward(self, pictures: Tensor) -> Tensor:
        """pictures: [N, 3, H, W] on any device; returns [N, classes] there."""
        given = pictures.to(self.device)
        return self.ask(given.mT.contiguous() if self.turn else given).to(pictures.device)


def _estimator(classifier: torch.nn.Module, clean: Tensor, classes: int) -> Any:
    from art.estimators.classification import PyTorchClassifier

    return PyTorchClassifier(
        model=classifier,
        loss=torch.nn.CrossEntropyLoss(),
        input_shape=tuple(clean.shape[1:]),
        nb_classes=classes,
        clip_values=(0.0, 1.0),
        # Of its own arrays: the network computes where it is.
        device_type="cpu",
    )


def _make(
    name: str,
    estimator: Any,
    clean: Tensor,
    aim: Aim,
    norm: Any,
    eps: float,
    settings: AttackSettings,
    queries: int,
) -> Any:
    from art.attacks.evasion import FastGradientMethod, ProjectedGradientDescent, SquareAttack

    targeted = aim.target is not None
    if name == "fgsm":
        return FastGradientMethod(estimator, norm, eps, targeted=targeted, batch_size=1)
    if name == "pgd":
        return ProjectedGradientDescent(
            estimator,
            norm,
            eps,
            # Madry et al. 2018: far enough to cross the ball about twice.
            eps_step=2.5 * eps / settings.steps,
            max_iter=settings.steps,
            targeted=targeted,
            num_random_init=settings.restarts,
            batch_size=1,
            verbose=False,
        )
    short, long = sorted(clean.shape[-2:])
    return SquareAttack(
        estimator,
        norm,
        # Its own are for any class but the one given.
        adv_criterion=_hits if targeted else None,
        loss=_behind(estimator) if targeted else None,
        max_iter=queries,
        eps=eps,
        # A square must be smaller than the short side, however long the picture is.
        p_init=min(SQUARES, 0.5 * short / long),
        batch_size=1,
        verbose=False,
    )


def _radius(budget: Budget, classifier: Classifier, aim: Aim) -> float:
    """Of the ball that the library is to stay in.

    It does not know content budgets. For those it is the ball in linf whose corner, where one step
    along the signs of the gradient leads, is on the border. By the margin, whose gradient does not
    vanish.
    """
    if not isinstance(budget, Content):
        return budget.epsilon
    leaf = budget.clean.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(aim.loss(classifier(leaf), "margin"), leaf)
    return budget.border(gradient.sign())


def _hits(logits: Any, wanted: Any) -> Any:
    return logits.argmax(axis=1) == wanted.argmax(axis=1)


def _behind(estimator: Any) -> Any:
    def behind(pictures: Any, wanted: Any) -> Any:
        logits = estimator.predict(pictures, batch_size=1)
        target = np.take_along_axis(logits, wanted.argmax(axis=1)[:, None], 1)[:, 0]
        return np.where(wanted > 0, -np.inf, logits).max(axis=1) - target

    return behind


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """The library draws from the process's generators; they are put back as they were."""
    theirs, ours = np.random.get_state(), random.getstate()
    np.random.seed(seed % 2**32)
    random.seed(seed)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        np.random.set_state(theirs)
        random.setstate(ours)
