"""What an attack does to pictures: ours beside others, on this network and on others."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...classify import imagenet_classes, top_classes
from ...errors import InputError
from ...images import Picture, resize
from ...networks.registry import network_spec
from ...quantizers import ESTIMATORS
from ...style.defaults import DEFAULTS
from ...style.scales import fitted
from ...style.settings import PaintSettings
from ...weights.download import file_sha256
from ...weights.loading import load_network, resolve_weights
from ..judge import SQUEEZENET, Judge
from .budget import Budget, ContentDistance, eight_bit, l2_distance, make_budget
from .library import LIBRARY_ATTACKS, library_attack
from .loop import AttackSettings, attack, random_noise
from .objective import LOSSES, Aim, Classifier
from .painted import Painted
from .victims import require_imagenet

OURS = "ours"
PLAIN = "painting alone"
NOISE = "noise"

KEPT = 0.3
"""Content weight of paintings: more than usual, because people are still to see the picture."""

CONTROL_RESTARTS = 4
"""Tries of each control. What one alone would have reached is told by the try that did."""

WIDER = 8
"""Times the budget, of the control that is to succeed whatever the network."""

Tell = Callable[[float, str], None]
"""Told the share that is done of one picture, and a remark."""


@dataclass(frozen=True)
class Plan:
    """All that decides about the result for a picture.

    Attributes:
        network: that is attacked, with `weights` as for `load_network`.
        target: number of the class wanted; None: any other than the network's own answer.
        norm, epsilon: of the budget.
        settings: of our attack; its estimator None is the network's default for pictures.
        size: long edge in pixels that larger pictures are reduced to.
        style: picture or built-in style that is painted in; None: none.
        painter: network that paints, in `paint_steps` steps.
        judge: network that tells the content distance; None: nobody.
        against: other attacks for comparison.
        queries: of the square attack.
        controls: whether to look for masked gradients.
        transfer: networks that are shown the pictures too.
    """

    network: str
    weights: str = "default"
    target: int | None = None
    norm: str = "linf"
    epsilon: float = 8 / 255
    settings: AttackSettings = field(default_factory=AttackSettings)
    size: int = 512
    style: str | None = None
    painter: str = "quickbrush"
    paint_steps: int = 200
    judge: str | None = SQUEEZENET
    against: tuple[str, ...] = ()
    queries: int = 300
    controls: bool = False
    transfer: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Of plain values, with the hashes of the weights that "default" means, and of the files
        that a style is painted from.

        Raises:
            InputError: weights or a style's file that cannot be read.
        """
        held = dataclasses.asdict(self)
        names = (self.network, *self.transfer, *filter(None, [self.judge]))
        held["sha256"] = {
            name: resolve_weights(name, self.weights if name == self.network else "default").sha256
            for name in names
        }
        if self.style is not None:
            held["painting_sha256"] = {
                "style": _style_hash(self.style),
                "painter": resolve_weights(self.painter).sha256,
            }
        return held


@dataclass(frozen=True)
class Found:
    """What is known of one picture.

    Attributes:
        row: of plain values, for a results file.
        clean, picture: before and after our attack, 8-bit RGB [1, 3, H, W].
    """

    row: dict[str, Any]
    clean: Tensor
    picture: Tensor


def _style_hash(style: str) -> str | None:
    """SHA-256 of a style's file; None of a built-in one, which is drawn."""
    path = Path(style)
    return file_sha256(path) if path.is_file() else None


