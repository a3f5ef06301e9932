"""Larq and its compute engine, timed on request. Run by the Python of *their* environment.

Nothing of bitbrush is imported: TensorFlow 2.15, larq 0.14, larq-zoo 2.4 and larq-compute-engine
0.16 want an environment of their own. One JSON object a line comes in on stdin, and one goes out on
stdout for each:

    {"load": "network", "size": px, "threads": n}                    makes contestants: their names
    {"load": "step", "size": px, "threads": n}                       the same, of a step alone
    {"load": "convolution", "channels": n, "side": px, "threads": n} the same, of one layer
    {"run": name}    runs a contestant once: its seconds
    {"grow": name}   runs it five times: what that added to the resident memory at its highest
"""

from __future__ import annotations

import importlib
import json
import os
import statistics
import sys
import time
from typing import Any

LCE_THREADS = (1, 2)
STEPS = 5


class Peer:
    """The contestants that were made, by name."""

    def __init__(self) -> None:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        # Not the ordinary statement: where bitbrush is checked, none of these is installed.
        self.tf: Any = importlib.import_module("tensorflow")
        self.larq: Any = importlib.import_module("larq")
        self.zoo: Any = importlib.import_module("larq_zoo")
        self.lce: Any = importlib.import_module("larq_compute_engine")
        self.interpreter: Any = importlib.import_module(
            "larq_compute_engine.tflite.python.interpreter"
        )
        self.works: dict[str, Any] = {}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        if "run" in request:
            work = self.works[request["run"]]
            # As `timing.steady` does: it is timed in the midst of such work.
            work()
            started = time.perf_counter()
            work()
            return {"seconds": time.perf_counter() - started}
        if "grow" in request:
            return self.grow(self.works[request["grow"]])
        self.tf.keras.backend.clear_session()
        self.works = getattr(self, request.pop("load"))(**request)
        return {"contestants": list(self.works), "versions": self.versions()}

    def versions(self) -> dict[str, str]:
        metadata = importlib.import_module("importlib.metadata")
        names = ("tensorflow", "larq", "larq-zoo", "larq-compute-engine")
        return {name: metadata.version(name) for name in names}

    def grow(self, work: Any) -> dict[str, Any]:
        before = _status("VmRSS")
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
        seconds = []
        for _ in range(STEPS):
            started = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - started)
        return {"growth": _status("VmHWM") - before, "seconds": statistics.median(seconds)}

    def step(self, size: int, threads: int) -> dict[str, Any]:
        """A step of painting by TensorFlow, with larq-zoo's QuickNet, that has not run yet."""
        model = self.zoo.sota.QuickNet(weights=None, input_shape=(size, size, 3))
        picture = self.tf.random.uniform((1, size, size, 3), seed=0)
        step = self._step(model)
        return {"TensorFlow, step": lambda: step(picture).numpy()}

    def network(self, size: int, threads: int) -> dict[str, Any]:
        """larq-zoo's QuickNet: forward by both, and a step of painting by TensorFlow."""
        model = self.zoo.sota.QuickNet(weights=None, input_shape=(size, size, 3))
        picture = self.tf.random.uniform((1, size, size, 3), seed=0)
        works = self._converted(model, picture.numpy())
        forward = self.tf.function(lambda x: model(x, training=False))
        works["TensorFlow, forward"] = lambda: forward(picture).numpy()
        return works | self.step(size, threads)

    def convolution(self, channels: int, side: int, threads: int) -> dict[str, Any]:
        """Sign, one-bit 3x3 convolution, batch norm."""
        layers = self.tf.keras.layers
        model = self.tf.keras.Sequential(
            [
                layers.InputLayer((side, side, channels)),
                self.larq.layers.QuantConv2D(
                    channels,
                    3,
                    padding="same",
                    pad_values=1.0,
                    input_quantizer="ste_sign",
                    kernel_quantizer="ste_sign",
                    use_bias=False,
                ),
                layers.BatchNormalization(),
            ]
        )
        picture = self.tf.random.normal((1, side, side, channels), seed=0).numpy()
        return self._converted(model, picture)

    def _converted(self, model: Any, picture: Any) -> dict[str, Any]:
        buffer = self.lce.convert_keras_model(model)
        works = {}
        for count in LCE_THREADS:
            made = self.interpreter.Interpreter(buffer, num_threads=count)
            works[f"LCE, {count} thread{'s' * (count > 1)}"] = lambda m=made: m.predict(picture)
        return works

    def _step(self, model: Any) -> Any:
        tf = self.tf
        maps = [layer.output for layer in model.layers]
        # The stem's end is what the first block adds to; a stage's is the last sum of its size.
        adds = [m for layer, m in zip(model.layers, maps) if "add" in layer.name]  # noqa: B905
        stages = {each.shape[1]: each for each in adds}
        taps = tf.keras.Model(model.input, [adds[0].node.keras_inputs[-1], *stages.values()])

        def moments(each: Any) -> Any:
            flat = tf.reshape(each, (-1, each.shape[-1]))
            mean = tf.reduce_mean(flat, 0)
            centred = flat - mean
            count = tf.cast(tf.shape(flat)[0], tf.float32)
            return mean, tf.matmul(centred, centred, transpose_a=True) / count

        style = [
            (tf.zeros(each.shape[-1]), tf.zeros((each.shape[-1], each.shape[-1])))
            for each in taps.outputs
        ]

        @tf.function  # type: ignore[untyped-decorator]
        def step(x: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(x)
                loss = 0.0
                for each, (mean, matrix) in zip(taps(x, training=False), style):  # noqa: B905
                    ours, products = moments(each)
                    loss += tf.reduce_sum((ours - mean) ** 2)
                    loss += tf.reduce_sum((products - matrix) ** 2)
            return tape.gradient(loss, x)

        return step


def _status(name: str) -> int:
    with open("/proc/self/status") as file:
        (value,) = (line.split()[1] for line in file if line.startswith(name + ":"))
    return int(value) * 1024


def main() -> None:
    # What the libraries print is not an answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    peer: Peer | None = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if peer is None:
                peer = Peer()
                threads = int(request.get("threads", 1))
                peer.tf.config.threading.set_intra_op_parallelism_threads(threads)
            reply = peer.answer(request)
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), file=answers, flush=True)


if __name__ == "__main__":
    main()
