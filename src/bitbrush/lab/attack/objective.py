"""What an attack wants of a network's logits, and the network as a function of a saved picture."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...classify import imagenet_classes, prepare
from ...errors import InputError, unknown_name
from ...networks.taps import Network

LOSSES = ("margin", "cross-entropy")

REMEMBERED = 2
"""Pictures whose logits are kept: an attack that only asks compares a new one with the last."""


def find_class(text: str) -> int:
    """The number of an ImageNet class in the logits.

    Args:
        text: a WordNet id, or a name in any case.
    Raises:
        InputError: no class, or two of that name; the nearest are suggested.
    """
    classes = imagenet_classes()
    wanted = text.strip().lower()
    ids = [wordnet_id for wordnet_id, _ in classes]
    if wanted in ids:
        return ids.index(wanted)
    found = [index for index, (_, name) in enumerate(classes) if name.lower() == wanted]
    if len(found) == 1:
        return found[0]
    if found:
        named = " or ".join(ids[index] for index in found)
        raise InputError(f"two ImageNet classes are called {text!r}; write {named}")
    names = {name.lower(): name for _, name in classes}
    near = [name for lower, name in names.items() if wanted and wanted in lower]
    near = near or [names[n] for n in difflib.get_close_matches(wanted, names, 3, 0.6)]
    near = near or difflib.get_close_matches(wanted, ids, 3, 0.8)
    hint = (
        "did you mean " + " or ".join(repr(name) for name in near[:3]) + "?"
        if near
        else "write a name such as 'goldfish' or an id such as n01443537"
    )
    raise InputError(f"unknown ImageNet class {text!r}; {hint}")


@dataclass(frozen=True)
class Aim:
    """The answer that a network is to give.

    Attributes:
        clean: the class that it gives to the picture as it was.
        target: the class that it is to give; None: any but `clean`.
    """

    clean: int
    target: int | None = None

    def reached(self, logits: Tensor) -> bool:
        """Whether logits [1, classes] are an answer as wanted."""
        answer = int(logits[0].argmax())
        return answer != self.clean if self.target is None else answer == self.target

    def margin(self, logits: Tensor) -> Tensor:
        """How far the wanted answer is ahead of the best that is not wanted, a scalar.

        Positive where the aim is reached. Unlike the cross-entropy, its gradient does not vanish
        where the network is sure of itself.

        Args:
            logits: [1, classes].
        Source: Carlini and Wagner 2017, eq. for f6, with the sign turned.
        """
        named = self.clean if self.target is None else self.target
        others = logits[0].clone()
        others[named] = -torch.inf
        ahead = logits[0, named] - others.max()
        return -ahead if self.target is None else ahead

    def loss(self, logits: Tensor, kind: str) -> Tensor:
        """What is to fall: the margin turned, or the cross-entropy, a scalar.

        Raises:
            InputError: an unknown kind.
        """
        if kind not in LOSSES:
            raise unknown_name("loss", kind, LOSSES)
        if kind == "margin":
            return -self.margin(logits)
        named = torch.tensor([self.clean if self.target is None else self.target])
        entropy = functional.cross_entropy(logits, named.to(logits.device))
        return -entropy if self.target is None else entropy


class Classifier(nn.Module):
    """A network's logits for whole pictures, prepared as `bitbrush classify` prepares them.

    Pixels that the preparation cuts off have no gradient, and the saved picture is judged by the
    very numbers that `classify` will have.

    Args:
        network: with logits.
    Raises:
        InputError: it has none.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        if "logits" not in network.taps:
            raise InputError(f"{network.name} has no classifier that could be deceived")
        self.network = network
        self._known: list[tuple[Tensor, Tensor]] = []

    def forward(self, pictures: Tensor) -> Tensor:
        """pictures: RGB [N, 3, H, W] in [0, 1], on the network's device; returns [N, classes]."""
        if torch.is_grad_enabled() and pictures.requires_grad:
            return self._logits(pictures)
        for picture, logits in self._known:
            if picture.shape == pictures.shape and torch.equal(picture, pictures):
                return logits
        logits = self._logits(pictures)
        self._known = [*self._known[1 - REMEMBERED :], (pictures.detach().clone(), logits)]
        return logits

    def _logits(self, pictures: Tensor) -> Tensor:
        logits: Tensor = self.network(prepare(pictures), ["logits"])["logits"]
        return logits.float()

    @torch.no_grad()
    def logits(self, picture: Tensor) -> Tensor:
        """Of one picture [1, 3, H, W] on any device; [1, classes]."""
        logits: Tensor = self(picture.to(self.network.mean.device))
        return logits


def seen_pixels(picture: Tensor) -> Tensor:
    """1 for each pixel [1, 1, H, W] that classifiers get to see, 0 for those that are cut off."""
    ones = torch.ones_like(picture[:, :1]).expand(-1, 3, -1, -1).clone().requires_grad_(True)
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(prepare(ones).sum(), ones)
    return (gradient[:, :1] != 0).to(picture.dtype)
