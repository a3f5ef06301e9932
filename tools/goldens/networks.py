"""Builds larq-zoo's networks, fills them with random numbers, and writes what they compute.

Runs where tensorflow-cpu 2.15, larq 0.14 and larq-zoo are installed, not bitbrush. quicknet,
quicknet-large and quicknet-xl need larq-zoo 1.0.5 (with keras-applications 1.0.8, both installed
with --no-deps), all others larq-zoo 2.4.0:

    python tools/goldens/networks.py FOLDER NETWORK...           # whole, hundreds of megabytes
    python tools/goldens/networks.py --small FOLDER NETWORK...   # narrow, what tests/golden holds

For the whole networks, set BITBRUSH_LARQ_GOLDENS=FOLDER and run
`pytest tests/networks/test_larq_parity.py`. For each network it writes NAME.h5 (Keras'
save_weights; gzipped with --small) and, for each picture, NAME-K.npz: image (uint8 [N, H, W, 3]),
the input and output of each quantized layer, the taps, the logits, and with --small the gradient
of a weighted sum of the logits to the normalised picture, and both again with average pools.
Arrays are N, H, W, C.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import importlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import larq as lq
import numpy as np
import tensorflow as tf
import zookeeper

OLD = {
    "quicknet": "QuickNetFactory",
    "quicknet-large": "QuickNetLargeFactory",
    "quicknet-xl": "QuickNetXLFactory",
}
NEW = {
    "quicknet-v1-small": "QuickNetSmallFactory",
    "quicknet-v1": "QuickNetFactory",
    "quicknet-v1-large": "QuickNetLargeFactory",
}
ALEXNETS = {
    "xnornet": ("xnornet", "XNORNetFactory"),
    "dorefanet": ("dorefanet", "DoReFaNetFactory"),
    "binary-alexnet": ("binary_alex_net", "BinaryAlexNetFactory"),
}
LITERATURE = {
    **ALEXNETS,
    "birealnet": ("birealnet", "BiRealNetFactory"),
    "resnet-e18": ("resnet_e", "BinaryResNetE18Factory"),
    "binary-densenet28": ("densenet", "BinaryDenseNet28Factory"),
    "binary-densenet37": ("densenet", "BinaryDenseNet37Factory"),
    "binary-densenet37-dilated": ("densenet", "BinaryDenseNet37DilatedFactory"),
    "binary-densenet45": ("densenet", "BinaryDenseNet45Factory"),
    "realtobinary": ("real_to_bin_nets", "RealToBinNetBNNFactory"),
    "meliusnet22": ("meliusnet", "MeliusNet22Factory"),
}
SMALL: dict[str, dict[str, Any]] = {
    "quicknet": {
        "stem_filters": 16,
        "section_filters": (16, 32, 64, 64),
        "blocks_per_section": (1, 2, 2, 1),
    },
    "quicknet-large": {
        "stem_filters": 16,
        "section_filters": (16, 24, 32, 48),
        "blocks_per_section": (1, 2, 2, 2),
    },
    "quicknet-v1": {"section_filters": (16, 16, 24, 32), "section_blocks": (1, 1, 2, 2)},
    "xnornet": {},
    "dorefanet": {},
    "binary-alexnet": {},
    "birealnet": {"filters": 8},
    "resnet-e18": {"initial_filters": 8},
    "binary-densenet28": {"initial_filters": 32, "growth_rate": 16},
    "binary-densenet37-dilated": {"initial_filters": 32, "growth_rate": 16},
    "realtobinary": {},
    "meliusnet22": {},
}
SHORTER: dict[str, dict[str, Any]] = {
    "resnet-e18": {"spec": ((2, 1, 2, 1), (8, 16, 32, 64))},
    "binary-densenet28": {"layers": (2, 1, 2, 2)},
    "binary-densenet37-dilated": {"layers": (2, 2, 4, 1)},
    "meliusnet22": {"num_blocks": (1, 1), "transition_features": (32, None)},
}
"""Numbers of layers (and widths), which their builders have no option for."""
OLDER = ("xnornet", "dorefanet", *OLD, *NEW)
"""Recorded with fine steps, and every array in full."""
NARROWER = 32
"""What the alexnets' widths are divided by; their builders have no option for it."""
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)


