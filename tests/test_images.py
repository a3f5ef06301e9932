"""Pictures of every kind, made here in memory, through reading and writing; and the bad ones."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms
from torch import Tensor

from bitbrush.errors import InputError, PaintingError
from bitbrush.images import (
    check_output,
    check_paintable,
    files,
    read_image,
    read_metadata,
    resize,
    write_image,
)
from bitbrush.images.colour_profile import srgb_profile

METADATA = {"bitbrush": "0.1.0", "content": {"name": "Käthe.png"}, "weight": 1e-5, "none": None}
ENDINGS = ["png", "jpg", "jpeg", "webp", "tif", "tiff", "PNG"]


@pytest.fixture
def picture() -> Tensor:
    """A smooth picture [1, 3, 40, 60], whose values are all multiples of 1/255."""
    y, x = torch.meshgrid(torch.linspace(0, 1, 40), torch.linspace(0, 1, 60), indexing="ij")
    return (torch.stack([x, y, (x + y) / 2])[None] * 255).round() / 255


def png(
    depth: int, colour: int, samples: np.ndarray, chunks: bytes = b"", filter: int = 0
) -> bytes:
    """A PNG file made by hand, for what Pillow does not write. samples: [H, W, C] of integers."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    height, width = samples.shape[:2]
    rows = samples.astype(">u2" if depth == 16 else "u1").reshape(height, -1).view("u1")
    if filter == 2:  # "up"
        rows = np.diff(rows, axis=0, prepend=np.zeros_like(rows[:1]))
    body = b"".join(bytes([filter]) + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    extra = chunk(b"tRNS", chunks) if chunks else b""
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + extra
        + chunk(b"IDAT", zlib.compress(body))
        + chunk(b"IEND", b"")
    )


def tiff(samples: np.ndarray, order: str, packed: bool) -> bytes:
    """A 16-bit RGB TIFF file. order: "<" or ">"; packed: with deflate, which libtiff decodes."""
    height, width, channels = samples.shape
    data = samples.astype(f"{order}u2").tobytes()
    data = zlib.compress(data) if packed else data
    bits = struct.pack(f"{order}{channels}H", *[16] * channels)
    at = 8 + 2 + 12 * 9 + 4
    tags = [
        (256, 3, 1, width),
        (257, 3, 1, height),
        (258, 3, channels, at),
        (259, 3, 1, 8 if packed else 1),
    ]
    tags += [(262, 3, 1, 2), (273, 4, 1, at + len(bits)), (277, 3, 1, channels)]
    tags += [(278, 3, 1, height), (279, 4, 1, len(data))]
    return tiff_of(tags, order, bits + data)


def grey_tiff(samples: np.ndarray, bits: int, photometric: int) -> bytes:
    """A grey TIFF file of samples with 12 or 16 bits. photometric: 0 where 0 is white, else 1."""
    height, width = samples.shape
    data = samples.astype("<u2").tobytes()
    if bits == 12:
        pairs = samples.reshape(-1, 2).astype(int)
        data = b"".join((a << 12 | b).to_bytes(3, "big") for a, b in pairs.tolist())
    tags = [(256, 3, 1, width), (257, 3, 1, height), (258, 3, 1, bits), (259, 3, 1, 1)]
    tags += [(262, 3, 1, photometric), (273, 4, 1, 8 + 2 + 12 * 9 + 4), (277, 3, 1, 1)]
    return tiff_of([*tags, (278, 3, 1, height), (279, 4, 1, len(data))], "<", data)


def tiff_of(tags: list[tuple[int, int, int, int]], order: str, data: bytes) -> bytes:
    """A TIFF file of tags (number, kind, count, value) and what follows them."""
    entries = b""
    for tag, kind, count, value in tags:
        short = kind == 3 and count == 1
        packed = struct.pack(f"{order}HH", value, 0) if short else struct.pack(f"{order}I", value)
        entries += struct.pack(f"{order}HHI", tag, kind, count) + packed
    magic = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8)
    return magic + struct.pack(f"{order}H", len(tags)) + entries + bytes(4) + data


def saved(folder: Path, image: Image.Image, name: str, **options: Any) -> Path:
    image.save(folder / name, **options)
    return folder / name


def stored(folder: Path, data: bytes, name: str = "picture.png") -> Path:
    (folder / name).write_bytes(data)
    return folder / name


