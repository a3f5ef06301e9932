"""`bitbrush train`: classifiers, one-bit and float, trained here."""

from __future__ import annotations

import shlex
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..atomic import make_folder, write_atomically
from ..choices import ENGINES
from ..errors import InputError, unknown_name
from .app import app, options
from .engine_notes import compile_kernels
from .progress import progress
from .signals import Interruptions

if TYPE_CHECKING:
    from ..networks.taps import Network
    from ..train.classifier import Training
    from ..train.labelled import Labelled
    from ..train.recipes import ClassifierRecipe

CHECKPOINT = "checkpoint.pth"
"""In the folder of everything made."""

train = typer.Typer(help="Train classifiers, one-bit and float.")
app.add_typer(train, name="train")

Output = Annotated[
    Path, typer.Option("--output", "-o", help="Folder of everything made.", show_default=False)
]
Engine = Annotated[
    str,
    typer.Option(
        help="How one-bit convolutions of 3x3 are computed: packed, on bits, with gradients of "
        "8-bit integers; float; or auto: packed where the CPU multiplies those.",
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of weights, order and shifts.")]


@train.command("cifar10-binarynet")
def cifar10_binarynet(
    data: Annotated[
        Path,
        typer.Option(
            help="CIFAR-10: the training parquet file, a folder with train and test, or "
            "cifar-10-binary.tar.gz.",
            show_default=False,
        ),
    ],
    output: Output,
    test: Annotated[
        Path | None,
        typer.Option(
            help="The test parquet file.", show_default="the training file's name with test in it"
        ),
    ] = None,
    recipe: Annotated[
        str, typer.Option(help="larq: as in its documentation; better: with augmentation.")
    ] = "better",
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs.", show_default="the recipe's, 100")
    ] = None,
    hours: Annotated[
        float,
        typer.Option(
            help="Most hours, all runs together; better's schedule is shortened to fit, larq's "
            "is cut off."
        ),
    ] = 10.0,
    hold_out: Annotated[
        int,
        typer.Option(
            min=0, help="Training pictures kept apart for the curve; they choose nothing."
        ),
    ] = 1000,
    width: Annotated[
        float, typer.Option(help="Share of the channels, a multiple of 1/16; 1 is larq's network.")
    ] = 1.0,
    twin: Annotated[
        bool, typer.Option("--float", help="Train the float twin, into the folder's 'float'.")
    ] = False,
    engine: Engine = "auto",
    seed: Seed = 0,
) -> None:
    """Train larq's BinaryNet on CIFAR-10, or continue.

    The test pictures are looked at once, after the last step; again only for other weights or with
    other test pictures. With --float as well as without, table.md then compares the one-bit network
    and its float twin.
    """
    from ..networks.cifar10_binarynet import SIZE
    from ..train.cifar10 import read_cifar10
    from ..train.classifier import digest, score
    from ..train.comparison import read_result, result_of, write_result
    from ..train.labelled import held_out
    from ..train.recipes import check_limits, recipe_of
    from ..weights.download import file_sha256

    chosen = recipe_of(recipe, epochs, seed)
    check_limits(chosen, hours)
    folder = output / "float" if twin else output
    _check(engine)
    network = _binarynet(width, seed, one_bit=not twin)
    packed = _packs(network, engine)
    with progress("decoding") as bar:
        pictures, tested = read_cifar10(data, test, lambda count: bar.update(count))
    kept, aside = held_out(pictures, hold_out, seed)
    del pictures  # which would be in memory twice
    training = _training(network, kept, aside, chosen, folder, hours, SIZE, packed)
    _run(training, folder, network.name)
    source = {"source": "trained by bitbrush", "data": "CIFAR-10", "recipe": chosen.name}
    weights = file_sha256(_save(network, folder, source | {"width": f"{width:g}"}))
    test_set = digest(tested)
    result = read_result(folder / "result.json")
    if result is None or not result.is_of(weights, test_set):
        with progress("testing"):
            found = score(network, tested, SIZE, training.autocast)
        last, planned = training.points[-1], chosen.epochs
        result = result_of(chosen.name, width, planned, len(kept), last, found, weights, test_set)
        write_result(result, folder / "result.json")
    _compare(output, width, test_set)


@train.command()
def classifier(
    network: Annotated[
        str, typer.Argument(help="A network with a classifier, by name.", show_default=False)
    ],
    data: Annotated[
        Path,
        typer.Option(
            help="Labelled pictures: a parquet file with image, label and perhaps split, or a "
            "folder with one for each class, perhaps in train and val.",
            show_default=False,
        ),
    ],
    output: Output,
    hours: Annotated[
        float | None,
        typer.Option(help="How long to train, all runs together.", show_default=False),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(min=1, help="At most so many epochs.", show_default="until the time is over"),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            min=8,
            help="Side in pixels at which the network sees the pictures.",
            show_default="the first picture's short side, at most 224, or the only one that the "
            "network takes",
        ),
    ] = None,
    engine: Engine = "auto",
    seed: Seed = 0,
) -> None:
    """Train a network as a classifier of other pictures, from random weights, or continue.

    Without a split in the data, a tenth of the pictures is kept for validation.
    """
    from ..classify import OwnClasses, require_classifier, told_classes
    from ..train.own import fresh, splits, title_of, validated, write_card
    from ..train.recipes import SCRATCH, check_limits, with_epochs
    from ..weights.bits import TITLE

    # Before anything is decoded: a wrong name or number is to be told at once.
    require_classifier(network)
    chosen = with_epochs(SCRATCH, epochs, seed)
    check_limits(chosen, hours)
    _check(engine)
    read, fed = _decoded(data, network, size, output / CHECKPOINT)
    kept, aside = splits(read, data, seed)
    del read  # which would be in memory twice
    made = fresh(network, len(kept.classes), seed)
    packed = _packs(made, engine)
    training = _training(made, kept, aside, chosen, output, hours, fed, packed)
    _run(training, output, network)
    with progress("validating"):
        found = validated(training)
    told = {"source": "trained by bitbrush", "data": data.name, TITLE: title_of(training, found)}
    weights = _save(made, output, told | told_classes(OwnClasses(kept.classes, fed)))
    command = shlex.join(["bitbrush", *sys.argv[1:]])
    print(write_card(training, found, weights, output / f"{network}.md", data.name, command))


