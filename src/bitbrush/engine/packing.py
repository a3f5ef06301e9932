"""Signs as bits: filters as the kernels want them, and maps with room for their border."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from .arranging import arranged, as_they_were
from .notes import hold
from .sizes import BLOCK, LANES


def blocks_of(channels: int) -> int:
    """Words that the bits of so many channels take."""
    return -(-channels // BLOCK)


def padded(values: Tensor, whole: int = BLOCK) -> Tensor:
    """[…, C] with zeros behind, so that C is a multiple; contiguous, and itself if it was so."""
    more = -values.shape[-1] % whole
    return (torch.nn.functional.pad(values, (0, more)) if more else values).contiguous()


def pack_bits(bits: Tensor) -> Tensor:
    """Conditions [..., C] as words: int64 [..., ceil(C / 64)], lowest bit first, zeros behind."""
    whole = padded(bits.to(torch.uint8)).cpu().numpy()
    octets = np.packbits(whole, axis=-1, bitorder="little")
    return torch.from_numpy(octets.view(np.int64))


def unpack_bits(words: Tensor, channels: int) -> Tensor:
    """The inverse: uint8 [..., C], 0 or 1."""
    octets = words.contiguous().numpy().view(np.uint8)
    bits = np.unpackbits(octets, axis=-1, bitorder="little")
    return torch.from_numpy(np.ascontiguousarray(bits[..., :channels]))


@dataclass(frozen=True)
class Filters:
    """One-bit filters, packed.

    Attributes:
        words: int32 [ceil(O / 64), k x k x 2 ceil(C / 64), 64]: for each block of filters, for
            each 32 channels of each cell of the window, a word of each filter.
        channels_in, channels_out, kernel: C, O and k.
    """

    words: Tensor
    channels_in: int
    channels_out: int
    kernel: int

    @classmethod
    def of(cls, weight: Tensor) -> Filters:
        """The signs of a weight [O, C, k, k]; 0 counts as +1."""
        out, channels, kernel, _ = weight.shape
        bits = pack_bits((weight >= 0).permute(0, 2, 3, 1).cpu())
        words = bits.reshape(out, -1).numpy().view(np.int32)
        filled = np.zeros((blocks_of(out) * BLOCK, words.shape[1]), np.int32)
        filled[:out] = words
        turned = filled.reshape(blocks_of(out), BLOCK, -1).transpose(0, 2, 1)
        # torch's memory begins at a cache line, numpy's does not, and loads would lie across two.
        return cls(
            torch.from_numpy(arranged(turned)).clone(memory_format=torch.contiguous_format),
            channels,
            out,
            kernel,
        )

    def signs(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """The filters as -1 and +1, [O, C, k, k]."""
        turned = as_they_were(self.words.numpy()).transpose(0, 2, 1)
        flat = np.ascontiguousarray(turned).reshape(-1, turned.shape[2])[: self.channels_out]
        words = torch.from_numpy(flat.view(np.int64))
        shape = (self.channels_out, self.kernel, self.kernel, -1)
        bits = unpack_bits(words.reshape(shape), self.channels_in)
        return bits.permute(0, 3, 1, 2).to(dtype).mul_(2).sub_(1)

    @cached_property
    def tiles(self) -> Tensor:
        """The words as tiles of 8-bit integers are made of, for `native.sign_tiles`.

        int64 [O / 16, ceil(C / 64), k x k, 16], with O up to a multiple of 64: the bits of 16
        filters, four channels of each.
        """
        blocks, cells = blocks_of(self.channels_in), self.kernel**2
        shape = (BLOCK * self.words.shape[0], BLOCK * blocks, cells)
        # Bits that no filter has are not set, as those of maps beyond the last channel.
        bits = torch.zeros(shape, dtype=torch.bool)
        bits[: self.channels_out, : self.channels_in] = self.signs(torch.int8).flatten(2) > 0
        parted = bits.view(-1, LANES, blocks, LANES, BLOCK // LANES, cells)
        words = pack_bits(parted.permute(0, 2, 5, 3, 1, 4).reshape(-1, BLOCK))
        # As above: torch's own memory.
        return words.view(-1, blocks, cells, LANES).clone(memory_format=torch.contiguous_format)

    @property
    def terms(self) -> int:
        """Products in each sum."""
        return self.channels_in * self.kernel**2


@dataclass(frozen=True)
class PackedMap:
    """The bits of a map, with its border.

    Attributes:
        words: int64 [planes, N, H + border, W + border, ceil(C / 64)].
        top, left: rows and columns of the border before the map.
        height, width, channels: of the map.
    """

    words: Tensor
    top: int
    left: int
    height: int
    width: int
    channels: int

    @classmethod
    def empty(
        cls,
        shape: tuple[int, int, int, int],
        border: tuple[int, int, int, int] = (0, 0, 0, 0),
        value: float = -1.0,
        planes: int = 1,
    ) -> PackedMap:
        """A map [N, C, H, W] yet to be filled.

        Args:
            border: rows before and after, columns before and after.
            value: of the border: +1, or -1 and 0, whose bits are not set.
        """
        images, channels, height, width = shape
        top, bottom, left, right = border
        size = (planes, images, height + top + bottom, width + left + right, blocks_of(channels))
        if not any(border):
            words = torch.empty(size, dtype=torch.int64)
        elif value <= 0:
            words = torch.zeros(size, dtype=torch.int64)
        else:
            words = torch.full(size, -1, dtype=torch.int64)
            if channels % BLOCK:
                words[..., -1] = (1 << channels % BLOCK) - 1
        # Its border is written here and nowhere else.
        hold(words)
        return cls(words, top, left, height, width, channels)

    @cached_property
    def origin(self) -> int:
        """Address of the first word behind the border."""
        return self.words.data_ptr() + self.top * self.row_bytes + self.left * self.pixel_bytes

    @cached_property
    def pixel_bytes(self) -> int:
        return 8 * self.words.shape[4]

    @cached_property
    def row_bytes(self) -> int:
        return self.words.shape[3] * self.pixel_bytes

    @cached_property
    def image_bytes(self) -> int:
        return self.words.shape[2] * self.row_bytes

    @cached_property
    def plane_bytes(self) -> int:
        return self.words.shape[1] * self.image_bytes