class Study:
    """The networks of a plan, loaded, for one picture after another.

    Raises:
        InputError: what the plan names is not there or no good, or a network knows other classes
            than ImageNet's.
    """

    def __init__(self, plan: Plan, device: str = "cpu") -> None:
        one_bit = network_spec(plan.network).kind != "float"
        estimator = plan.settings.estimator
        if estimator not in (None, "trained") and not one_bit:
            raise InputError(
                f"--estimator has no meaning for {plan.network}, which has no one-bit layers"
            )
        if estimator is None:
            estimator = DEFAULTS[plan.network].estimator if plan.network in DEFAULTS else "trained"
        self.plan = plan
        self.one_bit = one_bit
        self.device = device
        self.settings = dataclasses.replace(plan.settings, estimator=estimator)
        self.classifier = self._load(plan.network, plan.weights)
        self.judge = None if plan.judge is None else Judge.load(plan.judge, device)
        self.others = {name: self._load(name) for name in plan.transfer}

    def _load(self, name: str, weights: str = "default") -> Classifier:
        # Its gradient unrounded, lest rounding be taken for masking.
        network = load_network(name, weights, device=self.device, precision="float32")
        require_imagenet(name, weights)
        return Classifier(network)

    def steps(self) -> int:
        """Passes through the network for one picture, at most, for a progress bar."""
        return sum(self._costs().values())

    def _costs(self) -> dict[str, int]:
        plan, settings = self.plan, self.settings
        costs = {} if plan.style is None else {PLAIN: plan.paint_steps}
        costs[OURS] = settings.steps * settings.restarts
        known = {
            NOISE: settings.steps,
            "fgsm": 1,
            "pgd": settings.steps * settings.restarts,
            "square": plan.queries,
        }
        costs |= {name: known[name] for name in plan.against}
        for name in self._control_settings() if plan.controls else {}:
            costs[f"control {name}"] = settings.steps * CONTROL_RESTARTS
        return costs

    def look(self, picture: Picture, tell: Tell = lambda share, note: None) -> Found:
        """Attacks a picture.

        Args:
            picture: of any size; a larger one is first reduced to the plan's.
            tell: told the progress.
        """
        clean = self._sized(picture.rgb)
        aim = Aim(int(self.classifier.logits(clean)[0].argmax()), self.plan.target)
        budget = make_budget(self.plan.norm, self.plan.epsilon, clean, self.judge)
        watch = _Watch(self._costs(), tell)
        pictures, attacks = self._attacks(clean, aim, budget, watch)
        distance = None if self.judge is None else ContentDistance(self.judge, clean)
        theirs = {name: int(each.logits(clean)[0].argmax()) for name, each in self.others.items()}
        for name, made in pictures.items():
            attacks[name] |= self._judged(made, clean, aim, distance)
        row = {
            "picture": picture.name,
            "sha256": picture.sha256,
            "label": label_of(Path(picture.name)),
            "width": clean.shape[-1],
            "height": clean.shape[-2],
            "before": self._top(clean),
            "after": self._top(pictures[OURS]),
            "attacks": attacks,
            "transfer_before": {n: imagenet_classes()[one][0] for n, one in theirs.items()},
            "transfer": self._transferred(theirs, pictures),
            "controls": self._controls(clean, aim, watch) if self.plan.controls else {},
        }
        return Found(row, clean.cpu(), pictures[OURS].cpu())

    def _sized(self, rgb: Tensor) -> Tensor:
        height, width = rgb.shape[-2:]
        if max(height, width) > self.plan.size:
            rgb = resize(rgb, *fitted(height, width, self.plan.size))
        return eight_bit(rgb).to(self.classifier.network.mean.device)

    def _attacks(
        self, clean: Tensor, aim: Aim, budget: Budget, watch: _Watch
    ) -> tuple[dict[str, Tensor], dict[str, dict[str, Any]]]:
        """The picture of each attack, and what it took."""
        plan, settings = self.plan, self.settings
        pictures: dict[str, Tensor] = {}
        told: dict[str, dict[str, Any]] = {}
        style = None
        if plan.style is not None:
            style = Painted(clean, plan.style, self._paint_settings())
            with watch.timing(PLAIN, told):
                style.paint(watch.advance)
            pictures[PLAIN] = budget.project(style.start().to(clean))[1]
        with watch.timing(OURS, told):
            made = attack(
                self.classifier, clean, aim, budget, settings, style=style, advance=watch.advance
            )
        pictures[OURS] = made.picture
        told[OURS] |= {"steps": made.steps, "blocked": made.blocked, "restart": made.restart}
        for name in plan.against:
            with watch.timing(name, told):
                if name == NOISE:
                    found = random_noise(
                        self.classifier, clean, aim, budget, settings.steps, settings.seed
                    )
                else:
                    found = library_attack(
                        name, self.classifier, clean, aim, budget, settings, plan.queries
                    )
            pictures[name] = found
        return pictures, told

    def _paint_settings(self) -> PaintSettings:
        plan = self.plan
        return PaintSettings(
            network=plan.painter,
            content_weight=KEPT,
            steps=plan.paint_steps,
            seed=plan.settings.seed,
            device=self.device,
            threads=torch.get_num_threads(),
        )

    def _judged(
        self, picture: Tensor, clean: Tensor, aim: Aim, distance: ContentDistance | None
    ) -> dict[str, Any]:
        logits = self.classifier.logits(picture)
        answer = int(logits[0].argmax())
        return {
            "success": aim.reached(logits),
            "answer": imagenet_classes()[answer][0],
            "probability": float(logits[0].softmax(0)[answer]),
            "margin": float(aim.margin(logits)),
            "linf": float((picture - clean).abs().max()),
            "l2": l2_distance(picture, clean),
            "content": None if distance is None else distance(picture),
        }

    def _top(self, picture: Tensor) -> list[dict[str, Any]]:
        return [dataclasses.asdict(g) for g in top_classes(self.classifier.network, picture)]

    def _transferred(
        self, clean: Mapping[str, int], pictures: Mapping[str, Tensor]
    ) -> dict[str, dict[str, bool]]:
        """For each other network and attack, whether the aim is reached there too.

        Args:
            clean: each other network's answer to the clean picture.
        """
        found = {}
        for name, other in self.others.items():
            aim = Aim(clean[name], self.plan.target)
            found[name] = {
                made: aim.reached(other.logits(picture)) for made, picture in pictures.items()
            }
        return found

    def _control_settings(self) -> dict[str, AttackSettings]:
        """Our attack with one thing changed at a time, each ending at its first success."""
        settings = dataclasses.replace(self.settings, restarts=CONTROL_RESTARTS, confidence=0.0)
        changed = {}
        for name in ("trained", *ESTIMATORS) if self.one_bit else ():
            changed[f"estimator {name}"] = dataclasses.replace(settings, estimator=name)
        for name in LOSSES:
            changed[f"loss {name}"] = dataclasses.replace(settings, loss=name)
        changed[f"{WIDER} times the budget"] = settings
        return changed

    def _controls(self, clean: Tensor, aim: Aim, watch: _Watch) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for name, settings in self._control_settings().items():
            epsilon = self.plan.epsilon * (WIDER if "budget" in name else 1)
            budget = make_budget(self.plan.norm, epsilon, clean, self.judge)
            with watch.timing(f"control {name}", {}):
                made = attack(self.classifier, clean, aim, budget, settings, advance=watch.advance)
            found[name] = {
                "success": made.reached,
                "restart": made.restart,
                "steps": made.steps,
                "blocked": made.blocked,
            }
        return found


