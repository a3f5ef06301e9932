"""A grown network computes the same, and can go on from there."""

from __future__ import annotations

import pytest
import torch

from bitbrush.errors import InputError
from bitbrush.networks.quickbrush import QuickBrush
from bitbrush.train.growing import grow


def trained(stem: int = 8, one_bit: bool = True) -> QuickBrush:
    """A small network whose batch norms are no longer what they start as."""
    torch.manual_seed(1)
    network = QuickBrush("small", stem=stem, widths=(64, 64), blocks=(1, 2), one_bit=one_bit)
    for _ in range(4):
        network(torch.rand(4, 3, 96, 96), list(network.taps))
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.uniform_(-1, 1)
    return network


@pytest.mark.parametrize("one_bit", [True, False])
@pytest.mark.parametrize(
    ("stem", "widths", "blocks"),
    [(8, (64, 64), (1, 2)), (16, (64, 128), (3, 2)), (8, (192, 64), (2, 4))],
)
def test_it_computes_the_same(
    stem: int, widths: tuple[int, ...], blocks: tuple[int, ...], one_bit: bool
) -> None:
    # In float32 sums that are rounded otherwise turn the sign of what is nearly 0.
    small = trained(one_bit=one_bit).double().eval()
    large = QuickBrush("large", stem=stem, widths=widths, blocks=blocks, one_bit=one_bit)
    large.double().eval()
    grow(small, large, apart=0)
    x = torch.rand(2, 3, 96, 96).double()
    with torch.no_grad():
        wanted, got = small(x, list(small.taps)), large(x, list(large.taps))
    ends = zip(["stem", *small.stage_ends()], ["stem", *large.stage_ends()], strict=True)
    for before, after in ends:
        times = got[after].shape[1] // wanted[before].shape[1]
        torch.testing.assert_close(got[after], wanted[before].repeat(1, times, 1, 1))


def test_training_tells_a_channel_from_its_repetition() -> None:
    large = QuickBrush("large", stem=8, widths=(128, 64), blocks=(2, 2))
    grow(trained(), large)
    optimizer = torch.optim.Adam(large.parameters(), 1e-2)
    for _ in range(8):
        taps = large(torch.rand(4, 3, 96, 96), list(large.taps))
        optimizer.zero_grad()
        sum(tap.square().mean() for tap in taps.values()).backward()  # type: ignore[union-attr]
        optimizer.step()
    added = large.stages[0][1]  # type: ignore[index]
    assert added.norm.weight.abs().max() > 0
    signs = large.stages[0][0].conv.weight.sign()  # type: ignore[index]
    assert (signs[:64, :64] != signs[64:, 64:]).any()


@pytest.mark.parametrize(
    "large",
    [
        QuickBrush("large", stem=12, widths=(64, 64), blocks=(1, 2)),
        QuickBrush("large", stem=8, widths=(64, 64), blocks=(1, 1)),
        QuickBrush("large", stem=8, widths=(64,), blocks=(2,)),
        QuickBrush("large", stem=8, widths=(64, 64), blocks=(1, 2), one_bit=False),
    ],
)
def test_what_it_cannot_grow_into(large: QuickBrush) -> None:
    with pytest.raises(InputError):
        grow(trained(), large)
