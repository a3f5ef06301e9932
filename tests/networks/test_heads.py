"""New heads for other classes."""

from __future__ import annotations

import pytest
import torch

from bitbrush.classify import _classifies
from bitbrush.errors import InputError
from bitbrush.networks.heads import set_classes
from bitbrush.networks.registry import NETWORKS


@pytest.mark.parametrize("name", [name for name in NETWORKS if _classifies(name)])
def test_every_classifier_takes_other_classes(name: str) -> None:
    with torch.device("meta"):
        network = NETWORKS[name].build()
        before = {key: value.shape for key, value in network.state_dict().items()}
        set_classes(network, 7)
        size = network.taps["logits"].size or 224
        image = torch.empty(2, 3, size, size)
    assert network.eval()(image, ["logits"])["logits"].shape == (2, 7)
    after = {key: value.shape for key, value in network.state_dict().items()}
    changed = {key for key in before if before[key] != after[key]}
    assert before.keys() == after.keys()
    assert changed and all(before[key][0] == 1000 and after[key][0] == 7 for key in changed)


def test_what_cannot_classify() -> None:
    with torch.device("meta"):
        with pytest.raises(InputError, match="no classifier"):
            set_classes(NETWORKS["quickbrush-small"].build(), 7)
        with pytest.raises(InputError, match="two classes"):
            set_classes(NETWORKS["squeezenet"].build(), 1)