def factory(name: str) -> Any:
    """larq-zoo's builder of that network."""
    if name in LITERATURE:
        module, builder = LITERATURE[name]
        return getattr(importlib.import_module(f"larq_zoo.literature.{module}"), builder)
    from larq_zoo.sota import quicknet

    is_old = hasattr(quicknet, "QuickNetXLFactory")
    if is_old != (name in OLD):
        sys.exit(f"{name} needs larq-zoo {'1.0.5' if name in OLD else '2.4.0'}")
    return getattr(quicknet, OLD.get(name) or NEW[name])


@contextlib.contextmanager
def narrow_layers() -> Iterator[None]:
    """Within it, layers are built with a fraction of the width that is asked for."""

    def narrowed(layer: Callable[..., Any]) -> Callable[..., Any]:
        def build(width: int, *args: Any, **kwargs: Any) -> Any:
            # Ten classes stay ten.
            return layer(width // NARROWER or width, *args, **kwargs)

        return build

    keras = tf.keras.layers
    with (
        mock.patch.object(lq.layers, "QuantConv2D", narrowed(lq.layers.QuantConv2D)),
        mock.patch.object(lq.layers, "QuantDense", narrowed(lq.layers.QuantDense)),
        mock.patch.object(keras, "Conv2D", narrowed(keras.Conv2D)),
    ):
        yield


@contextlib.contextmanager
def narrow_stem() -> Iterator[None]:
    """Within it, 7x7 convolutions have 8 channels, of which other widths are multiples."""
    keras = tf.keras.layers
    convolution = keras.Conv2D

    def build(width: int, kernel_size: int, *args: Any, **kwargs: Any) -> Any:
        return convolution(8 if kernel_size == 7 else width, kernel_size, *args, **kwargs)

    with mock.patch.object(keras, "Conv2D", build):
        yield


def build(name: str, size: tuple[int, int], small: bool) -> tf.keras.Model:
    options: dict[str, Any] = {"input_shape": (*size, 3), "weights": None, "num_classes": 1000}
    if small:
        options |= {"num_classes": 10, **SMALL[name]}
    made = factory(name)
    with contextlib.ExitStack() as changes:
        if small and name in ALEXNETS:
            changes.enter_context(narrow_layers())
        if small and name == "realtobinary":
            changes.enter_context(narrow_stem())
        if small:
            for attribute, value in SHORTER.get(name, {}).items():
                changes.enter_context(mock.patch.object(made, attribute, value))
        builder = made()
        zookeeper.configure(builder, options)
        return builder.build()


@contextlib.contextmanager
def average_pools() -> Iterator[None]:
    """Within it, maximum pools are built as average pools."""
    keras = tf.keras.layers
    with (
        mock.patch.object(keras, "MaxPool2D", keras.AveragePooling2D),
        mock.patch.object(keras, "MaxPooling2D", keras.AveragePooling2D),
    ):
        yield


def fill(
    model: tf.keras.Model,
    rng: np.random.Generator,
    step: float,
    one_bit_step: float,
    averaged: tf.keras.Model | None = None,
) -> None:
    """Random weights, in multiples of step if it is not 0; batch norms take a picture's own.

    Those of which signs are taken are multiples of one_bit_step, exact zeros among them. Where the
    same network with average pools is given, the statistics lie between those of the two: with one
    network's own, the other's maps would lie outside the windows of their signs.
    """
    trainable = {id(weight) for weight in model.trainable_weights}
    norms = [layer for layer in model.layers if hasattr(layer, "moving_mean")]
    for layer in model.layers:
        for weight in layer.weights:
            if id(weight) not in trainable:
                continue
            kind, shape = weight.name.split("/")[-1].split(":")[0], weight.shape
            fan_in = np.prod(shape[:-1]) if kind == "kernel" else np.prod(shape[:2])
            if kind == "gamma":
                value = rng.uniform(0.5, 1.5, shape)
            elif kind in ("beta", "bias"):
                value = rng.normal(0, 0.3, shape)
            elif getattr(layer, "kernel_quantizer", None) is not None:
                value = rng.uniform(-1, 1, shape)
            else:
                value = rng.normal(0, 1, shape) * np.sqrt(2 / fan_in)
            whole = one_bit_step if getattr(layer, "kernel_quantizer", None) else step
            weight.assign(np.round(value / whole) * whole if whole else value)
    size = model.input_shape[1:]
    pictures = rng.integers(0, 256, (4, *size), np.uint8)
    for layer in norms:
        layer.momentum = 0.0
    x = (pictures / np.float32(255) - MEAN) / STD
    model(x, training=True)
    if averaged is not None:
        meet(model, averaged, x)
    for layer in norms:
        # Neither path's statistics are exactly the data's, and no two channels' are equal.
        deviation = np.sqrt(layer.moving_variance.numpy())
        shift = deviation * rng.normal(0, 0.2, deviation.shape)
        layer.moving_mean.assign_add(shift.astype(np.float32))
        layer.moving_variance.assign((deviation**2 + 1e-3) * rng.uniform(0.6, 1.6, deviation.shape))


def meet(model: tf.keras.Model, averaged: tf.keras.Model, x: np.ndarray) -> None:
    """Gives model's batch norms the statistics of both networks' maps taken together."""
    averaged.set_weights(model.get_weights())
    for layer in averaged.layers:
        if hasattr(layer, "moving_mean"):
            layer.momentum = 0.0
    averaged(x, training=True)
    for layer, other in zip(model.layers, averaged.layers, strict=True):
        if hasattr(layer, "moving_mean"):
            half = (layer.moving_mean - other.moving_mean) / 2
            variance = (layer.moving_variance + other.moving_variance) / 2 + half**2
            layer.moving_mean.assign_sub(half)
            layer.moving_variance.assign(variance)


def tap_tensors(name: str, model: tf.keras.Model, quantized: list[Any]) -> list[Any]:
    """Keras tensors of the taps, in order."""
    if name == "xnornet":
        return [layer.input for layer in quantized[:5]]
    if name in ALEXNETS:
        flatten = next(
            layer for layer in model.layers if layer.name.startswith(("flatten", "reshape"))
        )
        return [*(layer.input for layer in quantized[:4]), flatten.input]
    if name == "realtobinary":
        add = [layer for layer in model.layers if layer.name.endswith("skip_add")][-1]
        return [*(layer.input for layer in quantized), add.output]
    if name.startswith(("binary-densenet", "meliusnet")):
        # Every batch norm but the stem's: of each layer, each transition, and the last.
        norms = [layer.output for layer in model.layers if hasattr(layer, "moving_mean")]
        return norms[3 if name.startswith("meliusnet") else 1 :]
    taps = [quantized[0].input]
    for layer in model.layers:
        if layer.name.startswith(("add", "tf.__operators__.add")):
            taps.append(layer.output)
        elif layer.name.startswith("concatenate"):
            taps[-1] = layer.output
    return taps


def record(
    name: str, model: tf.keras.Model, path: Path, rng: np.random.Generator, small: bool
) -> None:
    quantized = [
        layer for layer in model.layers if getattr(layer, "input_quantizer", None) is not None
    ]
    taps = tap_tensors(name, model, quantized)
    softmax = model.layers[-1]
    outputs = {
        "logits": softmax.input,
        **{f"tap{index}": tensor for index, tensor in enumerate(taps)},
        **{f"input{index}": layer.input for index, layer in enumerate(quantized)},
        **{f"output{index}": layer.output for index, layer in enumerate(quantized)},
    }
    watcher = tf.keras.Model(model.inputs, outputs)
    image = rng.integers(0, 256, (1, *model.input_shape[1:]), np.uint8)
    x = (image / np.float32(255) - MEAN) / STD
    arrays = {key: value.numpy() for key, value in watcher(x, training=False).items()}
    arrays["image"] = image
    if small:
        _, arrays["gradient"] = gradient(model, x)
        with average_pools():
            average = build(name, image.shape[1:3], small)
        average.set_weights(model.get_weights())
        arrays["average_logits"], arrays["average_gradient"] = gradient(average, x)
    relu = getattr(quantized[0].activation, "__name__", "") == "relu"
    meta = {"network": name, "relu": relu, "taps": len(taps)}
    if small and name not in OLDER:
        meta["same"] = shrunk(arrays)
    arrays["meta"] = np.array(json.dumps(meta))
    (np.savez_compressed if small else np.savez)(path, **arrays)
    print(f"{path.name}: {len(quantized)} quantized layers, {len(taps)} taps")


def shrunk(arrays: dict[str, np.ndarray]) -> dict[str, str]:
    """Sums as small integers, and inputs that are taps left out; returns which tap each was."""
    same = {}
    for key in list(arrays):
        if key.startswith("output") and (np.round(arrays[key]) == arrays[key]).all():
            arrays[key] = arrays[key].astype(np.int16)
        taps = [tap for tap in arrays if tap.startswith("tap") and key.startswith("input")]
        for tap in taps:
            if np.array_equal(arrays[tap], arrays[key]):
                same[key] = tap
                del arrays[key]
                break
    return same


def gradient(model: tf.keras.Model, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The logits, and the gradient of their sum, weighted from -1 to 1, to some pixels of x."""
    till_logits = tf.keras.Model(model.inputs, model.layers[-1].input)
    picture = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(picture)
        logits = till_logits(picture, training=False)
        weights = np.linspace(-1, 1, logits.shape[-1], dtype=np.float32)
        total = tf.reduce_sum(logits * weights)
    every = max(1, x.shape[1] // 32)
    return logits.numpy(), tape.gradient(total, picture).numpy()[:, ::every, ::every]


def sizes(name: str, small: bool) -> list[tuple[int, int]]:
    if name in ALEXNETS:
        return [(224, 224)] if small else [(224, 224)] * 2
    if name == "resnet-e18":
        return [(64, 96)] if small else [(224, 224), (64, 96)]
    if "densenet" in name:
        # Maps of odd sides on the way, the smallest pictures with the stem of large ones.
        return [(52, 68)] if small else [(224, 224), (100, 68)]
    if name in NEW:
        # Odd maps on the way, where the blur's border is not symmetric.
        return [(50, 66)] if small else [(224, 224), (100, 68), (100, 68)]
    if name in ("birealnet", "realtobinary", "meliusnet22"):
        # Odd maps on the way here too.
        return [(36, 50)] if small else [(224, 224), (100, 68)]
    return [(64, 96)] if small else [(224, 224), (64, 96), (64, 96)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("folder", type=Path)
    parser.add_argument("networks", nargs="+", choices=[*OLD, *NEW, *LITERATURE])
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for name in options.networks:
        rng = np.random.default_rng(options.seed)
        weights = None
        for index, size in enumerate(sizes(name, options.small)):
            tf.keras.backend.clear_session()
            model = build(name, size, options.small)
            if weights is None:
                step = 1 / 64 if options.small else 0.0
                # A coarse step keeps the files small.
                coarse = options.small and name not in OLDER
                averaged = None
                if coarse:
                    with average_pools():
                        averaged = build(name, size, options.small)
                fill(model, rng, step, 1 / 2 if coarse else step, averaged)
                weights = model.get_weights()
                target = options.folder / f"{name}.h5"
                model.save_weights(target, save_format="h5")
                if options.small:
                    zipped = gzip.compress(target.read_bytes(), mtime=0)
                    target.with_suffix(".h5.gz").write_bytes(zipped)
                    target.unlink()
            else:
                model.set_weights(weights)
            record(name, model, options.folder / f"{name}-{index}.npz", rng, options.small)


if __name__ == "__main__":
    main()
