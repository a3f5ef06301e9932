"""Trains a classifier, so that it can be stopped anywhere and goes on exactly where it was.

Order, shifts and mirror images follow from the seed and the number of the step alone, so a
checkpoint is weights, optimiser and counters; there are no random numbers to keep. Where time is
limited, the share of it that is used drives the schedule once it exceeds the share of the steps.
"""

from __future__ import annotations

import hashlib
import io
import math
import pickle
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ..allocator import keep_freed_memory
from ..atomic import write_atomically
from ..engine.rounding import rounding_seed
from ..errors import BitbrushError, InputError
from ..layers import QUANTIZED_LAYERS
from ..networks.taps import Network
from ..shares import wilson
from .flip_ratio import FlipRatio
from .labelled import Labelled
from .recipes import ClassifierRecipe, check_limits
from .stopwatch import Stopwatch
from .upkeep import Upkeep

FLIPS_EVERY = 10
"""Of so many steps one is looked at for flipped bits, which costs a pass over all weights."""

LEAST_STEPS = 50
"""Between two points of the curve, so that those of few pictures do not take longer than steps."""

APART = 0x9E3779B1
"""Numbers of steps times this are far apart from each other, as seeds (Knuth's golden ratio)."""

UNTOLD = {"engine": "float"}
"""What older checkpoints were made with, which do not tell."""

CHECK_BATCH = 100
"""Pictures that are classified at a time. A fixed number, since rounding may depend on it."""


@dataclass(frozen=True)
class Point:
    """A point of the learning curve; means are over the steps since the point before.

    Attributes:
        step: steps done.
        epoch: passes over the pictures that are done.
        seconds: of training, as `Training.seconds`.
        learning_rate: of the last step.
        loss: cross entropy of training batches, smoothed as the recipe says.
        accuracy: of training batches as they were shown, in [0, 1].
        held_out: accuracy on held-out pictures, or None where there are none.
        flip_ratio: share of bits that a step flips, or None of a float network.
    """

    step: int
    epoch: float
    seconds: float
    learning_rate: float
    loss: float
    accuracy: float
    held_out: float | None
    flip_ratio: float | None


@dataclass
class _Sums:
    """What the next point of the curve will be the mean of."""

    loss: float = 0.0
    right: int = 0
    pictures: int = 0
    flips: float = 0.0
    looks: int = 0


@dataclass(frozen=True)
class Score:
    """How many pictures of a set were classified rightly."""

    right: int
    pictures: int

    @property
    def accuracy(self) -> float:
        """In [0, 1]."""
        return self.right / self.pictures

    def interval(self) -> tuple[float, float]:
        """Of the accuracy, 95 %."""
        return wilson(self.right, self.pictures)