class _Watch:
    """Tells how much of a picture's work is done, and how long each part took."""

    def __init__(self, costs: Mapping[str, int], tell: Tell) -> None:
        self._costs, self._tell = costs, tell
        self._whole = max(sum(costs.values()), 1)
        self._before = 0
        self._now = ""

    def advance(self, done: int, note: str) -> None:
        self._tell((self._before + done) / self._whole, f"{self._now} {note}".strip())

    @contextmanager
    def timing(self, name: str, told: dict[str, dict[str, Any]]) -> Iterator[None]:
        """Around one part; its seconds go into `told`."""
        self._now = name
        self.advance(0, "")
        started = time.monotonic()
        yield
        told[name] = {"seconds": round(time.monotonic() - started, 2)}
        # A part that ended early counts as whole.
        self._before += self._costs[name]


def label_of(path: Path) -> str | None:
    """The WordNet id that a file is named by, as n01443537.jpg or n01443537_12.jpg; else None."""
    known = {wordnet_id for wordnet_id, _ in imagenet_classes()}
    name = path.stem.replace("-", "_").partition("_")[0]
    return name if name in known else None


def default_against() -> Iterator[str]:
    """What ours is compared with: noise, and the library's attacks where it is installed."""
    from .library import library_is_there

    yield NOISE
    if library_is_there():
        yield from LIBRARY_ATTACKS
