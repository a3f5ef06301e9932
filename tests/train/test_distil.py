"""Pictures, the loss of linear heads, and training that continues where it was."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bitbrush.errors import InputError
from bitbrush.networks.quickbrush import QuickBrush
from bitbrush.networks.vgg import Vgg, vgg19_16x
from bitbrush.train.distil import Recipe, distil
from bitbrush.train.heads import Target, best_head, unexplained
from bitbrush.train.pictures import PictureCache, random_crops
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


def trained(cache: PictureCache, checkpoint: Path | None, stop: int | None = None) -> QuickBrush:
    torch.manual_seed(3)
    student = QuickBrush(stem=8, widths=(64,), blocks=(1,))
    teacher = Vgg("teacher", (1, 1), (4, 8)).settle()
    targets = [
        Target("stem", teacher, "relu1_1", every=2),
        Target("stage1.block1", teacher, "relu2_1"),
    ]
    for step in distil(student, targets, cache, RECIPE, checkpoint, 3, autocast=False):
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


def test_training_continues_to_the_same_network(cache: PictureCache, tmp_path: Path) -> None:
    whole = trained(cache, None)
    checkpoint = tmp_path / "checkpoint.pth"
    trained(cache, checkpoint, stop=7)
    resumed = trained(cache, checkpoint)
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
