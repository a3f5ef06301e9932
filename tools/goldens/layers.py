"""Writes what Keras' padding and pools and larq's convolutions give: tests/golden/layers.npz.

Runs where tensorflow-cpu 2.15 and larq 0.14 are installed, not bitbrush:

    python tools/goldens/layers.py tests/golden/layers.npz

Keys are the case, with its numbers: size, kernel, stride, and for larq's convolutions the padding
value. All arrays are N, H, W, C, the maps twice as wide as high less one.
"""

from __future__ import annotations

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import larq as lq
import numpy as np
import tensorflow as tf


def main() -> None:
    rng = np.random.default_rng(0)
    arrays = {}
    for size in (5, 6, 7, 8):
        x = rng.normal(0, 1, (1, size, 2 * size - 1, 2)).astype(np.float32)
        arrays[f"map_{size}"] = x
        for window, stride in ((2, 2), (3, 2), (3, 1)):
            case = f"{size}_{window}_{stride}"
            arrays[f"max_{case}"] = tf.nn.max_pool2d(x, window, stride, "SAME").numpy()
            arrays[f"average_{case}"] = tf.nn.avg_pool2d(x, window, stride, "SAME").numpy()
    for window in (3, 5, 11):
        kernel = rng.normal(0, 1, (window, window, 2, 2)).astype(np.float32)
        arrays[f"kernel_{window}"] = kernel
        for size in (5, 6, 7, 8):
            for stride in (1, 2, 4):
                found = tf.nn.conv2d(arrays[f"map_{size}"], kernel, stride, "SAME")
                arrays[f"conv_{size}_{window}_{stride}"] = found.numpy()
    for size in (6, 7):
        for stride in (1, 2):
            for value in (-1, 0, 1):
                layer = lq.layers.QuantConv2D(
                    2,
                    3,
                    stride,
                    "same",
                    pad_values=float(value),
                    input_quantizer="ste_sign",
                    kernel_quantizer="ste_sign",
                    kernel_constraint="weight_clip",
                    use_bias=False,
                )
                layer.build((1, size, 2 * size - 1, 2))
                layer.set_weights([arrays["kernel_3"]])
                arrays[f"quant_{size}_{stride}_{value}"] = layer(arrays[f"map_{size}"]).numpy()
    np.savez_compressed(sys.argv[1], **arrays)


if __name__ == "__main__":
    main()
