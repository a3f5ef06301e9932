"""Classification: preparing pictures, what is refused, how often the real files are right."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from bitbrush.classify import (
    OwnClasses,
    imagenet_classes,
    knows_imagenet,
    own_classes,
    prepare,
    require_classifier,
    told_classes,
    top_classes,
)
from bitbrush.errors import InputError
from bitbrush.networks.registry import network_spec
from bitbrush.networks.taps import Network, Tap
from bitbrush.weights.bits import save_network
from bitbrush.weights.mxnet_params import read_mxnet_params
from bitbrush.weights.state_dict import read_state_dict

SHARED = Path(__file__).parents[1] / ".." / "shared"


def picture(path: Path) -> Tensor:
    with Image.open(path) as opened:
        pixels = np.array(opened.convert("RGB"))
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255


class Brightness(Network):
    """Logits that grow with the class number where the picture is bright, and fall where dark."""

    def __init__(self, classes: int = 1000, taps: tuple[str, ...] = ("logits",)) -> None:
        super().__init__("brightness", {tap: Tap(stride=0) for tap in taps})
        self.classes = classes

    def walk(self, x: Tensor, wanted: Collection[str]) -> Iterator[tuple[str, Tensor]]:
        assert x.shape[2:] == (224, 224)
        yield "logits", x.mean((1, 2, 3))[:, None] * torch.arange(self.classes) / 40


def test_the_classes_are_imagenets_in_order() -> None:
    classes = imagenet_classes()
    ids = [wordnet_id for wordnet_id, _ in classes]
    assert len(classes) == 1000 and ids == sorted(set(ids))
    assert classes[0] == ("n01440764", "tench") and classes[1][0] == "n01443537"


@pytest.mark.parametrize(("height", "width"), [(300, 400), (500, 260), (64, 64), (40, 7), (1, 9)])
def test_pictures_are_prepared_as_pillow_would(height: int, width: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    result = prepare(image)
    assert result.shape == (1, 3, 224, 224)
    if max(height, width) <= 4 * min(height, width):
        short = min(height, width)
        size = (width * 256 // short, height * 256 // short)
        left, top = (size[0] - 224) // 2, (size[1] - 224) // 2
        resized = Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR)
        expected = np.asarray(resized)[top : top + 224, left : left + 224]
        # Pillow rounds after each of its two passes.
        assert np.abs(result[0].permute(1, 2, 0).numpy() * 255 - expected).max() < 1.1


def test_a_long_strip_keeps_its_middle() -> None:
    image = torch.zeros(1, 3, 2, 20_000)
    image[..., 9_998:10_002] = 1
    assert prepare(image).mean() > 0.9


def test_imagenet_is_known_by_its_names(tmp_path: Path) -> None:
    def knows(**metadata: str) -> bool:
        path = tmp_path / "own.safetensors"
        save_network(Network("squeezenet", {}), path, metadata)
        return knows_imagenet("squeezenet", path)

    def named(*names: str) -> dict[str, str]:
        return told_classes(OwnClasses(names, 64))

    ids, english = zip(*imagenet_classes(), strict=True)
    assert knows() and knows(classes="1000") and not knows(classes="100")
    assert knows(**named(*ids)) and knows(**named(*english))
    # As many others, the same in another order, and a part of them.
    assert not knows(**named(*(f"brand {name}" for name in english)))
    assert not knows(**named(*ids[::-1])) and not knows(**named(*ids[:100]))
    (tmp_path / "torch.pth").write_bytes(b"PK")
    assert knows_imagenet("squeezenet", tmp_path / "torch.pth")
    assert knows_imagenet("squeezenet", None) and not knows_imagenet("quickbrush", None)
    with pytest.raises(InputError, match="own.safetensors is damaged"):
        knows(**{**named(*ids), "class-size": "large"})


def test_classes_come_best_first_with_their_probabilities() -> None:
    bright = top_classes(Brightness(), torch.ones(1, 3, 30, 50), 1000)
    assert [guess.wordnet_id for guess in bright] == [c[0] for c in reversed(imagenet_classes())]
    assert sum(guess.probability for guess in bright) == pytest.approx(1, abs=1e-5)
    (dark,) = top_classes(Brightness(), torch.zeros(1, 3, 30, 50), 1)
    assert (dark.wordnet_id, dark.name) == ("n01440764", "tench")
    black = -(0.485 / 0.229 + 0.456 / 0.224 + 0.406 / 0.225) / 3
    assert dark.probability == pytest.approx(1 - math.exp(black / 40), rel=1e-4)


def test_a_thousand_classes_of_ones_own_are_not_imagenets() -> None:
    own = OwnClasses(tuple(f"class {number}" for number in range(1000)), 224)
    (bright,) = top_classes(Brightness(), torch.ones(1, 3, 30, 50), 1, own)
    assert (bright.wordnet_id, bright.name) == (None, "class 999")


def test_fewer_classes_than_are_usually_named() -> None:
    own = OwnClasses(("cat", "dog"), 224)
    found = top_classes(Brightness(2), torch.ones(1, 3, 30, 50), own=own)
    assert [guess.name for guess in found] == ["dog", "cat"]
    with pytest.raises(InputError, match="1 to 2, not 3"):
        top_classes(Brightness(2), torch.ones(1, 3, 30, 50), 3, own)
    with pytest.raises(InputError, match="knows 3 classes, not 2"):
        top_classes(Brightness(3), torch.ones(1, 3, 30, 50), own=own)


def test_pictures_of_own_classes_are_seen_whole_at_their_size() -> None:
    seen: list[Tensor] = []

    class Watching(Brightness):
        def walk(self, x: Tensor, wanted: Collection[str]) -> Iterator[tuple[str, Tensor]]:
            seen.append(x)
            yield "logits", torch.zeros(1, 2)

    image = torch.zeros(1, 3, 40, 60)
    image[..., 10] = image[..., 49] = 1
    top_classes(Watching(2), image, own=OwnClasses(("cat", "dog"), 40))
    assert seen[0].shape == (1, 3, 40, 40)
    # The columns at both ends of the middle square.
    assert seen[0][0, 0, 0, [0, -1]].min() > seen[0][0, 0, 0, 1:-1].max()


def test_a_file_tells_its_classes() -> None:
    own = OwnClasses(("cat", "Löwe", "0"), 64)
    told = told_classes(own)
    assert own_classes(told, Path("a.safetensors")) == own
    assert own_classes({"classes": "3"}, Path("a.safetensors")) is None
    for damage in (
        {"class-names": "[["},
        {"class-names": "[" * 100_000},
        {"class-names": '["cat", "dog", 3]'},
        {"class-names": '["cat", "dog"]'},
        {"class-size": "-1"},
        {"class-size": "0"},
        {"class-size": "99999"},
    ):
        with pytest.raises(InputError, match=r"^a.safetensors is damaged"):
            own_classes(told | damage, Path("a.safetensors"))


def test_what_cannot_be_classified_is_refused() -> None:
    image = torch.ones(1, 3, 30, 50)
    for count in (0, 1001):
        with pytest.raises(InputError, match="1 to 1000"):
            top_classes(Brightness(), image, count)
    with pytest.raises(InputError, match="knows 10 classes"):
        top_classes(Brightness(10), image)
    with pytest.raises(InputError, match=r"no classifier.*resnet18-bmxnet-fp1.*squeezenet"):
        top_classes(Brightness(taps=("stem",)), image)
    with pytest.raises(InputError, match="vgg19-16x has no classifier") as caught:
        require_classifier("vgg19-16x")
    assert "quickbrush" not in str(caught.value) and "vgg19-16x," not in str(caught.value)
    with pytest.raises(InputError, match="did you mean 'squeezenet'"):
        require_classifier("sqeezenet")
    require_classifier("squeezenet")


BMXNET = "binarized_imagenet-resnet18-64bit"


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the folder ../shared")
@pytest.mark.parametrize(
    ("name", "file", "least"),
    [
        ("resnet18-bmxnet", f"{BMXNET}-0040.params", 52),
        ("resnet18-bmxnet-fp1", f"{BMXNET}-1st-stage-fullprecision-0038.params", 71),
        ("squeezenet", "squeezenet1_1_imagenet.safetensors", 69),
    ],
)
def test_published_weights_recognise_photographs(name: str, file: str, least: int) -> None:
    spec = network_spec(name)
    network = spec.build()
    path = SHARED / "weights" / file
    if file.endswith(".params"):
        state = spec.converter("mxnet_params")(read_mxnet_params(path), network)
    else:
        state = spec.converter("state_dict")(read_state_dict(path), network)
    network.load_state_dict(state, strict=True)
    network.settle()
    photographs = sorted((SHARED / "images" / "imagenet_sample").glob("*.jpg"))
    assert len(photographs) == 125
    right = sum(top_classes(network, picture(p), 1)[0].wordnet_id == p.stem for p in photographs)
    assert right >= least
