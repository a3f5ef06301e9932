"""Painting, from two pictures to a third."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import platform
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import torch
from torch import Tensor

from .. import __version__
from ..errors import InputError
from ..images import Picture, resize, write_image
from ..networks.taps import Network
from ..weights.loading import WeightsInfo, load_network, resolve_weights
from .colour import with_colours_of
from .defaults import resolved
from .job import Job
from .loop import Step, painting_steps
from .memory import check_memory
from .settings import INITS, PaintSettings, make_settings
from .sources import Source, as_init, as_picture, as_style
from .state import State


@dataclass(frozen=True)
class Painting:
    """A finished (or interrupted) painting.

    Attributes:
        image: sRGB [1, 3, H, W] in [0, 1].
        alpha: the content's opacity [1, 1, H, W], or None.
        settings: as they were given.
        losses: what each named term contributed at the last step.
        history: the loss after each step.
        metadata: what goes into the file: settings, names and hashes, never a path.
        dpi: pixels per inch, noted in the file; None: nothing is said of them.
    """

    image: Tensor
    alpha: Tensor | None
    settings: PaintSettings
    losses: Mapping[str, float]
    history: Sequence[float]
    metadata: Mapping[str, Any]
    dpi: int | None = None

    def save(self, path: Path | str) -> None:
        """Writes PNG, JPEG, WebP or TIFF by the ending, with the metadata.

        Raises:
            InputError: the file cannot be written.
        """
        write_image(self.image, path, self.metadata, self.alpha, self.dpi)


class Session:
    """A painting from its sources to its end, step by step.

    Attributes:
        content, styles: the pictures that were read.
        settings: as given; `job.settings` has the defaults filled in.
        weights: which weights the network has.
        threads: CPU threads that it computes with.
    """

    def __init__(
        self,
        content: Source,
        styles: Sequence[Source],
        settings: PaintSettings,
        network: Network | None = None,
    ) -> None:
        """Reads pictures and network, and makes sure that the painting can be made.

        Args:
            network: settled, to paint with instead of loading the one that the settings name.
        Raises:
            InputError: a picture, the network's weights or a setting is no good, or there is not
                enough memory; `NetworkMissingError` where weights have to be fetched.
        """
        self.settings = settings
        self.threads = settings.threads or _usual.threads()
        with threads(self.threads):
            self._load(content, styles, network)

    def _load(self, content: Source, styles: Sequence[Source], network: Network | None) -> None:
        settings = self.settings
        full = resolved(settings, network)
        self.content = as_picture(content)
        self.styles = [as_style(style, full.style_size or full.size) for style in styles]
        self.init = as_init(settings.init, self.content)
        self.weights: WeightsInfo
        if network is None:
            self.weights = resolve_weights(full.network, full.weights)
            network = load_network(
                full.network,
                full.weights,
                engine=full.engine,
                device=full.device,
                pooling=full.pooling,  # type: ignore[arg-type]
                precision=full.precision,
            )
        else:
            self.weights = WeightsInfo(network.name, "given", None, weights_hash(network))
        self.job = Job(
            content=self.content.rgb,
            styles=[style.rgb for style in self.styles],
            network=network,
            settings=full,
            init=None if self.init is None else self.init.rgb,
        )
        self.scales = self.job.scales()
        check_memory(self.job)

    def steps(self, state: State | None = None) -> Generator[Step, None, None]:
        """The steps of the painting, from the beginning or from a state."""
        steps = painting_steps(self.job, state)
        del state  # its pictures would stay to the end
        with threads(self.threads):
            yield from steps

    def run(self) -> dict[str, Any]:
        """All that decides about the result: two runs with equal values give the same picture."""
        settings = dataclasses.asdict(self.job.settings)
        settings["style_weights"] = list(self.job.settings.style_weights)
        for name in ("weights", "init", "threads", "engine", "precision"):
            del settings[name]
        return {
            "bitbrush": __version__,
            "torch": torch.__version__,
            "machine": platform.machine(),
            "engine": self.job.network.engine,
            "precision": self.job.network.precision,
            "threads": self.threads,
            "weights": self.weights.sha256,
            "content": self.content.sha256,
            "styles": [style.sha256 for style in self.styles],
            "init": self.settings.init if self.init is None else self.init.sha256,
            "settings": settings,
        }

    def output_size(self) -> tuple[int, int]:
        """Height and width in pixels of the finished picture."""
        return self.scales[-1].height, self.scales[-1].width

    def painting(self, step: Step) -> Painting:
        """The picture as it stands after a step."""
        return self.finished(step.picture(), step.losses, step.history, step.done, step.steps)

    def finished(
        self,
        image: Tensor,
        losses: Mapping[str, float],
        history: Sequence[float],
        done: int,
        steps: int,
    ) -> Painting:
        """A painting of this session from a canvas of any scale and what happened on the way."""
        height, width = self.scales[-1].height, self.scales[-1].width
        image = resize(image, height, width)
        if self.settings.preserve_colours == "luminance":
            image = with_colours_of(image, resize(self.content.rgb, height, width))
        alpha = self.content.alpha
        given = dataclasses.asdict(self.settings)
        given["weights"] = self._file_name(given["weights"], self.weights.file_name)
        given["init"] = self._file_name(given["init"], self.init.name if self.init else None)
        run = self.run()
        metadata = {
            "bitbrush": __version__,
            "command": "paint",
            "content": _source(self.content),
            "styles": [_source(style) for style in self.styles],
            "init": None if self.init is None else _source(self.init),
            "weights_sha256": self.weights.sha256,
            "weights_origin": self.weights.origin,
            "settings": given,
            "resolved": run["settings"],
            "engine": run["engine"],
            "precision": run["precision"],
            "threads": run["threads"],
            "torch": run["torch"],
            "run": run_hash(run),
            "width": width,
            "height": height,
            "steps_done": done,
            "steps": steps,
            "losses": dict(losses),
        }
        return Painting(
            image=image,
            alpha=None if alpha is None else resize(alpha, height, width),
            settings=self.settings,
            losses=dict(losses),
            history=list(history),
            metadata=metadata,
        )

    @staticmethod
    def _file_name(value: str, name: str | None) -> str:
        # Paths stay on the machine they belong to.
        return value if value in ("default", "none", *INITS) or name is None else name


def weights_hash(network: Network) -> str:
    """SHA-256 in hex of a network's parameters and statistics, and of their names."""
    digest = hashlib.sha256()
    packed = [
        (f"{name}.filters", module.filters.words)
        for name, module in network.named_modules()
        if hasattr(module, "filters")
    ]
    # Buffers that are not in its state, and packed bits, decide about pictures too.
    for name, value in [*network.named_parameters(), *network.named_buffers(), *packed]:
        digest.update(f"{name} {value.dtype} {list(value.shape)}\n".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def run_hash(run: Mapping[str, Any]) -> str:
    """SHA-256 in hex of what decides about a result, but for the threads."""
    same = {key: value for key, value in run.items() if key != "threads"}
    return hashlib.sha256(json.dumps(same, sort_keys=True).encode()).hexdigest()


def _source(picture: Picture) -> dict[str, str]:
    return {"name": picture.name, "sha256": picture.sha256}


class _Usual:
    """The number of threads that torch has while nobody paints.

    What is set in one Python thread is what new ones begin with, so that of two paintings at a time
    each would take the other's for the usual one, and leave it so.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._count, self._painting = 0, 0

    def threads(self) -> int:
        with self._lock:
            return self._count if self._painting else torch.get_num_threads()

    @contextmanager
    def kept(self) -> Iterator[None]:
        with self._lock:
            if not self._painting:
                self._count = torch.get_num_threads()
            self._painting += 1
        try:
            yield
        finally:
            with self._lock:
                self._painting -= 1
                if not self._painting:
                    torch.set_num_threads(self._count)


_usual = _Usual()


@contextmanager
def threads(count: int) -> Iterator[None]:
    """torch computes with so many CPU threads inside, as before outside."""
    before = torch.get_num_threads()
    with _usual.kept():
        torch.set_num_threads(count)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def paint(content: Source, style: Source | Sequence[Source], **settings: Any) -> Painting:
    """Paints the content in the manner of the style.

    Args:
        content: a path, PIL image, array or tensor; see `sources.as_picture`.
        style: the same, or the name of a built-in style, or a list of several.
        settings: fields of `PaintSettings`, by name; `network` may also be a `Network`, which
            brings its weights, engine and device along.
    Returns:
        the painting, whose long edge is `size` pixels.
    Raises:
        InputError: a picture, setting or network that is no good.
        PaintingError: a loss became infinite; the last good picture is its `picture`.
    """
    styles: list[Any] = list(style) if isinstance(style, (list, tuple)) else [style]
    network = settings.get("network")
    given = network if isinstance(network, Network) else None
    if given is not None:
        for option in ("weights", "engine", "device", "pooling", "precision"):
            if option in settings:
                raise InputError(f"{option} is the given network's own; it cannot be set beside it")
        settings = {**settings, "network": given.name}
    session = Session(content, styles, make_settings(settings), given)
    started = time.monotonic()
    last: Step | None = None
    painting: Painting | None = None
    for last in session.steps():
        if last.done >= last.steps:
            painting = session.painting(last)
    if painting is None or last is None:
        raise InputError("a painting needs at least one step")
    seconds = time.monotonic() - started
    return dataclasses.replace(painting, metadata={**painting.metadata, "seconds": seconds})