# Writing, and reading back


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_is_written_is_read_back(tmp_path: Path, picture: Tensor, ending: str) -> None:
    path = tmp_path / f"out.{ending}"
    check_output(path)
    write_image(picture, path, METADATA)
    back = read_image(path)
    exact = ending.lower() in ("png", "tif", "tiff")
    assert (back.rgb - picture).abs().max() <= (1e-6 if exact else 0.05)
    assert back.alpha is None and back.notes == () and back.name == f"out.{ending}"
    assert (back.height, back.width) == (40, 60) and back.rgb.dtype == torch.float32
    assert back.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert read_metadata(path) == METADATA
    with Image.open(path) as file:
        assert file.info["icc_profile"] == srgb_profile()
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_the_same_picture_gives_the_same_bytes(tmp_path: Path, picture: Tensor) -> None:
    for name in ("a.png", "b.png"):
        write_image(picture, tmp_path / name, METADATA)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_jpeg_keeps_full_colour_resolution(tmp_path: Path, picture: Tensor) -> None:
    write_image(picture, tmp_path / "a.jpg", METADATA)
    with Image.open(tmp_path / "a.jpg") as file:
        assert {(layer[1], layer[2]) for layer in file.layer} == {(1, 1)}  # type: ignore[attr-defined]


@pytest.mark.parametrize("ending", ["png", "webp", "tiff"])
def test_alpha_is_kept(tmp_path: Path, picture: Tensor, ending: str) -> None:
    path = tmp_path / f"out.{ending}"
    write_image(picture, path, METADATA, alpha=picture[:, :1])
    alpha = read_image(path).alpha
    assert alpha is not None and (alpha - picture[:, :1]).abs().max() < 1e-6
    assert read_metadata(path) == METADATA


def test_values_outside_are_cut_off_and_no_numbers_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write_image(torch.tensor([-1.0, 0.5, 9.0]).view(1, 3, 1, 1), path, METADATA)
    assert read_image(path).rgb.flatten().tolist() == pytest.approx([0, 128 / 255, 1])
    with pytest.raises(PaintingError, match="no numbers"):
        write_image(torch.full((1, 3, 1, 1), torch.nan), path, METADATA)


def test_writing_replaces_the_target_of_a_link(tmp_path: Path, picture: Tensor) -> None:
    link = tmp_path / "link.png"
    link.symlink_to(tmp_path / "real.png")
    write_image(picture, link, METADATA)
    assert link.is_symlink() and read_metadata(tmp_path / "real.png") == METADATA


# Kinds of pictures


@pytest.mark.parametrize("filter", [0, 2])
def test_16_bit_rgb_png_keeps_all_bits(tmp_path: Path, filter: int) -> None:
    samples = np.random.default_rng(0).integers(0, 65536, (5, 7, 3))
    rgb = read_image(stored(tmp_path, png(16, 2, samples, filter=filter))).rgb
    assert (rgb[0].permute(1, 2, 0) * 65535).round().int().tolist() == samples.tolist()


def test_16_bit_rgba_png_keeps_all_bits(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).integers(0, 65536, (5, 7, 4))
    read = read_image(stored(tmp_path, png(16, 6, samples)))
    assert read.alpha is not None
    both = torch.cat([read.rgb, read.alpha], 1)[0].permute(1, 2, 0)
    assert (both * 65535).round().int().tolist() == samples.tolist()


def test_16_bit_rgb_png_with_a_transparent_colour(tmp_path: Path) -> None:
    samples = np.array([[[1000, 2000, 3000], [1000, 2000, 3001]]])
    chunk = struct.pack(">HHH", 1000, 2000, 3000)
    alpha = read_image(stored(tmp_path, png(16, 2, samples, chunk))).alpha
    assert alpha is not None and alpha.flatten().tolist() == [0, 1]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_16_bit_rgb_tiff_keeps_all_bits(tmp_path: Path, order: str, packed: bool) -> None:
    samples = np.random.default_rng(0).integers(0, 65536, (5, 7, 3))
    rgb = read_image(stored(tmp_path, tiff(samples, order, packed), "a.tiff")).rgb
    assert (rgb[0].permute(1, 2, 0) * 65535).round().int().tolist() == samples.tolist()


