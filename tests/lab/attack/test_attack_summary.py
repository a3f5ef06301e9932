"""What rows of a folder add up to."""

from __future__ import annotations

from typing import Any

from bitbrush.classify import imagenet_classes
from bitbrush.lab.attack.summary import Rate, transferred, wanted_before

TARGET = 7
WANTED, OTHER = imagenet_classes()[TARGET][0], imagenet_classes()[8][0]


def row(before: str | None, deceived: bool) -> dict[str, Any]:
    """Of one picture; before None: by a release that did not keep the other network's answer."""
    made: dict[str, Any] = {"attacks": {"ours": {}}, "transfer": {"vgg16": {"ours": deceived}}}
    return made if before is None else made | {"transfer_before": {"vgg16": before}}


ROWS = [row(WANTED, True), row(OTHER, True), row(OTHER, False)]


def test_a_target_that_the_other_network_saw_before_is_no_transfer() -> None:
    assert transferred(ROWS, TARGET) == {"vgg16": {"ours": Rate(1, 2)}}
    assert [wanted_before(one, "vgg16", TARGET) for one in ROWS] == [True, False, False]
    assert transferred(ROWS[:1], TARGET)["vgg16"]["ours"].text() == "–"


def test_without_a_target_every_picture_counts() -> None:
    assert transferred(ROWS, None) == {"vgg16": {"ours": Rate(2, 3)}}


def test_rows_of_older_releases_count_as_they_did() -> None:
    old = [row(None, True), row(None, False)]
    assert transferred(old, TARGET) == {"vgg16": {"ours": Rate(1, 2)}}
    assert transferred([*old, *ROWS], TARGET) == {"vgg16": {"ours": Rate(2, 4)}}
