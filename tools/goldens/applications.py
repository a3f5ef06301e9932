"""Writes what Keras' Inception v3 and ResNet50V2 compute, filled with numbers by a rule.

Runs where tensorflow-cpu 2.15 is installed, not bitbrush:

    python tools/goldens/applications.py FOLDER           # small pictures, as in tests/golden
    python tools/goldens/applications.py --whole FOLDER   # the size that they were trained at

For the latter, set BITBRUSH_KERAS_GOLDENS=FOLDER and run pytest tests/networks/test_keras_peers.py.

The networks have no narrower form, so no weights are stored: each is filled by `values`, which
stands in the test as well. NAME.npz holds the layers' names, weights and shapes as text, image
(uint8 [N, H, W, 3]), some values of each tap, all logits, and some values of the gradient of a
weighted sum of the logits to the normalised picture. Arrays are N, H, W, C.
"""

from __future__ import annotations

import argparse
import json
import os
import zlib
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

applications = tf.keras.applications
BUILDERS = {"inception-v3": applications.InceptionV3, "resnet50-v2": applications.ResNet50V2}
SMALL = {"inception-v3": (80, 101), "resnet50-v2": (50, 67)}
WHOLE = {"inception-v3": (299, 299), "resnet50-v2": (224, 224)}
MOST = 400
"""Values kept of a map."""


def values(layer: str, weight: str, shape: tuple[int, ...]) -> np.ndarray:
    """What a weight is filled with: the same for the same names and shape, anywhere."""
    # RandomState's numbers are the same in every version of numpy.
    unit = np.random.RandomState(zlib.crc32(f"{layer}/{weight}".encode())).uniform(-1, 1, shape)
    if weight.startswith("kernel"):
        return (unit * np.sqrt(6 / np.prod(shape[:-1]))).astype(np.float32)
    if weight.startswith(("gamma", "moving_variance")):
        return (1 + unit / 2).astype(np.float32)
    return (unit / 4).astype(np.float32)


def taps(name: str, model: tf.keras.Model) -> list[object]:
    """Keras tensors of the taps, in order."""
    layers = model.layers
    if name == "resnet50-v2":
        relus = [layer for layer in layers if layer.name.endswith(("preact_relu", "post_relu"))]
        return [layer.output for layer in relus]
    activations = [layer for layer in layers if layer.name.startswith("activation")]
    mixed = [layer for layer in layers if layer.name in {f"mixed{index}" for index in range(11)}]
    return [activations[2].output, activations[4].output, *(layer.output for layer in mixed)]


def some(array: np.ndarray) -> np.ndarray:
    """One value out of so many that `MOST` are kept."""
    flat = array.reshape(-1)
    return flat[:: -(-flat.size // MOST)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--whole", action="store_true")
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for name, builder in BUILDERS.items():
        tf.keras.backend.clear_session()
        size = (WHOLE if options.whole else SMALL)[name]
        model = builder(weights=None, input_shape=(*size, 3), classifier_activation=None)
        layout = []
        for layer in model.layers:
            short = [weight.name.split("/")[-1] for weight in layer.weights]
            shapes = [tuple(weight.shape) for weight in layer.weights]
            pairs = list(zip(short, shapes, strict=True))
            layer.set_weights([values(layer.name, weight, shape) for weight, shape in pairs])
            if pairs:
                layout.append((layer.name, pairs))
        image = np.random.RandomState(0).randint(0, 256, (1, *size, 3)).astype(np.uint8)
        watcher = tf.keras.Model(model.inputs, [model.output, *taps(name, model)])
        picture = tf.constant(image / np.float32(127.5) - 1)
        with tf.GradientTape() as tape:
            tape.watch(picture)
            logits, *maps = watcher(picture, training=False)
            total = tf.reduce_sum(logits * np.linspace(-1, 1, logits.shape[-1], dtype=np.float32))
        arrays = {f"tap{index}": some(value.numpy()) for index, value in enumerate(maps)}
        arrays["gradient"] = some(tape.gradient(total, picture).numpy())
        arrays |= {"image": image, "logits": logits.numpy(), "layout": np.array(json.dumps(layout))}
        arrays["parameters"] = np.array(model.count_params())
        np.savez_compressed(options.folder / f"{name}.npz", **arrays)
        print(f"{name}: {model.count_params()} parameters, {len(maps)} taps")


if __name__ == "__main__":
    main()
