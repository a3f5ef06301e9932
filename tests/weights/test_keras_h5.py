"""The reader of Keras weight files: order, layouts, and files that are damaged or hostile."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bitbrush.errors import InputError
from bitbrush.weights.keras_h5 import read_keras_h5

GOLDEN = Path(__file__).parents[1] / "golden" / "networks"
KERNEL = np.arange(6, dtype=np.float32).reshape(2, 3)


def write(group: h5py.Group, text: bool = False) -> None:
    """Two layers whose order is not the alphabet's, and one without weights."""

    def names(*values: str) -> object:
        return np.array(values, dtype=h5py.string_dtype() if text else "S20")

    group.attrs["layer_names"] = names("zebra", "flatten", "ape")
    for layer, weights in (("zebra", ["kernel:0", "bias:0"]), ("flatten", []), ("ape", ["beta:0"])):
        inner = group.create_group(layer)
        inner.attrs["weight_names"] = names(*(f"{layer}/{weight}" for weight in weights))
        for weight in weights:
            inner[f"{layer}/{weight}"] = KERNEL if weight == "kernel:0" else np.ones(3, np.float16)


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("below", ["", "model_weights"])
def test_reads_layers_in_the_models_order(tmp_path: Path, text: bool, below: str) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        write(file.create_group(below) if below else file, text)
    layers = read_keras_h5(path)
    assert [name for name, _ in layers] == ["zebra", "ape"]
    assert list(layers[0][1]) == ["kernel:0", "bias:0"]
    np.testing.assert_array_equal(layers[0][1]["kernel:0"], KERNEL)
    assert layers[1][1]["beta:0"].dtype == np.float16


def test_reads_names_that_keras_cut_in_parts(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        write(file)
        del file.attrs["layer_names"]
        file.attrs["layer_names0"] = np.array(["zebra"], "S20")
        file.attrs["layer_names1"] = np.array(["ape"], "S20")
    assert [name for name, _ in read_keras_h5(path)] == ["zebra", "ape"]


def replaced(file: h5py.File) -> h5py.Group:
    """The group whose kernel is about to be something else."""
    del file["zebra/zebra/kernel:0"]
    return file["zebra/zebra"]


def soft_link(file: h5py.File) -> None:
    replaced(file)["kernel:0"] = h5py.SoftLink("/ape/ape/beta:0")


def external_link(file: h5py.File) -> None:
    replaced(file)["kernel:0"] = h5py.ExternalLink("/etc/passwd", "/x")


def linked_group(file: h5py.File) -> None:
    del file["ape"]
    file["ape"] = h5py.SoftLink("/zebra")


def compressed(file: h5py.File) -> None:
    replaced(file).create_dataset("kernel:0", (10**5, 10**5), "f4", compression="gzip")


def unwritten(file: h5py.File) -> None:
    replaced(file).create_dataset("kernel:0", (20, 20), "f4")


def huge(file: h5py.File) -> None:
    replaced(file).create_dataset("kernel:0", (10**6, 10**6), "f4")


def external_storage(file: h5py.File) -> None:
    replaced(file).create_dataset("kernel:0", (4,), "u1", external=[("/etc/hostname", 0, 4)])


def external_floats(file: h5py.File) -> None:
    replaced(file).create_dataset("kernel:0", (1,), "f4", external=[("/etc/hostname", 0, 4)])


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((3,), "f2")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (3,))
    replaced(file).create_virtual_dataset("kernel:0", layout)


def integers(file: h5py.File) -> None:
    replaced(file)["kernel:0"] = np.arange(6)


def strings(file: h5py.File) -> None:
    replaced(file)["kernel:0"] = np.array(["a"], h5py.string_dtype())


def references(file: h5py.File) -> None:
    group = replaced(file)
    group["kernel:0"] = np.array([file["ape"].ref], h5py.ref_dtype)


def many_axes(file: h5py.File) -> None:
    replaced(file)["kernel:0"] = np.ones((1, 1, 1, 1, 1), np.float32)


def scalar(file: h5py.File) -> None:
    replaced(file)["kernel:0"] = np.float32(1)


def group_for_array(file: h5py.File) -> None:
    replaced(file).create_group("kernel:0")


def absent(file: h5py.File) -> None:
    replaced(file)


def upwards(file: h5py.File) -> None:
    file["ape"].attrs["weight_names"] = np.array(["../zebra/zebra/kernel:0"], "S40")


def absolute(file: h5py.File) -> None:
    file["ape"].attrs["weight_names"] = np.array(["/zebra/zebra/kernel:0"], "S40")


def twice(file: h5py.File) -> None:
    file["ape"].attrs["weight_names"] = np.array(["ape/beta:0", "ape/beta:0"], "S40")


def one_array_as_many(file: h5py.File) -> None:
    """A thousand names for one array: what is read is larger than the file."""
    group = replaced(file)
    group["kernel:0"] = np.ones(10**5, np.float32)
    names = [f"zebra/k{index}" for index in range(1000)]
    for name in names:
        file[f"zebra/{name}"] = group["kernel:0"]
    file["zebra"].attrs["weight_names"] = np.array(names, "S20")