def _decoded(
    data: Path, network: str, size: int | None, checkpoint: Path
) -> tuple[dict[str, Labelled], int]:
    """The pictures by splits, and the side in pixels at which the network is to see them."""
    from ..train.classifier import size_begun_with
    from ..train.labelled import decoded, first_side, rows_of
    from ..train.own import LARGEST, fed_size
    from ..train.reading import label_names

    first = first_side(rows_of(data), data)
    fed = fed_size(network, size, size_begun_with(checkpoint) or min(first, LARGEST))
    # Larger than they are fed they would take memory, and shifts would be smaller than told.
    stored, left_out = min(first, fed), list[Path]()
    with progress(f"decoding at {stored} px") as bar:
        read = decoded(
            rows_of(data),
            data,
            stored,
            names=label_names(data),
            progress=lambda count: bar.update(count),
            left_out=left_out,
        )
    if left_out and not options.quiet:
        more = f" and {len(left_out) - 1} more" if left_out[1:] else ""
        print(f"left out, since it cannot be decoded: {left_out[0]}{more}", file=sys.stderr)
    return read, fed


def _binarynet(width: float, seed: int, one_bit: bool) -> Network:
    import torch

    from ..networks.cifar10_binarynet import Cifar10BinaryNet

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Cifar10BinaryNet(width, one_bit=one_bit)


def _training(
    network: Network,
    kept: Labelled,
    aside: Labelled,
    recipe: ClassifierRecipe,
    folder: Path,
    hours: float | None,
    size: int,
    packed: bool,
) -> Training:
    from ..train.classifier import Training

    make_folder(folder)
    if packed:
        compile_kernels()
    return Training(
        network,
        kept,
        aside,
        recipe,
        checkpoint=folder / CHECKPOINT,
        hours=hours,
        size=size,
        autocast=_has_half_units(),
        packed=packed,
    )


