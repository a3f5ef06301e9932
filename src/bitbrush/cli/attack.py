"""`bitbrush attack`: pictures that people still see and networks do not."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InputError
from .app import app, options
from .attack_files import (
    RESULTS,
    check_output,
    check_pictures,
    held_rows,
    keep,
    read,
    write,
    written_names,
)
from .attack_tables import print_folder, print_picture
from .engine_notes import prepare_engine
from .networks import AsJson
from .progress import progress

if TYPE_CHECKING:
    from ..lab.attack.study import Study


@app.command()
def attack(
    image: Annotated[
        Path, typer.Argument(metavar="IMAGE", help="A picture, or a folder of pictures.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="OUT",
            help="The .png or .tiff file of the attacked picture; of a folder, the folder for "
            f"all of them and {RESULTS}, with which an interrupted run goes on.",
            show_default=False,
        ),
    ] = None,
    network: Annotated[
        str, typer.Option(help="The network to deceive; it needs an ImageNet classifier.")
    ] = "resnet18-bmxnet-fp1",
    weights: Annotated[
        str,
        typer.Option(
            help="A weight file of the network, 'default' for those on this machine, "
            "or 'none' for random ones."
        ),
    ] = "default",
    target: Annotated[
        str | None,
        typer.Option(
            metavar="CLASS",
            help="The answer wanted, by name or WordNet id; any but the network's own.",
            show_default=False,
        ),
    ] = None,
    norm: Annotated[
        str | None,
        typer.Option(
            help="What the change is measured by: linf, l2 or content, the judged distance; "
            "linf, or content with --style.",
            show_default=False,
        ),
    ] = None,
    epsilon: Annotated[
        str | None,
        typer.Option(
            metavar="X",
            help="The largest change, such as 8/255; 8/255 for linf, 3 for l2, 0.1 for content, "
            "1.2 for content with --style.",
            show_default=False,
        ),
    ] = None,
    style: Annotated[
        str | None,
        typer.Option(
            metavar="STYLE",
            help="Also paint the picture like this one, or like a built-in style.",
            show_default=False,
        ),
    ] = None,
    painter: Annotated[
        str | None,
        typer.Option(help="The network that paints the style; quickbrush.", show_default=False),
    ] = None,
    paint_steps: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Steps of the painting; 200.", show_default=False),
    ] = None,
    steps: Annotated[int, typer.Option(help="Steps of each try.")] = 40,
    restarts: Annotated[
        int, typer.Option(help="Tries at most; the later ones begin at random pictures.")
    ] = 1,
    loss: Annotated[str, typer.Option(help="Of the answer: margin or cross-entropy.")] = "margin",
    estimator: Annotated[
        str | None,
        typer.Option(
            help="Gradient of sign on the way to the picture: trained, ste, approx, swish, ede or "
            "identity; what suits the network.",
            show_default=False,
        ),
    ] = None,
    confidence: Annotated[
        float, typer.Option(help="Probability of the wanted answer at which a try ends.")
    ] = 0.9,
    size: Annotated[
        int, typer.Option(min=32, help="Long edge in pixels that larger pictures are reduced to.")
    ] = 512,
    judge: Annotated[
        str | None,
        typer.Option(
            help="The network that tells the content distance; squeezenet.", show_default=False
        ),
    ] = None,
    transfer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A network that was not attacked to show the pictures to (repeatable), or "
            "'none'; for a folder all with ImageNet classes whose weights are here.",
            show_default=False,
        ),
    ] = None,
    compare: Annotated[
        bool | None,
        typer.Option(
            "--compare/--no-compare",
            help="Also attack with noise, FGSM, PGD and squares; yes for a folder and with "
            "--controls.",
            show_default=False,
        ),
    ] = None,
    queries: Annotated[
        int | None,
        typer.Option(metavar="N", help="Queries of the square attack; 300.", show_default=False),
    ] = None,
    controls: Annotated[
        bool,
        typer.Option(
            "--controls", help="Look for masked gradients: estimators, losses, restarts, budget."
        ),
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    device: Annotated[
        str, typer.Option(help="Where to compute: cpu, cuda (or cuda:1 …) or mps.")
    ] = "cpu",
    as_json: AsJson = False,
) -> None:
    """Change IMAGE so little that people still see it, and a network answers something else.

    The 8-bit picture that is written is what is judged: `bitbrush classify` says the same of it.
    """
    # Imported here, so that help and usage errors need no torch.
    from ..classify import require_classifier
    from ..lab.attack.budget import EPSILONS, NORMS
    from ..lab.attack.loop import AttackSettings
    from ..lab.attack.objective import find_class
    from ..lab.attack.study import Plan, Study
    from ..lab.plan import pictures_in

    folder = image.is_dir()
    require_classifier(network)
    chosen = norm or ("linf" if style is None else "content")
    if chosen not in NORMS:
        from ..errors import unknown_name

        raise unknown_name("norm", chosen, NORMS)
    _check_style(style, painter, paint_steps, compare, queries, controls)
    usual = "1.2" if style is not None and chosen == "content" else EPSILONS[chosen]
    usually = controls or (folder and style is None)
    against = _against(usually if compare is None else compare)
    if queries is not None and "square" not in against:
        raise InputError("--queries is of the square attack, which is not among the attacks here")
    if queries is not None and queries < 1:
        raise InputError(f"--queries must be at least 1, not {queries}")
    plan = Plan(
        network=network,
        weights=weights,
        target=None if target is None else find_class(target),
        norm=chosen,
        epsilon=_epsilon(usual if epsilon is None else epsilon, chosen),
        settings=AttackSettings(steps, restarts, loss, estimator, confidence, seed),
        size=size,
        style=style,
        painter=painter or "quickbrush",
        paint_steps=200 if paint_steps is None else paint_steps,
        judge=_judge(judge, chosen),
        against=against,
        queries=300 if queries is None else queries,
        controls=controls,
        transfer=_transfer(transfer, network, folder),
    )
    pictures = pictures_in(image)
    check_output(output, pictures, folder)
    if folder:
        check_pictures(pictures)
    study = Study(plan, device)
    for loaded in (study.classifier, *study.others.values()):
        prepare_engine(loaded.network)
    if folder:
        _folder(study, pictures, output, as_json)
    else:
        _one(study, image, output, as_json)


def _check_style(
    style: str | None,
    painter: str | None,
    paint_steps: int | None,
    compare: bool | None,
    queries: int | None,
    controls: bool,
) -> None:
    """Raises an InputError for options that would be ignored."""
    if style is None:
        for name, value in (("--painter", painter), ("--paint-steps", paint_steps)):
            if value is not None:
                raise InputError(f"{name} has no meaning without --style")
        return
    for name, given in (
        ("--compare", bool(compare)),
        ("--queries", queries is not None),
        ("--controls", controls),
    ):
        if given:
            raise InputError(f"{name} has no meaning with --style: other attacks do not paint")


def _epsilon(text: str, norm: str) -> float:
    from ..lab.attack.budget import parse_epsilon

    value = parse_epsilon(text)
    # Only what is asked for: the budget of a control, many times this one, may well be above 1.
    if norm == "linf" and value > 1:
        levels = f"{value:g}" if value <= 255 and "/" not in text else "8"
        raise InputError(
            f"--epsilon {text} is above 1, which for linf is full brightness; "
            f"did you mean {levels}/255?"
        )
    return value


def _against(wanted: bool) -> tuple[str, ...]:
    from ..lab.attack.library import HOW_TO_INSTALL, library_is_there
    from ..lab.attack.study import default_against

    if not wanted:
        return ()
    if not library_is_there() and not options.quiet:
        text = "FGSM, PGD and squares are left out: they need the Adversarial Robustness Toolbox"
        typer.echo(f"{text} ({HOW_TO_INSTALL})", err=True)
    return tuple(default_against())


def _judge(name: str | None, norm: str) -> str | None:
    """Who tells the content distance; nobody where that is not needed and nobody is there."""
    from ..lab.judge import SQUEEZENET
    from ..weights.loading import find_default

    if name is not None or norm == "content":
        return name or SQUEEZENET
    return SQUEEZENET if find_default(SQUEEZENET) is not None else None


def _transfer(names: Sequence[str] | None, network: str, folder: bool) -> tuple[str, ...]:
    from ..classify import require_classifier
    from ..lab.attack.victims import imagenet_networks

    if names is None:
        return tuple(n for n in imagenet_networks() if n != network) if folder else ()
    if list(names) == ["none"]:
        return ()
    for name in names:
        require_classifier(name)
        if name == network:
            raise InputError(f"{name} is attacked itself; --transfer names other networks")
    return tuple(dict.fromkeys(names))


def _one(study: Study, path: Path, output: Path | None, as_json: bool) -> None:
    picture = read(path)
    with progress("attacking", study.steps()) as bar:
        found = study.look(picture, lambda share, note: bar.update(share * study.steps(), note))
        bar.update(study.steps())
    if output is not None:
        write(found, picture, study.plan, output)
    if as_json:
        print(json.dumps({"plan": study.plan.as_json(), **found.row}, ensure_ascii=False))
        return
    print_picture(found.row, study.plan)
    if output is not None and not options.quiet:
        print(f"{output}: {found.row['width']}x{found.row['height']} px")


def _folder(study: Study, pictures: Sequence[Path], output: Path | None, as_json: bool) -> None:
    plan = study.plan.as_json()
    results = None if output is None else output / RESULTS
    held = {} if results is None else held_rows(results, plan)
    names = written_names(pictures)
    rows: list[Mapping[str, Any]] = []
    with progress("attacking", len(pictures)) as bar:
        try:
            for done, path in enumerate(pictures):
                picture = read(path)
                row = held.get(path.name)
                if row is None or row["sha256"] != picture.sha256:
                    # Bound now: the bar is told of this picture.
                    found = study.look(
                        picture,
                        lambda share, note, done=done, path=path: bar.update(  # type: ignore[misc]
                            done + share, f"{path.name} {note}"
                        ),
                    )
                    row = held[path.name] = found.row
                    if results is not None:
                        write(found, picture, study.plan, results.parent / names[path])
                        keep(results, plan, held)
                rows.append(row)
                bar.update(done + 1, path.name)
        except KeyboardInterrupt as stop:
            if results is None:
                raise
            raise type(stop)(f"the same command goes on from {results}") from None
    print_folder(rows, study.plan, as_json)
