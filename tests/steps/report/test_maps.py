"""A map of dots is true to scale, and shows every place."""

from __future__ import annotations

import re

import pytest

from imgflow_steps.report.maps import Place, dots, nice


def circles(drawn: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r'cx="([-0-9.]+)" cy="([-0-9.]+)"', drawn)]


def height(drawn: str) -> float:
    return float(re.findall(r'viewBox="0 0 1000 (\d+)"', drawn)[0])


def test_a_kilometre_on_the_map_is_as_long_as_its_scale_says() -> None:
    drawn = dots([Place(52.09, 5.10, "a"), Place(52.09, 5.10 + 1000 / (111195.08 * 0.61440), "b")])
    (ax, ay), (bx, by) = circles(drawn)
    bar, said = re.findall(r"H([\d.]+)V.*?<text[^>]*>([\d.]+) m<", drawn)[0]

    assert (bx - ax) / 1000 == pytest.approx((float(bar) - 24) / float(said), rel=0.001)
    assert ay == by


def test_a_single_place_takes_no_more_room_than_a_row_of_them() -> None:
    assert height(dots([Place(52.1, 5.1, "a")] * 3)) == height(dots([Place(52.1, 5.1, "a"), Place(52.1, 5.2, "b")]))


@pytest.mark.parametrize(
    "places",
    [
        [(0, 0)],
        [(90, 0), (-90, 0)],
        [(-17.8, 179.9), (-17.9, -179.9)],
        [(10, -170), (10, 170), (10, 0)],
        [(52.1, 5.1)] * 3,
        [(52.1, 5.1), (52.1000001, 5.1000001)],
    ],
)
def test_every_place_lies_on_the_map(places: list[tuple[float, float]]) -> None:
    drawn = dots([Place(*place, "x") for place in places])

    assert len(circles(drawn)) == len(places)
    assert all(0 <= x <= 1000 and 0 <= y <= height(drawn) for x, y in circles(drawn))


def test_the_two_sides_of_the_date_line_are_neighbours() -> None:
    drawn = dots([Place(-17.8, 179.999, "west"), Place(-17.8, -179.999, "east")])

    (west, _), (east, _) = circles(drawn)
    assert east > west
    assert " m<" in drawn


def test_north_is_up_and_names_are_escaped() -> None:
    drawn = dots([Place(53, 5, "<north>", "?a=1&b=2"), Place(52, 5, "south")])

    assert circles(drawn)[0][1] < circles(drawn)[1][1]
    assert "&#60;north&#62;" in drawn
    assert 'href="?a=1&#38;b=2"' in drawn


@pytest.mark.parametrize(("most", "length"), [(1, 1), (99, 50), (100, 100), (250, 200), (7.5, 5), (1999, 1000)])
def test_a_scale_is_a_round_number(most: float, length: float) -> None:
    assert nice(most) == length


def test_a_dot_says_its_name_and_its_place_in_two_lines_and_no_name_makes_a_line() -> None:
    drawn = dots([Place(52.1, 5.1, "a\n<b>.jpg")])
    assert "<title>a\\n&#60;b&#62;.jpg\n52.10000\N{DEGREE SIGN} N 5.10000\N{DEGREE SIGN} E</title>" in drawn