def _check(engine: str) -> None:
    """Raises InputError: another name, or there is no Numba for it."""
    if engine not in ENGINES:
        raise unknown_name("engine", engine, ENGINES)
    if engine == "packed" and find_spec("numba") is None:
        raise InputError("the packed engine needs Numba: pip install numba")


def _packs(network: Network, engine: str) -> bool:
    """Whether to compute on bits.

    Raises:
        InputError: it was asked for, and there is nothing to be computed so.
    """
    if engine == "float" or find_spec("numba") is None:
        return False
    from ..engine.octets import has_octet_products
    from ..train.on_bits import fitting

    if fitting(network):
        return engine == "packed" or has_octet_products()
    if engine == "packed":
        raise InputError(
            f"{network.name} has no one-bit 3x3 convolution that could be packed; "
            "leave out --engine"
        )
    return False


def _has_half_units() -> bool:
    # A CPU without units for it computes in bfloat16 several times as slowly.
    if find_spec("numba") is None:
        return False
    from ..engine.precision import has_half_units

    return has_half_units()


def _run(training: Training, folder: Path, title: str) -> None:
    """Trains to the end, with the curve and its plot in the folder kept up to date."""
    from ..train.curves import can_plot, plot_curve, write_curve
    from ..train.upkeep import Upkeep

    def draw() -> None:
        write_curve(training.points, folder / "curve.jsonl")
        if plots:
            plot_curve(training.points, title, folder / "curve.png")

    plots, planned, drawing = can_plot(), training.recipe.epochs, Upkeep()
    of = "" if planned is None else f" of {planned}"
    with progress(f"training {title}", 1.0) as bar, Interruptions() as interruptions:
        started, before = training.seconds, training.steps
        for point in training.run():
            if point is not None and drawing.is_due():
                with drawing.piece():
                    draw()
            pictures = (training.steps - before) * training.recipe.batch
            speed = pictures / max(training.seconds - started, 1e-9)
            bar.update(
                training.share, f"epoch {training.epochs:.2f}{of}, {_latest(training, speed)}"
            )
            if interruptions.waiting is not None:
                training.save()
            interruptions.deliver("the same command goes on from here")
    # Of a training that was done before, too: Matplotlib may have come only now.
    draw()
    if not plots and not options.quiet:
        print("no curve.png: pip install 'bitbrush[lab]'", file=sys.stderr)


def _latest(training: Training, speed: float) -> str:
    text = f"{speed:.3g} pictures/s"
    if not training.points:
        return text
    point = training.points[-1]
    held_out = "" if point.held_out is None else f", held out {point.held_out:.1%}"
    return f"{text}, training {point.accuracy:.1%}{held_out}"


def _save(network: Network, folder: Path, metadata: dict[str, str]) -> Path:
    """Writes the weights as they are used and, of a one-bit network, the latent ones."""
    from safetensors.torch import save

    from ..train.classifier import one_bit_weights
    from ..weights.bits import save_network

    path = folder / f"{network.name}.safetensors"
    save_network(network, path, metadata)
    if one_bit_weights(network):
        state = {key: value.contiguous() for key, value in network.state_dict().items()}
        write_atomically(folder / "latent.safetensors", save(state), parents=True)
    return path


def _compare(output: Path, width: float, test_set: str) -> None:
    """Writes and prints the table of the one-bit network beside its twin."""
    from ..networks.cifar10_binarynet import SIZE
    from ..train.comparison import milliseconds, read_result, table, write_text

    networks = {"one-bit": _binarynet(width, 0, True), "float": _binarynet(width, 0, False)}
    results = {
        "one-bit": read_result(output / "result.json"),
        "float": read_result(output / "float" / "result.json"),
    }
    comparable = {
        name: result
        for name, result in results.items()
        if result is not None and result.compares(width, test_set)
    }
    with progress("timing"):
        times = {
            batch: milliseconds(networks["one-bit"], networks["float"], SIZE, batch)
            for batch in (1, 32)
        }
    text = table(networks, comparable, times, SIZE)
    write_text(text, output / "table.md")
    print(text, end="")
