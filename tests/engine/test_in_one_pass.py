"""Gradients that take all around a convolution along, in every precision that has such a way."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.grad import conv2d_input

from bitbrush.engine import winograd
from bitbrush.engine.backward import Surroundings
from bitbrush.engine.factors import factor_of
from bitbrush.engine.launch import empty_map
from bitbrush.engine.packing import Filters, blocks_of, padded
from bitbrush.engine.precision import Precision, cpu_features, has_tiles, octet_units
from bitbrush.engine.products import Matrix
from bitbrush.engine.transposed import TransposedFilters
from bitbrush.quantizers import Estimator

Relative = Callable[[Tensor, Tensor], float]

in_tiles = pytest.mark.skipif(not has_tiles(), reason="this CPU multiplies no tiles of bfloat16")
WAYS = [("float32", 1e-5), ("int8", 8e-2), pytest.param("bf16", 5e-3, marks=in_tiles)]
"""With the largest errors, relative, that rounding may make in a map of few pixels; what is rounded
to 8 bits, and how, is known more closely below."""

BORDER = (1, 1, 1, 1)


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def words(conditions: Tensor) -> Tensor:
    """[N, C, H, W] as int64 [N H W, blocks of C]."""
    lanes = padded(conditions.permute(0, 2, 3, 1).flatten(0, 2).float()).bool()
    bits = lanes.view(len(lanes), -1, 64).long() << torch.arange(64)
    return bits.sum(2)


def made(weight: Tensor, precision: Precision) -> tuple[Tensor, Callable[..., Tensor]]:
    """The signs, and the function under test."""
    way = TransposedFilters(Filters.of(weight), 1).in_one_pass(precision, BORDER)
    assert way is not None

    def run(gradient: Tensor, around: Surroundings) -> Tensor:
        result = empty_map((len(gradient), weight.shape[1], *gradient.shape[2:]))
        way.add_gradient(gradient, result, around)
        return result

    return torch.where(weight < 0, -1.0, 1.0), run


@pytest.mark.parametrize("precision,tolerance", WAYS)
@settings(max_examples=100)
@given(
    images=st.integers(1, 2),
    channels=st.sampled_from([1, 17, 64, 100, 192]),
    filters=st.sampled_from([1, 40, 64, 130]),
    height=st.integers(1, 23),
    width=st.integers(1, 40),
    kind=st.sampled_from(["identity", "ste", "approx", "swish", "exact"]),
    whole=st.booleans(),
    seed=st.integers(0, 99),
)
def test_any_map(
    precision: Precision,
    tolerance: float,
    images: int,
    channels: int,
    filters: int,
    height: int,
    width: int,
    kind: str,
    whole: bool,
    seed: int,
) -> None:
    torch.manual_seed(seed)
    signs, run = made(torch.randn(channels, filters, 3, 3), precision)
    gradient = last(torch.randn(images, channels, height, width))
    scale, passed = torch.rand(channels) + 0.5, torch.rand(gradient.shape) < 0.7
    size = (images, filters, height, width)
    estimator, x = Estimator(kind.replace("exact", "swish"), 1.0), last(torch.randn(size))
    factor = factor_of(estimator, kind == "exact")
    kept = factor.room(images * height * width, filters)
    real = torch.ones(size)
    if factor.mode == 1:
        kept, real = words(x.abs() <= 1), (x.abs() <= 1).float()
    elif kept is not None:
        kept.copy_(
            torch.randint(0, 255, kept.shape) if kind != "exact" else torch.randn(kept.shape)
        )
        values = kept.float() * factor.unit + factor.zero
        real = values.view(images, height, width, filters).permute(0, 3, 1, 2)
    running, tap = (None, None) if whole else (last(torch.randn(size)), last(torch.randn(size)))
    around = Surroundings(padded(scale), words(passed), factor, kept, running, tap)
    found = run(gradient, around)
    sent = gradient * scale[:, None, None] * passed
    if precision == "bf16":
        # What is rounded is known; the rest is exact but for float32's own rounding.
        sent, tolerance = sent.bfloat16().float(), 1e-5
    expected = conv2d_input(size, signs, sent, padding=1) * real
    if running is not None and tap is not None:
        expected = expected + running + tap
    assert words(passed).shape[1] == blocks_of(channels)
    # Terms may cancel one another, their rounding does not: it is measured by their squares.
    squares = conv2d_input(size, torch.ones_like(signs), sent.square(), padding=1) * real.square()
    allowed = tolerance * float(squares.sum().sqrt()) + 1e-6 * float(expected.norm())
    assert float((found - expected).norm()) <= allowed


@pytest.mark.parametrize("precision,tolerance", WAYS)
@pytest.mark.parametrize("shape", [(64, 64, 33, 70), (512, 512, 16, 16), (320, 70, 5, 300)])
def test_threads_make_no_difference(
    relative: Relative,
    threads: Callable[[int], None],
    precision: Precision,
    tolerance: float,
    shape: tuple[int, int, int, int],
) -> None:
    channels, filters, height, width = shape
    torch.manual_seed(0)
    signs, run = made(torch.randn(channels, filters, 3, 3), precision)
    gradient = last(torch.randn(1, channels, height, width))
    around = Surroundings(padded(torch.ones(channels)))
    found = []
    for count in (1, 2, 7):
        threads(count)
        found.append(run(gradient, around))
    assert all(torch.equal(other, found[0]) for other in found[1:])
    expected = conv2d_input(found[0].shape, signs, gradient, padding=1)
    assert relative(found[0], expected) < tolerance


TWO_NINTHS = 2 / 9
LINES = {
    2: (
        [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]],
        [[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]],
        [[0.5, 0.5, 0.5, 0], [0, 0.5, -0.5, -0.5]],
    ),
    3: (
        [
            [1, -1.5, -1.5, 1, 0],
            [0, 1, -2.5, 1, 0],
            [0, -1, 1, 2, 0],
            [0, -2, -1, 1, 0],
            [0, 1, -1.5, -1.5, 1],
        ],
        [[1, 0, 0], [1, -1, 1], [1, 2, 4], [4, 2, 1], [0, 0, 1]],
        [
            [1, -TWO_NINTHS, TWO_NINTHS / 4, -TWO_NINTHS, 0],
            [0, TWO_NINTHS, TWO_NINTHS / 2, -TWO_NINTHS / 2, 0],
            [0, -TWO_NINTHS, TWO_NINTHS, -TWO_NINTHS / 4, 1],
        ],
    ),
}
"""From cells to values, from weights to weights, and from products to results, along one axis."""


def rounded_convolution(gradient: Tensor, signs: Tensor, results: int) -> Tensor:
    """By Lavin and Gray's way, with the values of each kind in a tile rounded to 8 bits.

    Args:
        gradient: [1, O, H, W]; signs: [O, C, 3, 3], of the convolution forward.
    """
    before, weights, after = (torch.tensor(part, dtype=torch.float64) for part in LINES[results])
    height, width = gradient.shape[2:]
    more = [1, -width % results + 1, 1, -height % results + 1]
    around = torch.nn.functional.pad(gradient.double(), more)
    side = results + 2
    cells = around[0].unfold(1, side, results).unfold(2, side, results)
    values = torch.einsum("ka,oyxab,lb->yxkol", before, cells, before).transpose(3, 4)
    unit = values.abs().amax(-1, keepdim=True) / 127
    octets = torch.where(unit > 0, (values / unit).round(), 0.0) * unit
    kernel = signs.double().flip(2, 3)
    kinds = torch.einsum("ka,ocab,lb->klco", weights, kernel, weights)
    sums = torch.einsum("yxklo,klco->yxckl", octets, kinds)
    found = torch.einsum("ik,yxckl,jl->cyixj", after, sums, after)
    whole = found.flatten(1, 2).flatten(2, 3)[None]
    return whole[..., :height, :width].float()


@pytest.mark.parametrize("results", [2, 3])
@pytest.mark.parametrize("size", [(1, 1), (3, 9), (10, 23), (32, 33)])
def test_octets_of_tiles_of_either_size(
    relative: Relative, monkeypatch: pytest.MonkeyPatch, results: int, size: tuple[int, int]
) -> None:
    if results == 3 and octet_units(cpu_features())[:1] == ["avx2"]:
        pytest.skip("AVX2 has no room for the sums of such tiles")
    monkeypatch.setattr(winograd, "octet_results", lambda *_: results)
    torch.manual_seed(0)
    signs, run = made(torch.randn(64, 70, 3, 3), "int8")
    gradient = torch.randn(1, 64, *size)
    found = run(last(gradient), Surroundings(torch.ones(64)))
    assert relative(found, rounded_convolution(gradient, signs, results)) < 1e-3
    expected = conv2d_input(found.shape, signs, gradient, padding=1)
    assert relative(found, expected) < {2: 0.02, 3: 0.04}[results]


@in_tiles
def test_tiles_of_others_keep_their_shapes(relative: Relative) -> None:
    """torch's own products in bfloat16 give the same before, between and after ours."""
    _, run = made(torch.randn(64, 64, 3, 3), "bf16")
    gradient, around = last(torch.randn(1, 64, 24, 24)), Surroundings(torch.ones(64))
    one, other = (torch.randn(200, 200).bfloat16() for _ in range(2))
    product, first = one @ other, run(gradient, around)
    for _ in range(3):
        assert torch.equal(one @ other, product)
        assert torch.equal(run(gradient, around), first)


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("channels,filters", [(64, 64), (16, 70), (33, 33), (200, 16), (1, 1)])
@pytest.mark.parametrize("place", ["new", "onto", "itself"])
def test_a_matrix_for_every_position(
    relative: Relative, half: bool, channels: int, filters: int, place: str
) -> None:
    torch.manual_seed(1)
    x, onto = (last(torch.randn(1, count, 9, 31)) for count in (channels, filters))
    matrix, constant = torch.randn(channels, filters), torch.randn(filters)
    expected = torch.einsum("nchw,cf->nfhw", x, matrix) + constant[:, None, None]
    made = Matrix.of(matrix, constant, half)
    if place == "itself":
        if channels != filters:
            pytest.skip("what comes in has another size than what goes out")
        result = x
        made.apply(x, result)
    elif place == "onto":
        expected, result = expected + onto, onto
        made.apply(x, result, onto)
    else:
        result = empty_map(onto.shape)
        made.apply(x, result)
    assert relative(result, expected) < (1e-2 if half else 1e-5)


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("channels", [16, 33, 48, 64, 144])
def test_a_symmetric_matrix_for_every_position(
    relative: Relative, half: bool, channels: int
) -> None:
    torch.manual_seed(1)
    x = last(torch.randn(1, channels, 9, 31))
    matrix, constant = torch.randn(channels, channels), torch.randn(channels)
    matrix += matrix.T.clone()
    expected = torch.einsum("nchw,cf->nfhw", x, matrix) + constant[:, None, None]
    result = empty_map(x.shape)
    Matrix.symmetric(matrix, constant, half).apply(x, result)
    assert relative(result, expected) < (1e-2 if half else 1e-5)
    if half:
        # However it is rounded, it is to the same numbers.
        again = empty_map(x.shape)
        Matrix.of(matrix, constant, half).apply(x, again)
        assert torch.equal(result, again)
