"""Contestants take turns, warm-ups do not count, ratios say what they are of."""

from __future__ import annotations

import pytest

from bitbrush.bench.timing import Ratio, geometric_mean, interleaved, looped, steady, timed


def test_contestants_take_turns_and_warm_ups_do_not_count() -> None:
    calls = []
    told = []

    def contestant(name: str, seconds: list[float]):
        def run() -> float:
            calls.append(name)
            return seconds.pop(0)

        return run

    times = interleaved(
        {"a": contestant("a", [9, 9, 1, 2, 6]), "b": contestant("b", [9, 9, 4, 4, 4])},
        repetitions=3,
        advance=lambda share, note: told.append((share, note)),
        warmup=2,
    )
    assert calls == ["a", "b"] * 5
    assert times["a"].seconds == (1, 2, 6) and times["b"].seconds == (4, 4, 4)
    assert times["a"].as_json() == {"median": 2, "least": 1, "most": 6}
    assert told[-1][0] == 1 and told == sorted(told, key=lambda each: each[0])


def test_seconds_are_those_of_one_loop() -> None:
    clock = iter([10.0, 13.0])
    calls = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("time.perf_counter", lambda: next(clock))
        assert timed(lambda: calls.append(1), loops=6)() == 0.5
    assert len(calls) == 6


def test_what_comes_before_steady_work_does_not_count() -> None:
    clock = iter([10.0, 13.0])
    calls: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("time.perf_counter", lambda: calls.append("clock") or next(clock))
        assert steady(lambda: calls.append("work"), loops=2)() == 1.5
    assert calls == ["work", "clock", "work", "work", "clock"]


def test_short_work_is_done_often_enough_to_be_timed() -> None:
    calls = []
    run = looped(lambda: calls.append(1))
    calls.clear()
    run()
    assert len(calls) > 100


@pytest.mark.parametrize(("target", "met"), [(None, None), (2.0, True), (2.1, False)])
def test_a_ratio_meets_its_target_or_not(target: float | None, met: bool | None) -> None:
    found = Ratio("ours", "theirs", "time", 2.0, target).as_json()
    assert found["met"] is met and (found["what"], found["against"]) == ("ours", "theirs")


def test_the_mean_of_ratios_is_that_of_their_logarithms() -> None:
    assert geometric_mean([2.0, 8.0]) == pytest.approx(4.0)