@pytest.mark.parametrize("name", ["a.png", "a.tiff"])
def test_16_bit_grey_keeps_all_bits(tmp_path: Path, name: str) -> None:
    values = np.array([[0, 1, 255, 256], [32767, 32768, 65534, 65535]], np.uint16)
    rgb = read_image(saved(tmp_path, Image.fromarray(values), name)).rgb
    assert torch.equal(rgb[:, :1], rgb[:, 1:2]) and torch.equal(rgb[:, :1], rgb[:, 2:])
    assert (rgb[0, 0] * 65535).round().int().tolist() == values.tolist()


@pytest.mark.parametrize(("bits", "photometric"), [(16, 1), (16, 0), (12, 1)])
def test_grey_tiff_is_read_by_its_bits_and_by_which_end_is_white(
    tmp_path: Path, bits: int, photometric: int
) -> None:
    top = 2**bits - 1
    samples = np.array([[0, 1], [top // 3, top]])
    rgb = read_image(stored(tmp_path, grey_tiff(samples, bits, photometric), "a.tiff")).rgb
    wanted = samples / top if photometric else 1 - samples / top
    np.testing.assert_allclose(rgb[0, 0].numpy(), wanted, atol=1e-6)


@pytest.mark.parametrize(
    ("mode", "colour", "wanted", "opacity"),
    [
        ("L", 51, (51, 51, 51), None),
        ("1", 255, (255, 255, 255), None),
        ("LA", (51, 102), (51, 51, 51), 102),
        ("RGBA", (10, 20, 30, 40), (10, 20, 30), 40),
        ("RGB", (10, 20, 30), (10, 20, 30), None),
    ],
)
def test_modes(
    tmp_path: Path, mode: str, colour: Any, wanted: tuple[int, ...], opacity: int | None
) -> None:
    read = read_image(saved(tmp_path, Image.new(mode, (3, 2), colour), "a.png"))
    assert (read.rgb[0, :, 1, 2] * 255).round().int().tolist() == list(wanted)
    assert (read.alpha is None) == (opacity is None)
    if read.alpha is not None:
        assert (read.alpha * 255).round().int().unique().tolist() == [opacity]


def test_palette_with_and_without_transparency(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([200, 0, 0, 0, 100, 0])
    image.putpixel((1, 0), 1)
    read = read_image(saved(tmp_path, image, "a.png"))
    assert read.alpha is None
    assert (read.rgb[0, :, 0] * 255).round().int().tolist() == [[200, 0], [0, 100], [0, 0]]
    alpha = read_image(saved(tmp_path, image, "b.png", transparency=1)).alpha
    assert alpha is not None and alpha.flatten().tolist() == [1, 0]


def test_cmyk_without_a_profile_is_said(tmp_path: Path) -> None:
    read = read_image(saved(tmp_path, Image.new("CMYK", (3, 2), (0, 255, 255, 0)), "a.tiff"))
    assert read.rgb[0, :, 0, 0].tolist() == [1, 0, 0]
    assert len(read.notes) == 1 and "CMYK" in read.notes[0]


def linear_rgb_profile(called: str = "linear test") -> bytes:
    """sRGB's colours with a linear tone curve: the curves in sRGB's profile replaced."""
    profile = bytearray(srgb_profile())
    count = struct.unpack(">I", profile[128:132])[0]
    for n in range(count):
        name, at, size = struct.unpack(">4sII", profile[132 + 12 * n : 144 + 12 * n])
        if name in (b"rTRC", b"gTRC", b"bTRC"):
            profile[at : at + size] = (
                struct.pack(">4sIHH", b"para", 0, 0, 0)
                + struct.pack(">I", 1 << 16)
                + bytes(size - 16)
            )
        if name == b"desc":
            profile[at + 28 : at + size] = called.encode("utf-16-be").ljust(size - 28, b"\0")
    return bytes(profile)


@pytest.mark.parametrize("name", ["linear test", "linear sRGB"])
def test_a_profile_is_applied(tmp_path: Path, name: str) -> None:
    image = Image.new("RGB", (2, 2), (55, 55, 55))
    path = saved(tmp_path, image, "a.png", icc_profile=linear_rgb_profile(name))
    # 55 / 255 = 0.2157 of linear light is 0.502 in sRGB.
    assert read_image(path).rgb.mean().item() == pytest.approx(0.502, abs=0.004)
    path = saved(tmp_path, image, "b.png", icc_profile=srgb_profile())
    assert read_image(path).rgb.mean().item() == pytest.approx(55 / 255, abs=1e-6)


def linear_grey_profile() -> bytes:
    """A profile of grey whose values are linear light."""
    white = struct.pack(">4sIiii", b"XYZ ", 0, 63190, 65536, 54061)
    curve = struct.pack(">4sII", b"curv", 0, 0)
    at = 128 + 4 + 2 * 12
    tags = struct.pack(">I4sII4sII", 2, b"wtpt", at, 20, b"kTRC", at + 20, 12)
    header = bytearray(128)
    header[0:4] = struct.pack(">I", at + 32)
    header[8:24] = struct.pack(">I4s4s4s", 0x02100000, b"mntr", b"GRAY", b"XYZ ")
    header[36:40] = b"acsp"
    header[68:80] = struct.pack(">iii", 63190, 65536, 54061)
    return bytes(header) + tags + white + curve


def test_a_grey_profile_is_applied_and_16_bits_stay_smooth(tmp_path: Path) -> None:
    ramp = Image.fromarray(np.linspace(20_000, 21_000, 500).astype(np.uint16)[None])
    path = saved(tmp_path, ramp, "a.png", icc_profile=linear_grey_profile())
    rgb = read_image(path).rgb
    # 20,000 / 65,535 = 0.3052 of linear light is 0.5893 in sRGB.
    assert rgb[0, 1, 0, 0].item() == pytest.approx(0.5893, abs=0.003)
    assert rgb[0, 1, 0].diff().min() >= 0 and rgb[0, 1].unique().numel() > 400
    grey = Image.new("L", (2, 2), 78)
    opaque = Image.merge("LA", [grey, Image.new("L", (2, 2), 255)])
    for image, more in ((grey, {}), (opaque, {}), (grey, {"transparency": 3})):
        path = saved(tmp_path, image, "b.png", icc_profile=linear_grey_profile(), **more)
        read = read_image(path)
        assert read.rgb.mean().item() == pytest.approx(0.5902, abs=0.003) and not read.notes


def test_a_broken_profile_is_ignored_and_said(tmp_path: Path) -> None:
    read = read_image(saved(tmp_path, Image.new("RGB", (2, 2)), "a.png", icc_profile=b"bogus"))
    assert len(read.notes) == 1 and "profile" in read.notes[0]


def test_a_lab_picture_is_converted(tmp_path: Path) -> None:
    lab = ImageCms.createProfile("LAB")
    red = Image.new("RGB", (2, 2), (255, 0, 0))
    image = ImageCms.profileToProfile(red, ImageCms.createProfile("sRGB"), lab, outputMode="LAB")
    assert image is not None
    rgb = read_image(saved(tmp_path, image, "a.tiff")).rgb[0, :, 0, 0]
    assert (rgb - torch.tensor([1.0, 0, 0])).abs().max() < 0.05


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.png", "a.tiff"])
def test_orientation_is_honoured(tmp_path: Path, orientation: int, name: str) -> None:
    upright = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40
    # How a camera held that way would have stored it: the inverse of how a viewer turns it.
    stored_as = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].T,
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(np.ascontiguousarray(stored_as))
    rgb = read_image(saved(tmp_path, image, name, exif=exif)).rgb
    assert (rgb[0, 0] * 255).round().int().tolist() == upright.tolist()


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.webp"])
def test_an_animation_gives_its_first_frame_and_says_so(tmp_path: Path, name: str) -> None:
    first, second = Image.new("RGB", (4, 4), (255, 0, 0)), Image.new("RGB", (4, 4), (0, 0, 255))
    options: dict[str, Any] = {"lossless": True} if name == "a.webp" else {}
    path = saved(tmp_path, first, name, save_all=True, append_images=[second], **options)
    read = read_image(path)
    assert read.rgb[0, :, 0, 0].tolist() == [1, 0, 0]
    assert read.notes == ("it is animated: the first frame is used",)


# Bad input


def refused(path: Path) -> str:
    """The text with which reading is refused, which must be one line that names the file."""
    before = sorted(path.parent.iterdir()) if path.parent.is_dir() else []
    with pytest.raises(InputError) as caught:
        read_image(path)
    text = str(caught.value)
    assert "\n" not in text and path.name in text
    assert before == (sorted(path.parent.iterdir()) if path.parent.is_dir() else [])
    return text


def test_missing(tmp_path: Path) -> None:
    assert "no file" in refused(tmp_path / "a.png")
    assert "no file" in refused(tmp_path / "b" / "a.png")


def test_directory(tmp_path: Path) -> None:
    assert "folder" in refused(tmp_path)


def test_empty(tmp_path: Path) -> None:
    assert "empty" in refused(stored(tmp_path, b""))


def test_device() -> None:
    assert "regular" in refused(Path("/dev/zero"))


def test_not_a_picture(tmp_path: Path) -> None:
    assert "not a picture" in refused(stored(tmp_path, b"what is this? " * 100))
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"
    assert "not a picture" in refused(stored(tmp_path, postscript))


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tiff", "a.webp", "a.gif"])
def test_truncated(tmp_path: Path, name: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    data = saved(tmp_path, Image.fromarray(noise), name).read_bytes()
    for share in (0.1, 0.5, 0.9):
        assert refused(stored(tmp_path, data[: int(len(data) * share)], name))


def test_a_second_page_without_a_size_is_damage(tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, "tiff")
    data = bytearray(file.getvalue())
    (page,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, page)
    # Behind the first page's entries of 12 bytes stands where the next one begins.
    struct.pack_into("<I", data, page + 2 + 12 * entries, len(data))
    data += struct.pack("<HI", 0, 0)
    with pytest.raises(InputError, match="damaged"):
        read_image(stored(tmp_path, bytes(data), "pages.tiff"))


@settings(max_examples=150)
@given(st.data())
def test_damage_never_raises_anything_else(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    ending = data.draw(st.sampled_from(["png", "jpeg", "tiff", "webp", "gif", "bmp"]))
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    Image.fromarray(noise).save(file, ending)
    bytes_ = bytearray(file.getvalue())
    for _ in range(data.draw(st.integers(1, 8))):
        bytes_[data.draw(st.integers(0, len(bytes_) - 1))] = data.draw(st.integers(0, 255))
    path = stored(tmp_path_factory.getbasetemp(), bytes(bytes_), f"damaged.{ending}")
    try:
        read = read_image(path)
    except InputError:
        return
    assert read.rgb.min() >= 0 and read.rgb.max() <= 1


def test_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = stored(tmp_path, b"x")

    def deny(self: Path) -> bytes:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    monkeypatch.setattr(Path, "read_bytes", deny)
    assert "Permission denied" in refused(path)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 5000), (5000, 1), (31, 100)])
def test_too_small_to_paint(tmp_path: Path, width: int, height: int) -> None:
    read = read_image(saved(tmp_path, Image.new("RGB", (width, height)), "a.png"))
    with pytest.raises(InputError, match=f"a.png is {width}x{height} px, which is too small.*32"):
        check_paintable(read)


def test_32_px_can_be_painted(tmp_path: Path) -> None:
    check_paintable(read_image(saved(tmp_path, Image.new("RGB", (32, 32)), "a.png")))


def test_50000_px_wide(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.new("L", (50_000, 40)), "a.png")
    assert "50000x40" in refused(path) and str(files.LONGEST_SIDE) in refused(path)


@pytest.mark.parametrize("side", [13_000, 30_000])
def test_decompression_bomb_is_refused_by_its_header(tmp_path: Path, side: int) -> None:
    # 13,000 squared is within Pillow's own limit, 30,000 squared is not. No pixels follow.
    header = png(8, 2, np.zeros((1, 1, 3)))
    size = struct.pack(">II", side, side)
    claim = b"IHDR" + size + header[24:29]
    data = header[:12] + claim + struct.pack(">I", zlib.crc32(claim)) + header[33:]
    assert "too large" in refused(stored(tmp_path, data))


def test_a_file_too_large_is_not_read(tmp_path: Path) -> None:
    path = stored(tmp_path, b"")
    os.truncate(path, files.LARGEST_FILE + 1)
    assert "bytes" in refused(path)


def test_unknown_ending(tmp_path: Path, picture: Tensor) -> None:
    for name in ("out.pgn", "out", "out.gif"):
        with pytest.raises(InputError, match="ending"):
            check_output(tmp_path / name)
        with pytest.raises(InputError, match="ending"):
            write_image(picture, tmp_path / name, METADATA)
    with pytest.raises(InputError, match=r"did you mean '\.png'"):
        check_output(tmp_path / "out.pgn")
    assert list(tmp_path.iterdir()) == []


def test_output_folder_missing(tmp_path: Path, picture: Tensor) -> None:
    path = tmp_path / "b" / "out.png"
    with pytest.raises(InputError, match="no folder"):
        check_output(path)
    with pytest.raises(InputError, match="No such file or directory"):
        write_image(picture, path, METADATA)


def test_output_folder_read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)  # root may do all
    with pytest.raises(InputError, match="cannot be written to"):
        check_output(tmp_path / "out.png")


def test_output_is_a_folder_or_device(tmp_path: Path) -> None:
    (tmp_path / "out.png").mkdir()
    with pytest.raises(InputError, match="not a file"):
        check_output(tmp_path / "out.png")


def test_jpeg_refuses_transparency(tmp_path: Path, picture: Tensor) -> None:
    with pytest.raises(InputError, match="transparency"):
        check_output(tmp_path / "out.jpg", transparent=True)
    with pytest.raises(InputError, match="transparency"):
        write_image(picture, tmp_path / "out.jpg", METADATA, alpha=picture[:, :1])
    assert list(tmp_path.iterdir()) == []


def test_webp_says_its_limit(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="16383"):
        write_image(torch.zeros(1, 3, 1, 16_384), tmp_path / "out.webp", METADATA)


@pytest.mark.parametrize("stage", ["fsync", "replace"])
def test_disk_full_leaves_what_was_there(
    tmp_path: Path, picture: Tensor, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    path = tmp_path / "out.png"
    path.write_bytes(b"before")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, stage, full)
    with pytest.raises(InputError, match=r"cannot write .*out\.png: No space left"):
        write_image(picture, path, METADATA)
    assert path.read_bytes() == b"before" and list(tmp_path.iterdir()) == [path]


# Settings, and resizing


def test_a_picture_without_settings(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "holiday"
    path = saved(tmp_path, Image.new("RGB", (4, 4)), "a.jpg", exif=exif)
    with pytest.raises(InputError, match="holds no settings"):
        read_metadata(path)
    exif[0x010E] = json.dumps(["bitbrush"])
    path = saved(tmp_path, Image.new("RGB", (4, 4)), "a.jpg", exif=exif)
    with pytest.raises(InputError, match="holds no settings"):
        read_metadata(path)


def test_resize_keeps_a_constant_and_the_range() -> None:
    constant = torch.full((1, 3, 37, 53), 0.3)
    for height, width in ((11, 16), (80, 120), (37, 20)):
        assert (resize(constant, height, width) - 0.3).abs().max() < 1e-5
    edge = (torch.arange(40) >= 20).float().expand(1, 3, 40, 40)
    assert resize(edge, 90, 90).min() >= 0 and resize(edge, 90, 90).max() <= 1
    assert resize(edge, 40, 40) is edge


def test_resize_averages_instead_of_dropping_pixels() -> None:
    # A checkerboard of single pixels becomes grey; picking every fourth pixel would give 0 or 1.
    board = ((torch.arange(64)[:, None] + torch.arange(64)) % 2).float().expand(1, 1, 64, 64)
    assert (resize(board, 16, 16) - 0.5).abs()[..., 2:-2, 2:-2].max() < 0.02


def test_an_address_is_no_file() -> None:
    with pytest.raises(InputError, match=r"there is no file .*an address is not fetched"):
        read_image(Path("https://example.org/picture.jpg"))


def test_samples_out_of_range_are_told_with_the_file(tmp_path: Path) -> None:
    for mode, value, said in (("I", 70_000, "32 bits"), ("F", 2.0, "float samples")):
        assert said in refused(saved(tmp_path, Image.new(mode, (2, 2), value), "a.tiff"))


def test_a_link_into_a_missing_folder_is_told_before(tmp_path: Path) -> None:
    (tmp_path / "link.png").symlink_to(tmp_path / "gone" / "a.png")
    with pytest.raises(InputError, match="there is no folder .*gone"):
        check_output(tmp_path / "link.png")


def test_a_format_for_smaller_pictures_is_told_before(tmp_path: Path) -> None:
    check_output(tmp_path / "a.webp", size=(16_383, 100))
    with pytest.raises(InputError, match=r"webp files hold 16383 px .* not 16384x100"):
        check_output(tmp_path / "a.webp", size=(100, 16_384))