class Training:
    """A classifier in training.

    Attributes:
        steps: optimiser steps done.
        points: the curve so far.
    """

    def __init__(
        self,
        network: Network,
        pictures: Labelled,
        held_out: Labelled | None,
        recipe: ClassifierRecipe,
        *,
        checkpoint: Path | None = None,
        hours: float | None = None,
        size: int | None = None,
        autocast: bool = False,
        packed: bool = False,
    ) -> None:
        """Args:
        network: with logits for the pictures' classes; trained in place.
        held_out: pictures for the curve; they choose nothing.
        checkpoint: file to go on from where it exists; see `save`.
        hours: most time, all runs together.
        size: side in pixels at which the network sees the pictures, if not their own.
        autocast: compute in bfloat16 where torch does so on its own.
        packed: compute one-bit convolutions on bits (see `on_bits`), which needs Numba.
        Raises:
            InputError: fewer pictures than a batch, no end to the training, a size that the
                network does not take, or a checkpoint of another training.
        """
        check_limits(recipe, hours)
        if len(pictures) < recipe.batch:
            raise InputError(f"{len(pictures)} pictures are less than a batch of {recipe.batch}")
        if packed:
            from .on_bits import on_bits

            on_bits(network)
        keep_freed_memory()
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.pictures, self.held_out, self.recipe = pictures, held_out, recipe
        self.checkpoint, self.hours = checkpoint, hours
        self.autocast, self.packed = autocast, packed
        self.size = size or pictures.size
        network.check(torch.empty(1, 3, self.size, self.size, device="meta"), ["logits"])
        self._one_bit = one_bit_weights(network)
        if recipe.norm_momentum is not None:
            for module in network.modules():
                if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                    module.momentum = recipe.norm_momentum
        self.rate = recipe.learning_rate if self._one_bit else recipe.float_rate
        trained = [p for p in network.parameters() if p.requires_grad]
        self._optimizer = torch.optim.Adam(trained, self.rate, eps=recipe.epsilon, fused=True)
        self.steps, self._seconds_before = 0, 0.0
        self._stepping, self._checking = Stopwatch(), Stopwatch()
        self._saving = Upkeep()
        self._digest = digest(pictures)
        self.points: list[Point] = []
        self._sums = _Sums()
        if checkpoint is not None and checkpoint.exists():
            self._restore(checkpoint)

    @property
    def steps_of_epoch(self) -> int:
        """Steps of a pass over the pictures."""
        return len(self.pictures) // self.recipe.batch

    @property
    def epochs(self) -> float:
        """Passes over the pictures that are done."""
        return self.steps / self.steps_of_epoch

    @property
    def seconds(self) -> float:
        """Of training so far, all runs together; none in which the process was stopped."""
        return self._seconds_before + self._stepping.seconds + self._checking.seconds

    @property
    def share(self) -> float:
        """Of the whole training, in [0, 1]."""
        shares = [0.0]
        if self.recipe.epochs is not None:
            shares.append(self.steps / (self.recipe.epochs * self.steps_of_epoch))
        if self.hours is not None:
            shares.append(self.seconds / (self.hours * 3600))
        return min(max(shares), 1.0)

    @property
    def finished(self) -> bool:
        """Whether all steps are done or the time is over."""
        return self.share >= 1.0

    def run(self) -> Iterator[Point | None]:
        """Trains to the end; yields after every step a point of the curve, or None.

        Points come several times an epoch, if that has many steps, and at the training's end.
        What is done is saved now and then (see `Upkeep`), and at the end.

        Raises:
            BitbrushError: the loss is no finite number any more.
        """
        if self.finished and self._sums.pictures:
            # Stopped between two points, and then given less time or fewer epochs.
            last = self._reported()
            self.save()
            yield last
        while not self.finished:
            with self._stepping.piece():
                self.network.train()
                self._step()
            point = self._reported() if self._is_point() or self.finished else None
            if self.checkpoint is not None and (self.finished or self._saving.is_due()):
                with self._saving.piece():
                    self.save()
            yield point

    def _is_point(self) -> bool:
        """Whether the curve has a point here: by the steps alone, so that it is always the same."""
        whole = self.steps_of_epoch
        every = max(whole // self.recipe.points, LEAST_STEPS)
        epochs, of_epoch = divmod(self.steps, whole)
        if of_epoch == 0:
            return epochs % math.ceil(LEAST_STEPS / whole) == 0
        return of_epoch % every == 0 and whole - of_epoch >= every

    def save(self) -> None:
        """Writes all that is needed to go on; a reader sees the old checkpoint or the new one.

        Raises:
            InputError: it cannot be written. The old checkpoint is then still there.
        """
        if self.checkpoint is None:
            return
        state = {
            "training": self._identity(),
            "steps": self.steps,
            "seconds": self.seconds,
            "points": [asdict(point) for point in self.points],
            "sums": asdict(self._sums),
            "network": self.network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
        }
        # Not into a file: torch tells of a full disk by a RuntimeError, like of much else.
        content = io.BytesIO()
        torch.save(state, content)
        write_atomically(self.checkpoint, content.getvalue())

    def _identity(self) -> dict[str, Any]:
        """What must be the same for a training to go on."""
        shapes = sum(math.prod(p.shape) for p in self.network.parameters())
        # The number of epochs only moves the end.
        recipe = {key: value for key, value in asdict(self.recipe).items() if key != "epochs"}
        return {
            "network": f"{self.network.name} of {shapes} parameters",
            "recipe": recipe,
            "number of pictures": len(self.pictures),
            "size of pictures": self.size,
            "engine": "packed" if self.packed else "float",
            "set of pictures": self._digest,
        }

    def _restore(self, path: Path) -> None:
        state = _read(path)
        for what, ours in self._identity().items():
            # What an older checkpoint does not tell is taken to be the same.
            if state["training"].get(what, UNTOLD.get(what, ours)) != ours:
                raise InputError(
                    f"{path} was made with another {what}; choose another output folder"
                )
        self.network.load_state_dict(state["network"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.steps, self._seconds_before = int(state["steps"]), float(state["seconds"])
        self.points = [Point(**point) for point in state["points"]]
        self._sums = _Sums(**state["sums"])

    def _step(self) -> None:
        rate = self.rate * self.recipe.factor(self.steps, self.share)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        images, labels = self._batch()
        look = bool(self._one_bit) and self.steps % FLIPS_EVERY == 0
        flips = FlipRatio()
        if look:
            flips.update(signs(self._one_bit))
        with torch.autocast("cpu", torch.bfloat16, enabled=self.autocast):
            logits = self.network(images, ["logits"])["logits"].float()
        loss = functional.cross_entropy(logits, labels, label_smoothing=self.recipe.smoothing)
        if not math.isfinite(loss.item()):
            raise BitbrushError(
                f"the training failed at step {self.steps}: the loss is {loss.item()}"
            )
        self._optimizer.zero_grad(set_to_none=True)
        with rounding_seed(self.recipe.seed ^ self.steps * APART):
            loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        self.network.constrain()
        if look:
            flips.update(signs(self._one_bit))
            self._sums.flips += flips.value
            self._sums.looks += 1
        self._sums.loss += loss.item() * len(labels)
        self._sums.right += int((logits.argmax(1) == labels).sum())
        self._sums.pictures += len(labels)
        self.steps += 1

    def _batch(self) -> tuple[Tensor, Tensor]:
        epoch, number = divmod(self.steps, self.steps_of_epoch)
        seed, batch = self.recipe.seed, self.recipe.batch
        order = np.random.default_rng((seed, 1, epoch)).permutation(len(self.pictures))
        chosen = order[number * batch : (number + 1) * batch]
        random = np.random.default_rng((seed, 2, self.steps))
        pixels = moved(self.pictures.pixels[chosen], self.recipe.shift, self.recipe.flip, random)
        return as_images(pixels, self.size), torch.from_numpy(self.pictures.labels[chosen])

    def _check(self) -> float | None:
        if self.held_out is None or not len(self.held_out):
            return None
        # By chance, as they may lie class by class; the same ones each time.
        order = np.random.default_rng((self.recipe.seed, 3)).permutation(len(self.held_out))
        some = self.held_out.taken(np.sort(order[: self.recipe.check]))
        return score(self.network, some, self.size, self.autocast).accuracy

    def _reported(self) -> Point:
        """The next point of the curve."""
        sums = self._sums
        with self._checking.piece():
            held_out = self._check()
        point = Point(
            step=self.steps,
            epoch=round(self.epochs, 4),
            seconds=round(self.seconds, 1),
            learning_rate=self._optimizer.param_groups[0]["lr"],
            loss=sums.loss / sums.pictures,
            accuracy=sums.right / sums.pictures,
            held_out=held_out,
            flip_ratio=sums.flips / sums.looks if sums.looks else None,
        )
        self.points.append(point)
        self._sums = _Sums()
        return point


def size_begun_with(checkpoint: Path) -> int | None:
    """The side in pixels at which a checkpoint's training sees pictures.

    Returns:
        None where there is no checkpoint, or an older one that does not tell.
    Raises:
        InputError: the file is no checkpoint, or damaged.
    """
    if not checkpoint.exists():
        return None
    # Mapped: of a large network's no more is read than is looked at.
    size: int | None = _read(checkpoint, mapped=True)["training"].get("size of pictures")
    return size


def _read(checkpoint: Path, mapped: bool = False) -> dict[str, Any]:
    try:
        state: dict[str, Any] = torch.load(checkpoint, weights_only=True, mmap=mapped)
        state["training"]
    except (OSError, RuntimeError, EOFError, KeyError, pickle.UnpicklingError) as error:
        raise InputError(f"{checkpoint} is no checkpoint of a training, or damaged") from error
    return state


def digest(pictures: Labelled) -> str:
    """SHA-256 of labels and pixels in their order, in hex: by it sets are told apart."""
    found = hashlib.sha256(np.ascontiguousarray(pictures.labels).data)
    found.update(np.ascontiguousarray(pictures.pixels).data)
    return found.hexdigest()


def one_bit_weights(network: Network) -> list[Tensor]:
    """The latent weights of a network's one-bit layers."""
    return [
        module.weight
        for module in network.modules()
        if isinstance(module, QUANTIZED_LAYERS)
        and module.kernel_quantizer is not None
        and module.kernel_quantizer.precision == 1
    ]


@torch.no_grad()
def signs(weights: list[Tensor]) -> Tensor:
    """The bits of all these weights as one vector of 0 and 1, int8."""
    return torch.cat([(weight >= 0).flatten() for weight in weights]).to(torch.int8)


def moved(
    pixels: np.ndarray[Any, np.dtype[np.uint8]], shift: int, flip: bool, random: np.random.Generator
) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Pictures uint8 [N, S, S, 3], each moved and mirrored by chance.

    Args:
        shift: most pixels of a move along each axis; the border mirrors the picture.
        flip: mirror half of them.
    """
    count, size = pixels.shape[:2]
    if shift:
        wide = np.pad(pixels, ((0, 0), (shift, shift), (shift, shift), (0, 0)), mode="reflect")
        corners = random.integers(2 * shift + 1, size=(count, 2))
        pixels = np.stack(
            [
                picture[top : top + size, left : left + size]
                for picture, (top, left) in zip(wide, corners, strict=True)
            ]
        )
    if flip:
        mirrored = random.random(count) < 0.5
        pixels = np.where(mirrored[:, None, None, None], pixels[:, :, ::-1], pixels)
    return pixels


def as_images(pixels: np.ndarray[Any, np.dtype[np.uint8]], size: int) -> Tensor:
    """RGB [N, 3, size, size] in [0, 1], channels last, of pictures uint8 [N, S, S, 3]."""
    images = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float() / 255
    if size != images.shape[-1]:
        images = functional.interpolate(
            images, (size, size), mode="bilinear", antialias=True, align_corners=False
        )
    return images.contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def score(
    network: Network, pictures: Labelled, size: int | None = None, autocast: bool = False
) -> Score:
    """How many of the pictures a network classifies rightly; it is left in evaluation mode.

    Args:
        size: side in pixels at which it sees them, if not their own.
        autocast: compute in bfloat16 where torch does so on its own.
    """
    network.eval()
    right = 0
    for start in range(0, len(pictures), CHECK_BATCH):
        images = as_images(pictures.pixels[start : start + CHECK_BATCH], size or pictures.size)
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            logits = network(images, ["logits"])["logits"]
        labels = torch.from_numpy(pictures.labels[start : start + CHECK_BATCH])
        right += int((logits.argmax(1) == labels).sum())
    return Score(right, len(pictures))
