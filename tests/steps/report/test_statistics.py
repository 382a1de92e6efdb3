from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgflow_steps.records.results import scalars
from imgflow_steps.records.row import Row, Status
from imgflow_steps.records.sampling import Evenly
from imgflow_steps.report import account, figures, statistics
from imgflow_steps.report.account import Account
from imgflow_steps.report.statistics import Spread, Tally, Times

NUMBERS = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e100, max_value=1e100)


@settings(deadline=None)
@given(st.lists(NUMBERS, min_size=1, max_size=900), st.integers(1, 64))
def test_columns_of_any_numbers_hold_all_of_them_and_reach_from_the_lowest_to_the_highest(
    values: list[float], most: int
) -> None:
    spread = Spread()
    for value in values:
        spread.add(value)
    low, step, columns = spread.columns(most)
    assert sum(columns) == spread.n == len(values)
    assert len(columns) <= most
    assert len(spread.bins) <= statistics.BINS
    assert low <= min(values)
    reach = Fraction(low) + Fraction(step) * len(columns)
    assert reach >= Fraction(max(values)) - Fraction(max(values) - min(values)) / 10**9


def test_columns_put_every_number_where_it_belongs() -> None:
    spread = Spread()
    for n in range(10_000):
        spread.add(n / 10_000)
    low, step, columns = spread.columns(32)
    edges = [low + i * step for i in range(len(columns) + 1)]
    assert columns == [sum(a <= n / 10_000 < b for n in range(10_000)) for a, b in pairwise(edges)]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e308])
def test_what_is_beyond_all_measure_is_left_out(value: float) -> None:
    spread = Spread()
    spread.add(value)
    spread.add(1.0)
    assert (spread.n, spread.low, spread.high, spread.mean) == (1, 1.0, 1.0, 1.0)


@given(st.lists(st.floats(0.01, 1e7), min_size=1, max_size=300), st.sampled_from([0.5, 0.95]))
def test_quantiles_of_times_are_within_a_few_percent(values: list[float], q: float) -> None:
    times = Times()
    for value in values:
        times.add(value)
    exact = sorted(values)[max(0, math.ceil(q * len(values)) - 1)]
    assert times.quantile(q) == pytest.approx(exact, rel=0.023)


def test_a_time_of_nothing_is_no_fault() -> None:
    times = Times()
    assert (times.mean, times.quantile(0.5)) == (0.0, 0.0)
    times.add(0.0)
    assert times.quantile(0.95) == 0.0


@given(st.integers(0, 3000))
def test_an_even_choice_is_bounded_and_evenly_spaced(count: int) -> None:
    evenly = Evenly(limit=40)
    for n in range(count):
        evenly.add(Row(image=str(n), version=""))
    numbers = [int(row.image) for row in evenly.kept]
    assert min(count, 20) <= len(numbers) <= 40
    assert len({b - a for a, b in pairwise(numbers)}) <= 1


def test_words_beyond_a_thousand_different_ones_are_counted_together() -> None:
    tally = Tally()
    for n in range(statistics.LABELS + 50):
        tally.add(str(n))
    tally.add("0")
    assert (len(tally.words), tally.others, tally.words["0"], tally.total) == (statistics.LABELS, 50, 2, 1051)


def test_findings_are_flat_names_and_scalars_without_lists() -> None:
    found = {"a": 1, "b": {"label": "x", "deep": {"yes": True}, "top": [["x", 1]]}, "none": None}
    assert list(scalars(found)) == [("a", 1), ("b.label", "x"), ("b.deep.yes", True)]


def test_codes_findings_and_slowest_images_are_bounded() -> None:
    taken = Account(run="r")
    for n in range(1000):
        taken.add(Row(image=str(n), version="", status=Status.REJECTED, code=f"c{n}", run="r", ms={"decode": n}))
    assert len(taken.rejected) == account.REASONS + 1
    assert sum(reason.images for reason in taken.rejected.values()) == 1000
    assert [row.image for _, row in taken.slowest] == [str(n) for n in range(999, 999 - account.SLOWEST, -1)]


def test_times_are_those_of_this_run_only() -> None:
    taken = Account(run="r")
    taken.add(Row(image="a", version="", status=Status.CACHED, run="earlier", ms={"decode": 1e6}, ended=100.0))
    taken.add(Row(image="b", version="", run="r", ms={"fetch": 500, "decode": 1500}, ended=1010.0))
    taken.add(Row(image="c", version="", run="r", ms={"decode": 1000}, ended=1012.0))
    assert taken.images.n == 2
    assert taken.seconds == pytest.approx(4)


@pytest.mark.parametrize(
    ("written", "as_text"),
    [
        (figures.count(1, "image"), "1 image"),
        (figures.count(12345, "image"), "12,345 images"),
        (figures.share(1, 100_000), "<0.1 %"),
        (figures.share(99_999, 100_000), ">99.9 %"),
        (figures.share(1, 8), "12.5 %"),
        (figures.share(0, 0), "0.0 %"),
        (figures.milliseconds(0.4163), "0.42 ms"),
        (figures.milliseconds(12.31), "12 ms"),
        (figures.milliseconds(1234), "1.2 s"),
        (figures.milliseconds(184_000), "3 min 4 s"),
        (figures.duration(0.44), "0.4 s"),
        (figures.duration(59.9), "1 min"),
        (figures.duration(133), "2 min 13 s"),
        (figures.duration(3600), "1 h"),
        (figures.duration(187_200), "2 d 4 h"),
        (figures.size(512), "512 B"),
        (figures.size(3_400_000), "3.4 MB"),
        (figures.size(2.5e15), "2500 TB"),
        (figures.number(0.12345), "0.123"),
        (figures.number(-1234567.8), "-1,234,568"),
        (figures.moment(0), "–"),  # noqa: RUF001 - a dash is meant
        (figures.moment(1.7e9), "2023-11-14 22:13 UTC"),
    ],
)
def test_figures_are_written_for_people(written: str, as_text: str) -> None:
    assert written.replace("\N{NO-BREAK SPACE}", " ") == as_text
