"""BMXNet's ResNet-18: its arithmetic, its taps, and the published files run graph by graph."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from bitbrush.errors import InputError
from bitbrush.networks.registry import network_spec
from bitbrush.networks.resnet_bmxnet import PopcountConv2d, ResNetBmxnet, Unit, from_mxnet
from bitbrush.weights.mxnet_params import read_mxnet_params

SHARED = Path(__file__).parents[2] / ".." / "shared" / "weights"
STEM = "binarized_imagenet-resnet18-64bit"
FILES = {
    "resnet18-bmxnet": (f"{STEM}-0040.params", f"{STEM}-symbol.json"),
    "resnet18-bmxnet-fp1": (
        f"{STEM}-1st-stage-fullprecision-0038.params",
        f"{STEM}-1st-stage-fullprecision-symbol.json",
    ),
}
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="needs the folder ../shared")


def tiny(float_stages: int = 0) -> ResNetBmxnet:
    torch.manual_seed(1)
    network = ResNetBmxnet("tiny", float_stages, widths=(8, 16, 16, 24), classes=7)
    # Batch norms that fit what they are given, or every popcount would be far above zero.
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
            if module is not network.data_norm:
                torch.nn.init.uniform_(module.weight, 0.5, 1.5)
                torch.nn.init.normal_(module.bias, std=0.1)
    with torch.no_grad():
        network(torch.rand(4, 3, 64, 64), network.taps)
    return network.eval()


def test_popcount_counts_agreeing_signs_and_the_border_is_plus_one() -> None:
    torch.manual_seed(0)
    layer = PopcountConv2d(3, 2, 3, 2)
    x = torch.randn(1, 3, 5, 4)
    result = layer(x)
    assert result.shape == (1, 2, 3, 2)
    for channel, row, column in np.ndindex(2, 3, 2):
        agreeing = 0
        for c, i, j in np.ndindex(3, 3, 3):
            y, z = 2 * row + i - 1, 2 * column + j - 1
            inside = 0 <= y < 5 and 0 <= z < 4
            positive = x[0, c, y, z] >= 0 if inside else True
            agreeing += bool(positive == (layer.conv.weight[channel, c, i, j] >= 0))
        assert result[0, channel, row, column] == agreeing


@pytest.mark.parametrize("float_stages", [0, 1])
def test_a_tap_is_what_the_next_convolution_takes(float_stages: int) -> None:
    network = tiny(float_stages)
    taken: list[Tensor] = []
    for stage in network.stages:
        for unit in stage:  # type: ignore[union-attr]
            assert isinstance(unit, Unit)
            unit.conv1.register_forward_hook(lambda module, given, result: taken.append(given[0]))
    *taps, last, logits = network.taps
    values = network(torch.rand(1, 3, 40, 33), network.taps)
    assert list(values) == list(network.taps)
    for tap, value in zip(taps, taken, strict=True):
        assert torch.equal(values[tap], value), tap
    classes = network.classifier(functional.relu(values[last]).mean((2, 3)))
    assert torch.equal(values[logits], classes)
    rectified = [tap for tap in taps if values[tap].min() >= 0]
    assert rectified == (["stem", "stage1.block1"] if float_stages else [])


def test_tap_sizes_and_the_gradient_to_the_picture() -> None:
    network = tiny()
    for height, width in ((32, 32), (45, 70)):
        image = torch.rand(1, 3, height, width, requires_grad=True)
        for tap, value in network(image, network.taps).items():
            stride = network.taps[tap].stride
            if stride:
                assert value.shape[2:] == (-(-height // stride), -(-width // stride)), tap
            (gradient,) = torch.autograd.grad(value.square().sum(), image, retain_graph=True)
            assert gradient.abs().sum() > 0, tap
    with pytest.raises(InputError, match="smallest is 32 px"):
        network(torch.rand(1, 3, 31, 64), ["logits"])


def mxnet_arrays(network: ResNetBmxnet) -> dict[str, np.ndarray]:
    """What a file would hold for the network, from the description of the format."""
    nodes = {"data_norm": "bn_data", "stem": "conv0", "stem_norm": "bn0", "norm": "bn1"}
    arrays = {}

    def add(node: str, module: torch.nn.Module) -> None:
        if isinstance(module, torch.nn.BatchNorm2d):
            arrays[f"arg:{node}_gamma"] = module.weight.detach().numpy()
            arrays[f"arg:{node}_beta"] = module.bias.detach().numpy()
            arrays[f"aux:{node}_moving_mean"] = module.running_mean.numpy()
            arrays[f"aux:{node}_moving_var"] = module.running_var.numpy()
        elif isinstance(module, PopcountConv2d):
            signs = module.conv.weight.detach().numpy().ravel() >= 0
            words = [
                sum(int(bit) << at for at, bit in enumerate(signs[start : start + 64]))
                for start in range(0, signs.size, 64)
            ]
            arrays[f"arg:{node}_weight"] = np.array(words, "<u8")
        elif module is not None:
            arrays[f"arg:{node}_weight"] = module.weight.detach().numpy()

    for name, node in nodes.items():
        add(node, getattr(network, name))
    for s, stage in enumerate(network.stages, 1):
        for u, unit in enumerate(stage, 1):  # type: ignore[arg-type]
            for part, node in (("norm1", "bn1"), ("norm2", "bn2"), ("shortcut", "sc")):
                add(f"stage{s}_unit{u}_{node}", getattr(unit, part))
            for part in ("conv1", "conv2"):
                add(f"stage{s}_unit{u}_{part}", getattr(unit, part))
    arrays["arg:fc1_weight"] = network.classifier.weight.detach().numpy()
    arrays["arg:fc1_bias"] = network.classifier.bias.detach().numpy()
    return arrays


@pytest.mark.parametrize("float_stages", [0, 1])
def test_arrays_become_the_same_network(float_stages: int) -> None:
    network = tiny(float_stages)
    arrays = mxnet_arrays(network)
    arrays["arg:bn_data_gamma"] = np.full(3, 0.2519, np.float32)
    loaded = ResNetBmxnet("tiny", float_stages, widths=(8, 16, 16, 24), classes=7)
    loaded.load_state_dict(from_mxnet(arrays, loaded), strict=True)
    image = torch.rand(1, 3, 40, 40)
    expected = network(image, network.taps)
    for tap, value in loaded.eval()(image, loaded.taps).items():
        assert torch.equal(value, expected[tap]), tap


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("arg:stage2_unit1_sc_weight", None, "arg:stage2_unit1_sc_weight is missing"),
        ("arg:other", np.zeros(3, np.float32), "arg:other is no part"),
        ("aux:bn0_moving_var", np.zeros(9, np.float32), "aux:bn0_moving_var has shape"),
        ("arg:stage1_unit1_conv1_weight", np.zeros(8, "<u8"), "stage1_unit1_conv1_weight has"),
        ("arg:fc1_bias", np.zeros(7, "<u8"), "arg:fc1_bias holds"),
    ],
)
def test_arrays_that_do_not_fit_are_named(
    name: str, array: np.ndarray | None, message: str
) -> None:
    network = tiny()
    arrays = mxnet_arrays(network)
    if array is None:
        del arrays[name]
    else:
        arrays[name] = array
    with pytest.raises(InputError, match=message):
        from_mxnet(arrays, network)


def run_graph(path: Path, arrays: dict[str, np.ndarray], data: Tensor) -> Iterator[tuple]:
    """Runs a symbol file node by node in float64; yields (node, value). Knows nothing of ours."""
    nodes = json.loads(path.read_text())["nodes"]
    values: dict[int, Tensor] = {}
    for index, node in enumerate(nodes):
        name = node["name"]
        texts = node.get("attr") or node.get("attrs") or {}
        settings = {
            key: ast.literal_eval(text) if text[0] in "(0123456789" else text
            for key, text in texts.items()
        }
        if node["op"] == "SoftmaxOutput":
            break
        given = [values[i] for i, *_ in node["inputs"]]
        if node["op"] == "null":
            raw = arrays.get(f"arg:{name}", arrays.get(f"aux:{name}"))
            if name == "data":
                value = data
            elif raw is None:
                continue
            elif raw.dtype == np.uint64:
                value = torch.from_numpy(np.unpackbits(raw.view(np.uint8), bitorder="little") * 2.0)
                value = value - 1
            else:
                value = torch.from_numpy(raw.astype(np.float64))
        elif node["op"] == "BatchNorm":
            x, gamma, beta, mean, variance = given
            if settings["fix_gamma"] == "True":
                gamma = torch.ones_like(gamma)
            x = (x - mean.view(1, -1, 1, 1)) / (variance.view(1, -1, 1, 1) + 2e-5).sqrt()
            value = x * gamma.view(1, -1, 1, 1) + beta.view(1, -1, 1, 1)
        elif node["op"] in ("Convolution", "QConvolution"):
            x, weight = given
            (side, _), filters = settings["kernel"], settings["num_filter"]
            weight = weight.view(filters, x.shape[1], side, side)
            edge, stride = settings.get("pad", (0, 0))[0], settings.get("stride", (1, 1))
            x = functional.pad(x, [edge] * 4)
            if node["op"] == "QConvolution":
                x = (x >= 0).to(x.dtype) * 2 - 1
            value = functional.conv2d(x, weight, stride=stride)
            if node["op"] == "QConvolution":
                value = (value + weight[0].numel()) / 2
        elif node["op"] == "Activation":
            value = given[0].relu()
        elif node["op"] == "Pooling" and settings["pool_type"] == "max":
            value = functional.max_pool2d(given[0], 3, 2, 1)
        elif node["op"] == "Pooling":
            value = given[0].mean((2, 3))
        elif node["op"] in ("QActivation", "Flatten"):
            value = given[0]
        elif node["op"] == "FullyConnected":
            value = functional.linear(*given)
        elif node["op"] == "elemwise_add":
            value = given[0] + given[1]
        else:
            raise AssertionError(node["op"])
        values[index] = value
        yield name, value


@needs_shared
@pytest.mark.parametrize("name", FILES)
def test_the_published_network_equals_its_symbol_file(name: str) -> None:
    params, symbols = FILES[name]
    arrays = read_mxnet_params(SHARED / params)
    spec = network_spec(name)
    network = spec.build()
    network.load_state_dict(spec.converter("mxnet_params")(arrays, network), strict=True)
    # In float64, so that no sign hangs on the order of a sum.
    network.double().eval()
    torch.manual_seed(2)
    image = torch.rand(1, 3, 61, 64, dtype=torch.float64)
    data = (image - network.mean) / network.std
    colours = torch.tensor([123.68, 116.779, 103.939]).view(1, 3, 1, 1)
    torch.testing.assert_close(data, image * 255 - colours, atol=1e-4, rtol=0)
    graph = dict(run_graph(SHARED / symbols, arrays, data))
    rectified = name == "resnet18-bmxnet-fp1"
    nodes = {"stem": f"stage1_unit1_{'relu1' if rectified else 'bn1'}"}
    nodes["stage1.block1"] = f"stage1_unit2_{'relu1' if rectified else 'bn1'}"
    for stage in (2, 3, 4):
        nodes[f"stage{stage - 1}.block2"] = f"stage{stage}_unit1_bn1"
        nodes[f"stage{stage}.block1"] = f"stage{stage}_unit2_bn1"
    nodes |= {"stage4.block2": "bn1", "logits": "fc1"}
    taps = network(image, network.taps)
    assert set(taps) == set(nodes)
    for tap, value in taps.items():
        torch.testing.assert_close(value, graph[nodes[tap]], atol=1e-9, rtol=1e-9, msg=tap)


@needs_shared
@pytest.mark.parametrize("name", FILES)
def test_the_network_has_as_many_values_as_its_file(name: str) -> None:
    arrays = read_mxnet_params(SHARED / FILES[name][0])
    held = sum(a.nbytes * 8 if a.dtype == np.uint64 else a.size for a in arrays.values())
    state = network_spec(name).build().state_dict()
    # A batch norm counts four vectors a channel: scale, shift, mean and variance.
    counted = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    assert sum(value.numel() for value in counted.values()) == held == 11_699_892
