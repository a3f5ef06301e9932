"""Pictures, the loss of linear heads, and training that continues where it was."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bitbrush.errors import InputError
from bitbrush.networks.quickbrush import QuickBrush
from bitbrush.networks.vgg import Vgg, vgg19_16x
from bitbrush.train.distil import Recipe, distil
from bitbrush.train.heads import Heads, Target, best_head, missed_statistics, unexplained
from bitbrush.train.pictures import PictureCache, labelled_crops, random_crops
from bitbrush.weights.bits import read_network_file, save_network

ROOT = Path(__file__).parents[2]
RECIPE = Recipe(pictures=48, batch=4, size=32, scales=(0.8, 1.2), warm_up=2)


def picture(number: int, size: tuple[int, int]) -> Image.Image:
    random = np.random.default_rng(number)
    coarse = Image.fromarray(random.integers(0, 256, (6, 6, 3), dtype=np.uint8))
    return coarse.resize(size, Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(5):
        picture(number, (200 + number, 150)).save(folder / f"{number}.png")
    picture(9, (60, 60)).save(folder / "small.png")
    (folder / "broken.png").write_bytes(b"no picture")
    return folder


@pytest.fixture(scope="module")
def cache(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> PictureCache:
    return PictureCache.build([folder], tmp_path_factory.mktemp("cache") / "pictures.u8")


def trained(
    cache: PictureCache, checkpoint: Path | None, stop: int | None = None, recipe: Recipe = RECIPE
) -> QuickBrush:
    torch.manual_seed(3)
    student = QuickBrush(stem=8, widths=(64,), blocks=(1,))
    teacher = Vgg("teacher", (1, 1), (4, 8)).settle()
    targets = [
        Target("stem", teacher, "relu1_1", every=2),
        Target("stage1.block1", teacher, "relu2_1"),
    ]
    for step in distil(student, targets, cache, recipe, checkpoint, 3, autocast=False):
        if step.step == stop:
            break
    return student


def test_a_cache_holds_the_shrunken_pictures_and_leaves_out_the_rest(cache: PictureCache) -> None:
    assert len(cache) == 5
    assert cache[0].shape[0] == 128
    shrunken = picture(0, (200, 150)).resize((171, 128), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(cache[0], np.asarray(shrunken))


def test_an_interrupted_cache_is_made_anew(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "pictures.u8").write_bytes(b"half a cache")
    assert len(PictureCache.build([folder], tmp_path / "pictures.u8")) == 5


def test_a_parquet_file_holds_pictures_too(folder: Path, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = pyarrow.table({"image": [(folder / f"{n}.png").read_bytes() for n in range(3)]})
    parquet.write_table(table, tmp_path / "pictures.parquet")
    assert len(PictureCache.build([tmp_path / "pictures.parquet"], tmp_path / "p.u8")) == 3


def test_a_cache_tells_what_is_told_of_each_picture(folder: Path, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    files = [(folder / f"{n}.png").read_bytes() for n in range(4)]
    table = pyarrow.table({"image": files, "label": ["tree", None, "boat", "tree"]})
    parquet.write_table(table, tmp_path / "pictures.parquet")
    by_class = tmp_path / "by_class"
    for name, label in zip(("tree", ".", "boat", "tree"), range(4), strict=True):
        (by_class / name).mkdir(parents=True, exist_ok=True)
        (by_class / name / f"{label}.png").write_bytes(files[label])
    sources = [tmp_path / "pictures.parquet", by_class]
    cache = PictureCache.build(sources, tmp_path / "p.u8")
    assert cache.classes == 2
    # A folder is read in the order of its names: 1.png, boat, tree.
    assert cache.labels.tolist() == [1, -1, 0, 1, -1, 0, 1, 1]


def test_crops_go_with_their_labels(cache: PictureCache, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache.labels.tolist() == [-1] * 5 and cache.classes == 0
    random = np.random.default_rng(2)
    monkeypatch.setattr(cache, "labels", np.arange(5))
    images, labels = labelled_crops(cache, 64, 128, (1.0, 1.0), random)
    assert len(set(labels.tolist())) == 5
    middles = torch.stack([images[labels == label].mean((0, 2, 3)) for label in range(5)])
    for number, middle in enumerate(middles):
        whole = torch.from_numpy(cache[number].astype(np.float32) / 255).mean((0, 1))
        assert (middles - whole).norm(dim=1).argmin() == number, middle


def test_what_is_no_source_of_pictures_is_refused(tmp_path: Path) -> None:
    for source in (tmp_path / "missing.parquet", tmp_path):
        with pytest.raises(InputError):
            PictureCache.build([source], tmp_path / "cache.u8")


def test_crops_have_the_size_and_range_asked_for(cache: PictureCache) -> None:
    crops = random_crops(cache, 6, 48, (0.5, 2.0), np.random.default_rng(0))
    assert crops.shape == (6, 3, 48, 48)
    assert 0 <= float(crops.min()) < float(crops.max()) <= 1


def test_heads_begin_where_they_explain_most() -> None:
    torch.manual_seed(0)
    tap = torch.randn(3, 8, 10, 10)
    # A channel twice, and one that says nothing.
    tap = torch.cat([tap, tap[:, :1], torch.zeros(3, 1, 10, 10)], 1)
    truth = torch.nn.Conv2d(10, 5, 1)
    with torch.no_grad():
        torch.testing.assert_close(best_head(tap, truth(tap))(tap), truth(tap), atol=1e-2, rtol=0)


def test_what_no_head_explains() -> None:
    torch.manual_seed(0)
    images = torch.rand(4, 3, 32, 32)
    teacher = Vgg("teacher", (1,), (4,)).settle()
    # Of its own features everything is linear; of one channel in four, a part.
    shares = unexplained(teacher, [Target("relu1_1", teacher, "relu1_1")], images)
    assert shares["relu1_1"] < 1e-3
    student = QuickBrush(stem=8, widths=(64,), blocks=(1,)).eval()
    shares = unexplained(student, [Target("stem", teacher, "relu1_1")], images)
    assert 1e-3 < shares["relu1_1"] < 1


def test_heads_learn_with_the_network(cache: PictureCache) -> None:
    torch.manual_seed(0)
    student = QuickBrush(stem=8, widths=(64,), blocks=(1,))
    teacher = Vgg("teacher", (1,), (4,)).settle()
    recipe = Recipe(pictures=320, batch=4, size=32, warm_up=2, learning_rate=1e-2)
    target = [Target("stem", teacher, "relu1_1")]
    shares = [
        step.unexplained["relu1_1"]
        for step in distil(student, target, cache, recipe, autocast=False)
    ]
    assert 0.5 < np.mean(shares[:3]) < 1.5
    assert np.mean(shares[-10:]) < 0.6 * np.mean(shares[:3])


def test_statistics_that_are_missed() -> None:
    torch.manual_seed(0)
    wanted = torch.randn(6, 3, 40, 40) * torch.rand(6, 3, 1, 1) + torch.randn(6, 3, 1, 1)
    assert float(missed_statistics(wanted, wanted)) == 0
    # Where things are in the picture does not matter, which picture it is does.
    assert float(missed_statistics(wanted.flip(2).roll(7, 3), wanted)) < 1e-9
    assert float(missed_statistics(wanted.flip(0), wanted)) > 1
    # As whoever gives each picture the mean of the means, with the right covariances.
    means = wanted.mean((2, 3), keepdim=True)
    level = wanted - means + means.mean(0)
    torch.testing.assert_close(missed_statistics(level, wanted), torch.tensor(0.5))


def test_heads_tell_statistics_and_classes_where_they_are_asked() -> None:
    torch.manual_seed(0)
    images, labels = torch.rand(4, 3, 32, 32), torch.tensor([0, -1, 2, -1])
    student = QuickBrush(stem=8, widths=(64,), blocks=(1,)).eval()
    teacher = Vgg("teacher", (1, 1), (4, 8)).settle()
    targets = [Target("stem", teacher, "relu1_1"), Target("stage1.block1", teacher, "relu2_1")]
    plain = Heads(targets, student, images)(student, images, 0, labels=labels)
    assert plain.statistics == [] and plain.classes is None
    heads = Heads(targets, student, images, hidden=5, classes=3)
    losses = heads(student, images, 0, statistics=True, labels=labels)
    # What a hidden layer adds is nothing, at first.
    torch.testing.assert_close(losses.features, plain.features)
    assert len(losses.statistics) == 2 and all(each.item() > 0 for each in losses.statistics)
    logits = heads.classifier(student(images, ["stage1.block1"])["stage1.block1"].mean((2, 3)))
    chances = torch.softmax(logits, 1)
    entropy = -(chances[0, 0].log() + chances[2, 2].log()) / (4 * np.log(3))
    torch.testing.assert_close(losses.classes, entropy)


def test_what_is_asked_of_training_changes_it(
    cache: PictureCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ends(**asked: float) -> torch.Tensor:
        short = replace(RECIPE, pictures=12, **asked)  # type: ignore[arg-type]
        return trained(cache, None, recipe=short).stem.weight.detach().clone()

    monkeypatch.setattr(cache, "labels", np.arange(5) % 2)
    monkeypatch.setattr(cache, "classes", 2)
    plain = ends()
    for asked in ({"hidden": 8}, {"statistics": 1.0}, {"classes": 1.0}, {"average": 0.5}):
        assert not torch.equal(ends(**asked), plain), asked


def test_classes_cannot_be_learned_from_pictures_without(cache: PictureCache) -> None:
    with pytest.raises(InputError, match="classes"):
        trained(cache, None, recipe=replace(RECIPE, classes=1.0))


@pytest.mark.parametrize("average", [0.0, 0.8])
def test_training_continues_to_the_same_network(
    cache: PictureCache, tmp_path: Path, average: float
) -> None:
    recipe = replace(RECIPE, average=average)
    whole = trained(cache, None, recipe=recipe)
    checkpoint = tmp_path / "checkpoint.pth"
    trained(cache, checkpoint, stop=7, recipe=recipe)
    resumed = trained(cache, checkpoint, recipe=recipe)
    for (name, ours), theirs in zip(
        whole.state_dict().items(), resumed.state_dict().values(), strict=True
    ):
        assert torch.equal(ours, theirs), name
    latent = resumed.stages[0][0].conv.weight  # type: ignore[index, union-attr]
    assert float(latent.detach().abs().max()) <= 1.25


def test_a_checkpoint_of_another_recipe_is_refused(cache: PictureCache, tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.pth"
    trained(cache, checkpoint, stop=3)
    student = QuickBrush(stem=8, widths=(64,), blocks=(1,))
    teacher = Vgg("teacher", (1,), (4,)).settle()
    other = Recipe(pictures=48, batch=8, size=32)
    with pytest.raises(InputError, match="another recipe"):
        next(distil(student, [Target("stem", teacher, "relu1_1")], cache, other, checkpoint))


@pytest.mark.slow
def test_the_program_trains_and_packs_a_network_with_its_card(folder: Path, tmp_path: Path) -> None:
    teacher = tmp_path / "teacher.safetensors"
    save_network(vgg19_16x(), teacher, {"source": "random", "licence": "MIT"})
    done = subprocess.run(
        [sys.executable, "train/quickbrush.py", "--data", folder, "--teacher", "vgg19-16x"]
        + ["--pictures", "64", "-o", tmp_path / "run"],
        cwd=ROOT,
        env={"BITBRUSH_WEIGHTS": f"vgg19-16x={teacher}", "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    _, metadata = read_network_file(tmp_path / "run" / "quickbrush.safetensors")
    assert metadata["network"] == "quickbrush"
    card = (tmp_path / "run" / "quickbrush.md").read_text()
    assert "pictures 64" in card and "relu5_1" in card


def test_a_program_without_pictures_says_so_in_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "train/quickbrush.py", "--data", tmp_path, "--teacher", "vgg19-17x"]
        + ["-o", tmp_path / "run"],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "did you mean 'vgg19-16x'" in done.stderr.splitlines()[-1]
