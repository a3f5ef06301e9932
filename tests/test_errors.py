"""A name that does not exist is answered with one that does."""

from __future__ import annotations

from bitbrush.errors import LISTED, unknown_name


def test_a_name_is_suggested_only_if_it_is_like_that_one() -> None:
    names = ["pastel", "mosaic", "waves"]
    assert str(unknown_name("style", "wave", names)) == (
        "unknown style 'wave'; did you mean 'waves'?"
    )
    assert str(unknown_name("style", "nostyle", names)) == (
        "unknown style 'nostyle'; known: pastel, mosaic, waves"
    )


def test_of_many_names_the_nearest_is_better_than_all() -> None:
    names = [f"breed {number}" for number in range(LISTED)] + ["German short-haired pointer"]
    assert "did you mean 'German" in str(unknown_name("class", "pointer", names))
