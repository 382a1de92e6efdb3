"""Which form of an answer a client has, by what it accepts."""

from __future__ import annotations

import pytest

from imgflow_service.api.accepted import chosen

PICTURE, ZIP, JSON = "image/jpeg", "application/zip", "application/json"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", PICTURE),
        ("*/*", PICTURE),
        ("text/html", PICTURE),
        ("image/webp, image/*;q=0.1", PICTURE),
        ("application/json", JSON),
        ("Application/JSON ; charset=utf-8", JSON),
        ("application/json, text/plain, */*", JSON),
        ("application/*", ZIP),
        ("application/json;q=0", PICTURE),
        ("application/json; Q=0.000, */*", PICTURE),
        ("image/*, application/json;q=0.5", PICTURE),
        ("image/*;q=0.2, application/json;q=0.5", JSON),
        ("image/*;q=0, */*", ZIP),
        ("image/jpeg;q=0, application/zip;q=0", JSON),
        ("*/*, image/jpeg;q=0, application/zip;q=0.3", JSON),
        ("*/*;q=0", PICTURE),
        (";q=0,,application/zip;q=nonsense,;", ZIP),
    ],
)
def test_the_form_that_is_liked_best_is_chosen_and_none_that_is_refused(accept: str, expected: str) -> None:
    assert chosen(accept, (PICTURE, ZIP, JSON)) == expected
