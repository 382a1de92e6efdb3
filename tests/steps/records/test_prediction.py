"""A prediction is made of what was measured, is as wide as that allows, and says nothing where nothing is known."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.made_runs import make_run

from imgflow_steps.collect.work import run as collect
from imgflow_steps.list.survey import survey
from imgflow_steps.list.work import run as list_images
from imgflow_steps.pipeline.model import Pipeline, parse
from imgflow_steps.records import costs, keys
from imgflow_steps.records.costs import Cost, Ledger, works
from imgflow_steps.records.listing import Listing
from imgflow_steps.records.prediction import Prediction, expected, predict, read_prediction
from imgflow_steps.records.row import Row, Status
from imgflow_steps.records.run import Run
from imgflow_steps.store import Store, open_store

if TYPE_CHECKING:
    from pathlib import Path

PIPELINE = parse({"steps": [{"scale": {"width": 512}}, "grayscale", "infer"]})
MS = {"fetch": 1.0, "decode": 100.0, "scale": 20.0, "grayscale": 1.0, "infer": 10.0, "encode": 5.0, "publish": 1.0}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path))


def a_run(run_id: str = "one", pipeline: Pipeline = PIPELINE, **changes: Any) -> Run:
    given = {"municipality": "Utrecht", "engine": "local", "workers": 2, **changes}
    return Run(id=run_id, pipeline=pipeline, **given)


def a_row(run: Run, number: int, **changes: Any) -> Row:
    fields = {"bytes": 1000, "shard": number // 10, "ended": 100.0 + number, "ms": dict(MS), **changes}
    return Row(image=f"{number:06d}.jpg", version="v1", run=run.id, **fields)


def remember(store: Store, run: Run, images: int = 40, **changes: Any) -> None:
    """As a run that computed so many images leaves it."""
    ledger = Ledger(run)
    for number in range(images):
        ledger.add(a_row(run, number, **changes))
    found = ledger.costs(Listing(layout="fused", ended=99.0), workers=2)
    assert found
    costs.write(store, found)


def to_do(images: int, each: int = 1000) -> Listing:
    return Listing(listed=images, todo=images, bytes=images * each, layout="fused", shards=4)


def seconds(prediction: Prediction) -> dict[str, float]:
    return {step.step: round(step.seconds, 6) for step in prediction.steps}


def test_twice_the_images_take_twice_the_time_of_every_step(store: Store) -> None:
    remember(store, a_run(), 40)

    prediction = predict(store, a_run("next"), to_do(80))

    assert seconds(prediction) == {label: ms * 80 / 1000 for label, ms in MS.items()}
    assert prediction.unknown == []
    assert prediction.core.seconds == pytest.approx(80 * (100 + 20 + 1 + 10 + 5) / 1000)


def test_decode_goes_by_bytes_and_the_other_steps_by_images(store: Store) -> None:
    remember(store, a_run(), 40)

    large = seconds(predict(store, a_run("next"), to_do(40, each=3000)))

    assert large["decode"] == pytest.approx(3 * 4.0)
    assert large["scale"] == pytest.approx(0.8)


def test_nothing_is_predicted_where_nothing_was_ever_run(store: Store) -> None:
    prediction = predict(store, a_run(), to_do(10))

    assert (prediction.steps, prediction.wall) == ([], None)
    assert prediction.unknown == list(MS)
    assert "no earlier run" in prediction.pace


def test_nothing_to_do_takes_nothing(store: Store) -> None:
    remember(store, a_run())
    assert predict(store, a_run("next"), Listing(listed=40, cached=40)) == Prediction()


def test_another_pipeline_of_the_municipality_tells_of_the_steps_that_are_the_same(store: Store) -> None:
    remember(store, a_run())

    other = a_run("next", parse({"steps": [{"scale": {"width": 512}}, "grayscale", {"infer": {"top": 1}}]}))
    prediction = predict(store, other, to_do(10))

    assert prediction.unknown == ["infer", "encode", "publish"]  # whatever may have come out of another infer
    assert {step.basis.like for step in prediction.steps} == {"municipality"}
    assert {step.basis.images for step in prediction.steps} == {40}


def test_the_same_pipeline_comes_before_the_same_municipality_and_that_before_another_one(store: Store) -> None:
    remember(store, a_run("far", municipality="Assen"), ms={**MS, "infer": 30.0})
    assert predict(store, a_run("next"), to_do(10)).steps[4].basis.like == "elsewhere"

    png = PIPELINE.model_copy(update={"output": PIPELINE.output.model_copy(update={"format": "png"})})
    remember(store, a_run("near", png), ms={**MS, "infer": 20.0})
    nearer = {step.step: step.basis.run for step in predict(store, a_run("next"), to_do(10)).steps}
    assert (nearer["infer"], nearer["encode"]) == ("near", "far")

    remember(store, a_run("same"))
    assert {step.basis.run for step in predict(store, a_run("next"), to_do(10)).steps} == {"same"}


def test_a_run_of_enough_images_is_believed_before_a_newer_one_of_few(store: Store) -> None:
    remember(store, a_run("large"), 200)
    remember(store, a_run("nightly"), 3, ended=5000.0)

    assert predict(store, a_run("next"), to_do(10)).steps[0].basis.run == "large"


def test_the_same_engine_is_believed_before_another_one(store: Store) -> None:
    remember(store, a_run("here"), 40)
    remember(store, a_run("there", engine="argo", workers=0), 400, ended=9000.0)

    assert predict(store, a_run("next"), to_do(10)).steps[0].basis.run == "here"


def test_other_parameters_or_another_picture_are_other_work() -> None:
    base = works(PIPELINE)
    small = works(parse({"steps": [{"scale": {"width": 128}}, "grayscale", "infer"]}))
    without = works(parse({"steps": ["grayscale", "infer"]}))
    png = works(parse({"steps": [{"scale": {"width": 512}}, "grayscale", "infer"], "output": {"format": "png"}}))

    assert {label for label in base if base[label] == small[label]} == {"fetch"}
    assert base["infer"] != without["infer"]
    assert {label for label in base if base[label] != png[label]} == {"encode", "publish"}


def test_wall_time_is_core_time_over_the_processes_that_were_kept_busy(store: Store) -> None:
    remember(store, a_run())  # 40 images of 0.136 s of one core each, in 39 s and a bit: 0.14 processes of 2 busy

    prediction = predict(store, a_run("next"), to_do(40))

    assert prediction.wall
    assert prediction.wall.seconds == pytest.approx(40, rel=0.02)
    assert "run one" in prediction.pace


def test_a_cluster_that_was_never_measured_has_core_seconds_and_no_wall_time(store: Store) -> None:
    remember(store, a_run())

    prediction = predict(store, a_run("next", engine="argo", workers=0), to_do(40))

    assert prediction.core.seconds > 0
    assert prediction.wall is None
    assert "cluster" in prediction.pace


def test_a_document_of_another_version_is_as_good_as_none(store: Store) -> None:
    store.write(keys.costs("Utrecht", a_run().digest) + "000000000001-x.json", b'{"steps": 1}')
    assert predict(store, a_run(), to_do(10)).steps == []


def test_only_the_newest_documents_stay(store: Store) -> None:
    for number in range(costs.KEPT + 3):
        remember(store, a_run(f"r{number}"), 2, ended=1000.0 + number)

    kept = [one.run for one in costs.newest(store, keys.costs("Utrecht", a_run().digest))]

    assert kept == [f"r{number}" for number in range(costs.KEPT + 2, 2, -1)]


def test_a_million_images_are_predicted_without_reading_a_row(store: Store) -> None:
    remember(store, a_run())
    store.write(keys.rows("Utrecht", a_run().digest) + "whole.0.jsonl", b"this cannot be read")

    assert predict(store, a_run("next"), to_do(1_000_000)).core.seconds == pytest.approx(136_000)


def test_rows_speak_where_no_run_came_to_its_end(tmp_path: Path) -> None:
    made = make_run(tmp_path)
    for number in range(6):
        made.store.write(keys.images("Utrecht") + f"{number}.jpg", b"x" * 1000)
    found = {one.key.rpartition("/")[2]: one for one in made.store.entries(keys.images("Utrecht"))}
    made.add(*(made.row(f"{n}.jpg", version=found[f"{n}.jpg"].version, ms=dict(MS)) for n in range(4)))

    listing, prediction = survey(made.store, made.run)

    assert (listing.todo, prediction.images) == (2, 2)
    assert seconds(prediction)["decode"] == pytest.approx(0.2)
    assert {(step.basis.run, step.basis.images) for step in prediction.steps} == {("utrecht-1", 4)}


def test_list_writes_down_what_it_expects_and_a_later_attempt_expects_anew(tmp_path: Path) -> None:
    made = make_run(tmp_path)
    for number in range(4):
        made.store.write(keys.images("Utrecht") + f"{number}.jpg", b"x" * 1000)
    remember(made.store, made.run)

    list_images(made.store, made.run)
    first = read_prediction(made.store, made.run.id)
    found = {one.key.rpartition("/")[2]: one for one in made.store.entries(keys.images("Utrecht"))}
    made.add(made.row("0.jpg", version=found["0.jpg"].version))
    list_images(made.store, made.run)
    second = read_prediction(made.store, made.run.id)

    assert first
    assert second
    assert (first.images, second.images) == (4, 3)


def test_collect_remembers_what_this_attempt_computed_and_nothing_else(tmp_path: Path) -> None:
    made = make_run(tmp_path)
    made.list(["old.jpg", "new.jpg", "lost.jpg", "other.jpg"])
    listing = Listing(listed=4, ended=1.7e9 - 10)
    made.store.write(keys.listing_json(made.run.id), listing.model_dump_json().encode())
    made.add(made.row("old.jpg", ended=1.7e9 - 500), made.row("new.jpg"), made.row("other.jpg", run="utrecht-0"))

    collect(made.store, made.run, output=None)
    [kept] = costs.newest(made.store, keys.costs("Utrecht", made.run.digest))

    assert kept.images == 1
    assert kept.steps["decode"].y == 12.5


def test_a_run_that_computed_nothing_leaves_nothing_to_remember(tmp_path: Path) -> None:
    made = make_run(tmp_path)
    made.list(["a.jpg"])
    made.add(made.row("a.jpg", run="utrecht-0"))

    collect(made.store, made.run, output=None)

    assert costs.newest(made.store, keys.costs()) == []


def test_failed_images_teach_nothing() -> None:
    ledger = Ledger(a_run())
    ledger.add(a_row(a_run(), 1, status=Status.FAILED))
    assert ledger.costs(Listing(), workers=1) is None


def cost(times: list[float], sizes: list[float] | None = None, between: float = 0.0) -> Cost:
    one = Cost(work="", between=between)
    for x, y in zip(sizes or [1.0] * len(times), times, strict=True):
        one.add(x, y)
    return one


milliseconds = st.lists(st.floats(0, 1e5), min_size=1, max_size=30)
amounts = st.integers(0, 10**7)


@given(times=milliseconds, few=amounts, many=amounts, alike=st.booleans(), between=st.floats(0, 1))
def test_more_images_never_take_less(times: list[float], few: int, many: int, alike: bool, between: float) -> None:
    one = cost(times, between=between)
    few, many = sorted((few, many))
    (less, spread), (more, wider) = (expected(one, n, n, alike=alike) for n in (few, many))
    assert less <= more * (1 + 1e-9)
    assert spread <= wider * (1 + 1e-9)
    low = max(0.0, less - 1.28 * spread), max(0.0, more - 1.28 * wider)
    assert low[0] <= low[1] * (1 + 1e-6) + 1e-6


@given(times=milliseconds, images=st.integers(1, 10**6))
def test_other_people_s_images_are_never_more_certain_than_one_s_own(times: list[float], images: int) -> None:
    one = cost(times)
    assert expected(one, images, images, alike=False)[1] >= expected(one, images, images, alike=True)[1]


def test_eight_of_ten_outcomes_lie_in_the_range() -> None:
    """Images of log-normal times, in 400 pairs of a run of 50 and one of 200, each pair on its own good or bad day."""
    dice = random.Random(7)
    inside = 0
    for _ in range(400):
        known = cost([dice.lognormvariate(3, 0.8) for _ in range(50)])
        day = dice.gauss(1, 0.15)
        took = sum(dice.lognormvariate(3, 0.8) for _ in range(200)) * day / 1000
        mean, spread = expected(known, 200, 200.0, alike=True)
        inside += abs(took - mean) <= 1.2816 * spread
    assert 0.72 <= inside / 400 <= 0.88


def test_shards_that_differ_by_more_than_their_images_widen_the_range() -> None:
    run = a_run()
    even, uneven = Ledger(run), Ledger(run)
    for number in range(100):
        even.add(a_row(run, number))
        uneven.add(a_row(run, number, ms={**MS, "infer": 10.0 if number < 50 else 30.0}))

    flat, steep = (ledger.costs(Listing(), workers=1) for ledger in (even, uneven))

    assert flat
    assert steep
    assert flat.steps["infer"].between == 0
    assert steep.steps["infer"].between == pytest.approx(0.25, rel=0.2)
