"""What is printed of one picture."""

from __future__ import annotations

from typing import Any

import pytest

from bitbrush.classify import imagenet_classes
from bitbrush.cli.attack_tables import print_picture
from bitbrush.lab.attack.study import Plan

TARGET = 7


def row(other: int, deceived: bool, own: int = 0) -> dict[str, Any]:
    wordnet_id, name = imagenet_classes()[own]
    guess = {"wordnet_id": wordnet_id, "name": name, "probability": 0.5}
    ours = {"success": True, "linf": 8 / 255, "l2": 1.0, "content": None}
    return {
        "before": [guess],
        "after": [guess],
        "attacks": {"ours": ours},
        "transfer_before": {"vgg16": imagenet_classes()[other][0]},
        "transfer": {"vgg16": {"ours": deceived}},
        "controls": {},
    }


@pytest.mark.parametrize(
    ("other", "deceived", "said"),
    [
        (TARGET, True, "gives the wanted answer to the picture as it is"),
        (8, True, "deceived"),
        (8, False, "not deceived"),
    ],
)
def test_another_network_is_deceived_only_by_the_attack(
    other: int, deceived: bool, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    print_picture(row(other, deceived), Plan("squeezenet", target=TARGET))
    assert f"vgg16, which was not attacked: {said}\n" in capsys.readouterr().out


def test_an_answer_that_was_there_before_is_no_success(capsys: pytest.CaptureFixture[str]) -> None:
    told = []
    for own in (TARGET, 0):
        found = row(8, False, own)
        seen = {"answer": imagenet_classes()[TARGET][0], "probability": 0.5, "seconds": 0.0}
        found["attacks"] = dict.fromkeys(("ours", "noise"), found["attacks"]["ours"] | seen)
        print_picture(found, Plan("squeezenet", target=TARGET))
        told.append(capsys.readouterr().out)
    assert f"the picture has the wanted answer as it is: {imagenet_classes()[TARGET][1]}" in told[0]
    assert "success" not in told[0] and "noise" not in told[0]
    assert "success: " in told[1] and "noise" in told[1]