def numbers_for_names(file: h5py.File) -> None:
    file.attrs["layer_names"] = np.arange(3)


def scalar_for_names(file: h5py.File) -> None:
    file.attrs["layer_names"] = "zebra"


def too_many_names(file: h5py.File) -> None:
    file.attrs["layer_names"] = np.array(["a"] * 5000, "S1")


def no_names(file: h5py.File) -> None:
    del file.attrs["layer_names"]


def no_weights(file: h5py.File) -> None:
    file.attrs["layer_names"] = np.array(["flatten"], "S20")


def long_name(file: h5py.File) -> None:
    file.attrs["layer_names"] = np.array(["x" * 300], "S300")


def two_lines(file: h5py.File) -> None:
    file.attrs["layer_names"] = np.array(["a\nb"], "S20")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (soft_link, "link to elsewhere"),
        (external_link, "link to elsewhere"),
        (linked_group, "link to elsewhere"),
        (compressed, "not stored in one piece"),
        (unwritten, "not wholly there"),
        (huge, "larger than the file"),
        (external_storage, "not plain floats"),
        (external_floats, "not stored in one piece"),
        (virtual, "not stored in one piece"),
        (integers, "not plain floats"),
        (strings, "not plain floats"),
        (references, "not plain floats"),
        (many_axes, "more axes than four"),
        (scalar, "no axes"),
        (group_for_array, "no array"),
        (absent, "does not hold"),
        (upwards, "does not hold"),
        (absolute, "does not hold"),
        (twice, "two weights of one name"),
        (one_array_as_many, "larger than the file"),
        (numbers_for_names, "no text"),
        (scalar_for_names, "no list"),
        (too_many_names, "no list of at most"),
        (no_names, "no Keras weight file"),
        (no_weights, "no layer with weights"),
        (long_name, "too long"),
        (two_lines, "no plain text"),
    ],
)
def test_hostile_files_are_refused_in_one_line(
    tmp_path: Path, change: Callable[[h5py.File], None], text: str
) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        write(file)
        change(file)
    with pytest.raises(InputError, match=text) as caught:
        read_keras_h5(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_many_names_that_are_one_long_string_are_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    length, count = 60_000, 1000
    with h5py.File(path, "w") as file:
        write(file)
        names = ["x" * length, *["y"] * (count - 1)]
        file.attrs["layer_names"] = np.array(names, h5py.string_dtype())
    content = path.read_bytes()
    # A string of variable length is stored as its length and where in the heap it is.
    at = content.index(struct.pack("<I", length))
    pointer = content[at : at + 16]
    path.write_bytes(content[:at] + pointer * count + content[at + 16 * count :])
    with h5py.File(path) as file:
        assert set(file.attrs["layer_names"]) == {"x" * length}
    with pytest.raises(InputError, match="layer_names are larger than the file"):
        read_keras_h5(path)


def test_a_length_that_lies_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        write(file)
        file["ape"].attrs["weight_names"] = np.array(["x" * 3333], h5py.string_dtype())
    content, length = path.read_bytes(), struct.pack("<I", 3333)
    path.write_bytes(content.replace(length, struct.pack("<I", 2**28)))
    with pytest.raises(InputError, match="weight_names are larger than the file"):
        read_keras_h5(path)


@pytest.mark.parametrize("version", ["earliest", "v108", "latest"])
def test_every_layout_that_hdf5_writes_is_read(tmp_path: Path, version: str) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", libver=version) as file:
        write(file, text=True)
    assert [name for name, _ in read_keras_h5(path)] == ["zebra", "ape"]


def test_names_in_a_heap_of_attributes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", libver="latest") as file:
        write(file, text=True)
        for index in range(20):
            file.attrs[f"more{index}"] = index
        if not hasattr(h5py.h5o.get_info(file.id), "meta_size"):
            pytest.skip("this h5py does not tell where attributes are kept")
    with pytest.raises(InputError, match="laid out unlike"):
        read_keras_h5(path)


def test_a_whole_models_long_description_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        write(file, text=True)
        file.attrs["model_config"] = "{" + " " * 300_000 + "}"
    assert [name for name, _ in read_keras_h5(path)] == ["zebra", "ape"]


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_keras_h5(tmp_path / "absent.h5")
    with pytest.raises(InputError, match="no such file"):
        read_keras_h5(tmp_path)
    path = tmp_path / "a.h5"
    for content in (b"", b"<html>404</html>", b"\x89HDF\r\n\x1a\n" + bytes(100)):
        path.write_bytes(content)
        with pytest.raises(InputError, match="damaged or no HDF5 file"):
            read_keras_h5(path)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_gives_one_error_or_floats(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(gzip.decompress((GOLDEN / "quicknet-v1.h5.gz").read_bytes()))
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        # The first kilobytes hold the tables through which all else is found.
        for _ in range(data.draw(st.integers(1, 20))):
            content[data.draw(st.integers(0, 20_000))] = data.draw(st.integers(0, 255))
    path = tmp_path / "a.h5"
    path.write_bytes(content)
    try:
        layers = read_keras_h5(path)
    except InputError as error:
        assert "\n" not in str(error)
    else:
        assert all(array.dtype.kind == "f" for _, weights in layers for array in weights.values())
