"""Real-to-Binary Net as larq-zoo has it (Martinez et al. 2020): a ResNet-18 of one-bit halves.

Each half of a block is a batch norm, a one-bit 3x3 convolution of its signs, a gate that looks at
the batch norm's output, PReLU, and a float shortcut around all of it.

Taps. What a half binarises is its own batch norm of the sum before it, so the tap of a half is the
batch norm of its follower, even across stages: stage1.block4 is at stride 4 and is what stage 2
binarises. The stem's is the first half's batch norm; the last half's is the sum that it gives.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from ..layers import Conv2d, Pool2d, PoolKind, QuantConv2d
from ..quantizers import Estimator, Sign
from .gate import Gate
from .keras import KerasAssembler, KerasLayers
from .taps import Network, Tap

CLIP = 1.0
WIDTHS = (64, 128, 256, 512)
HALVES = 4
SQUEEZE = 8


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class PReLU(nn.PReLU):
    """As Keras has it: no gradient at exactly 0, where a one-bit convolution's sums often are."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x) - self.weight.view(-1, 1, 1) * functional.relu(-x)


class Shortcut(nn.Module):
    """Halves the map and changes its width, in floats."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.pool = Pool2d(2, 2, "same", "average")
        self.conv = Conv2d(channels_in, channels_out, 1)
        self.norm = _norm(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.norm(self.conv(self.pool(x)))
        return result


class Half(nn.Module):
    """Half a block; see the module's text. It halves the map where the widths differ."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        halves = channels_in != channels_out
        self.norm = _norm(channels_in)
        self.conv = QuantConv2d(
            channels_in,
            channels_out,
            3,
            2 if halves else 1,
            input_quantizer=Sign(Estimator("ste", CLIP)),
            kernel_quantizer=Sign(Estimator("ste", CLIP)),
            clip=CLIP,
        )
        self.gate = Gate(channels_in, channels_out, SQUEEZE)
        self.activation = PReLU(channels_out)
        self.shortcut = Shortcut(channels_in, channels_out) if halves else None

    def forward(self, total: Tensor, normed: Tensor) -> Tensor:
        """The outgoing sum, from the incoming one and what `norm` made of it."""
        before = total if self.shortcut is None else self.shortcut(total)
        result: Tensor = before + self.activation(self.conv(normed) * self.gate(normed))
        return result


class RealToBinaryNet(Network):
    """The network; see the module's text.

    Args:
        widths: channels of each stage, no two neighbours equal; the stem has those of the first.
        classes: of the classifier.
        pooling: of the stem's one pool; those of the shortcuts are averages either way.
    """

    def __init__(
        self,
        name: str = "realtobinary",
        widths: Sequence[int] = WIDTHS,
        *,
        classes: int = 1000,
        pooling: PoolKind = "max",
    ) -> None:
        taps = {"stem": Tap(stride=4)}
        for stage in range(1, len(widths) + 1):
            for block in range(1, HALVES + 1):
                taps[f"stage{stage}.block{block}"] = Tap(stride=2 ** (stage + 1))
        taps["logits"] = Tap(stride=0)
        super().__init__(name, taps)
        self.stem = Conv2d(3, widths[0], 7, 2)
        self.stem_norm = _norm(widths[0])
        self.stem_activation = PReLU(widths[0])
        self.pool = Pool2d(3, 2, "same", pooling)
        self.stages = nn.ModuleList(
            nn.ModuleList(Half(before if half == 0 else width, width) for half in range(HALVES))
            for before, width in zip((widths[0], *widths[:-1]), widths, strict=True)
        )
        self.head = nn.Linear(widths[-1], classes)

    def walk(self, x: Tensor, wanted: Collection[str]) -> Iterator[tuple[str, Tensor]]:
        total = self.pool(self.stem_activation(self.stem_norm(self.stem(x))))
        tap = "stem"
        for number, stage in enumerate(self.stages, 1):
            for index, half in enumerate(cast("Iterable[Half]", stage), 1):
                normed = half.norm(total)
                yield tap, normed
                total = half(total, normed)
                tap = f"stage{number}.block{index}"
        yield tap, total
        yield "logits", self.head(total.mean((2, 3)))


def from_keras(layers: KerasLayers, network: Network) -> dict[str, Tensor]:
    """A file of larq-zoo (r2b-v0.1) as this module's parameters.

    Its layers have names of their own, such as r2b_bnn_block_4a_shortcut_batch_norm, which tell
    where each belongs.

    Args:
        layers: of a file with the classifier; 'notop' files hold the same values without it.
        network: a RealToBinaryNet that they are for.
    Raises:
        InputError: the file is another network's, or has no classifier.
    """
    # What stands before that is the name that a model was given when it was built.
    short = [(name[max(name.find("block_"), 0) :], weights) for name, weights in layers]
    assembler = KerasAssembler(short, network)
    for target, layer in _keras_names(network).items():
        assembler.named(target, layer)
    return assembler.finish()


def _keras_names(network: Network) -> dict[str, str]:
    """For each module with weights its layer's name in a file, from "block_" on."""
    names = {
        "stem": "block_1_conv2d",
        "stem_norm": "block_1_batch_norm",
        "stem_activation": "block_1_prelu",
        "head": "block_10_logits",
    }
    parts = {
        "norm": "batch_norm",
        "conv": "conv2d",
        "gate.reduce": "scaling_dense_reduce",
        "gate.expand": "scaling_dense_expand",
        "activation": "prelu",
        "shortcut.conv": "shortcut_conv2d",
        "shortcut.norm": "shortcut_batch_norm",
    }
    halves = [(path, m) for path, m in network.named_modules() if isinstance(m, Half)]
    for index, (path, half) in enumerate(halves):
        layer = f"block_{index // 2 + 2}{'ab'[index % 2]}"
        for part, name in parts.items():
            if half.shortcut is not None or not part.startswith("shortcut"):
                names[f"{path}.{part}"] = f"{layer}_{name}"
    return names
