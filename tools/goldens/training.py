"""Writes what larq's Bop and flip ratio give over some steps: tests/golden/training.npz.

Runs where tensorflow-cpu 2.15 and larq 0.14 are installed, not bitbrush:

    python tools/goldens/training.py tests/golden/training.npz
"""

from __future__ import annotations

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import larq as lq
import numpy as np
import tensorflow as tf

STEPS = 12
SETTINGS = {"default": (1e-8, 1e-4), "slow": (1e-3, 1e-2), "never": (10.0, 0.5)}
"""threshold and gamma"""


def main() -> None:
    rng = np.random.default_rng(0)
    start = np.sign(rng.normal(0, 1, (6, 7))).astype(np.float32)
    gradients = rng.normal(0, 1, (STEPS, 6, 7)).astype(np.float32)
    # A gradient of exactly 0 moves nothing; its moving average stays at the threshold's side.
    gradients[:, 0, 0] = 0
    arrays = {"start": start, "gradients": gradients}
    for name, (threshold, gamma) in SETTINGS.items():
        weight = tf.Variable(start)
        bop = lq.optimizers.Bop(threshold=threshold, gamma=gamma)
        ratio = lq.metrics.FlipRatio()
        ratio.update_state(weight)
        weights, ratios = [], []
        for gradient in gradients:
            bop.apply_gradients([(tf.constant(gradient), weight)])
            ratio.update_state(weight)
            weights.append(weight.numpy())
            ratios.append(float(ratio.result()))
        arrays[f"{name}/weights"] = np.stack(weights)
        arrays[f"{name}/flip_ratio"] = np.array(ratios, np.float32)
    np.savez_compressed(sys.argv[1], **arrays)


if __name__ == "__main__":
    main()
