"""Writes what larq's quantizers give, and their gradients: tests/golden/quantizers.npz.

Runs where tensorflow-cpu 2.15, larq 0.14 and larq-zoo 2.4.0 are installed, not bitbrush:

    python tools/goldens/quantizers.py tests/golden/quantizers.npz

For activations, x holds 0, both zeros' neighbours, the clip points with the floats beside them,
and magnitudes to 1e4; kernels are H, W, I, O. Upstream gradients are random, and no two equal.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import larq as lq
import numpy as np
import tensorflow as tf
from larq_zoo.literature.dorefanet import magnitude_aware_sign_unclipped
from larq_zoo.literature.xnornet import xnor_weight_scale

EDGES = (0.05, 1 / 6, 0.25, 0.5, 5 / 6, 1.0, 1.25, 1.3, 2.0)
"""Clips, thresholds and rounding points, each taken with the floats on both sides."""

ACTIVATIONS: dict[str, Callable[[tf.Tensor], tf.Tensor]] = {
    "ste_0.5": lq.quantizers.SteSign(clip_value=0.5),
    "ste_1": lq.quantizers.SteSign(clip_value=1.0),
    "ste_1.25": lq.quantizers.SteSign(clip_value=1.25),
    "ste_1.3": lq.quantizers.SteSign(clip_value=1.3),
    "identity": lq.quantizers.SteSign(clip_value=None),
    "approx": lq.quantizers.ApproxSign(),
    "swish": lq.quantizers.SwishSign(),
    "swish_width_2": lq.quantizers.SwishSign(beta=2.5),
    "heaviside": lq.quantizers.SteHeaviside(clip_value=1.0),
    "ternary": lq.quantizers.SteTern(),
    "ternary_wide": lq.quantizers.SteTern(threshold_value=0.25, clip_value=1.3),
    "dorefa_1": lq.quantizers.DoReFa(k_bit=1),
    "dorefa_2": lq.quantizers.DoReFa(k_bit=2),
    "dorefa_4": lq.quantizers.DoReFa(k_bit=4),
}
KERNELS: dict[str, Callable[[tf.Tensor], tf.Tensor]] = {
    "magnitude": lq.quantizers.MagnitudeAwareSign(clip_value=1.0),
    "magnitude_1.3": lq.quantizers.MagnitudeAwareSign(clip_value=1.3),
    "magnitude_unclipped": lq.quantizers.MagnitudeAwareSign(clip_value=None),
    "magnitude_layer": magnitude_aware_sign_unclipped,
    "xnor": xnor_weight_scale,
    "ternary_relative": lq.quantizers.SteTern(ternary_weight_networks=True),
    "dorefa_weights_1": lq.quantizers.DoReFa(k_bit=1, mode="weights"),
    "dorefa_weights_2": lq.quantizers.DoReFa(k_bit=2, mode="weights"),
    "dorefa_weights_4": lq.quantizers.DoReFa(k_bit=4, mode="weights"),
}


def grid() -> np.ndarray:
    """Ascending float32 values, with both zeros."""
    edges = np.array([side * edge for edge in EDGES for side in (-1, 1)], np.float32)
    beside = [np.nextafter(edges, np.float32(to)) for to in (-np.inf, np.inf)]
    powers = np.logspace(-6, 4, 41, dtype=np.float32)
    parts = [edges, *beside, powers, -powers, np.linspace(-2, 2, 201, dtype=np.float32)]
    return np.concatenate([np.sort(np.concatenate(parts)), np.array([0.0, -0.0], np.float32)])


def apply(
    quantizer: Callable[[tf.Tensor], tf.Tensor], x: np.ndarray, upstream: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What the quantizer gives, and the gradient to x."""
    value = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(value)
        result = quantizer(value)
    return result.numpy(), tape.gradient(result, value, upstream).numpy()


def main() -> None:
    rng = np.random.default_rng(0)
    x = grid()
    kernel = rng.normal(0, 0.8, (3, 3, 5, 4)).astype(np.float32)
    # An exact zero, the clip on both sides, and a weight far beyond it.
    kernel[0, 0, :4, 1] = (0, 1, -1, 20)
    arrays = {
        "x": x,
        "x_upstream": rng.normal(0, 1, x.shape).astype(np.float32),
        "kernel": kernel,
        "kernel_upstream": rng.normal(0, 1, kernel.shape).astype(np.float32),
    }
    for source, quantizers in (("x", ACTIVATIONS), ("kernel", KERNELS)):
        for name, quantizer in quantizers.items():
            value, gradient = apply(quantizer, arrays[source], arrays[f"{source}_upstream"])
            arrays[f"{name}/value"] = value
            arrays[f"{name}/gradient"] = gradient
    np.savez_compressed(sys.argv[1], **arrays)


if __name__ == "__main__":
    main()
