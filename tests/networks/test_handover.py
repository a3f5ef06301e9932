"""Gradients whose memory goes to who receives them."""

from __future__ import annotations

import torch

from bitbrush.networks.handover import give_away, received


def test_what_was_given_away_has_one_owner() -> None:
    gradient = torch.arange(6.0)
    place = gradient.data_ptr()
    ours = received(give_away(gradient))
    assert ours.tolist() == [0, 1, 2, 3, 4, 5] and ours.data_ptr() == place
    assert gradient.numel() == 0


def test_anything_else_stays_its_owner_s() -> None:
    gradient = torch.arange(6.0)
    assert received(gradient) is gradient and gradient.numel() == 6


def test_the_mark_survives_torch_s_graph() -> None:
    arrived = []

    class Source(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, gradient):
            arrived.append(received(gradient))
            return arrived[0] * 2

    class Sink(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.sum()

        @staticmethod
        def backward(ctx, gradient):
            given.append(give_away(torch.full((3,), 5.0)))
            return given[0]

    given: list[torch.Tensor] = []
    leaf = torch.zeros(3, requires_grad=True)
    Sink.apply(Source.apply(leaf)).backward()
    assert arrived[0].tolist() == [5, 5, 5] and given[0].numel() == 0
    assert leaf.grad is not None and leaf.grad.tolist() == [10, 10, 10]
