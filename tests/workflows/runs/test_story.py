"""An image's story: every run that listed it, and why it was computed there or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests import local_runs, photographs

from imgflow_steps.pipeline.model import Pipeline, parse
from imgflow_steps.records import keys, rows
from imgflow_steps.records.listing import Listing
from imgflow_steps.records.row import Entry, Row, Status
from imgflow_steps.records.run import Run, save
from imgflow_steps.records.summary import Summary
from imgflow_steps.store import Store
from imgflow_workflows.runs.differences import differences
from imgflow_workflows.runs.history import Record, records
from imgflow_workflows.runs.lookup import SHOWN, lookup
from imgflow_workflows.runs.story import Story, tell

SMALL: dict[str, Any] = {"scale": {"width": 48, "height": 48}}
IMAGE = "a/000.jpg"


def known(store: Store) -> list[Record]:
    return [one for _, one in records(store) if isinstance(one, Record)]


def story(store: Store, image: str = IMAGE) -> Story:
    return tell(store, "Demo", image, known(store))


def why(store: Store, image: str = IMAGE) -> list[tuple[str, ...]]:
    return [chapter.why for chapter in story(store, image).chapters]


def verdicts(store: Store, image: str = IMAGE) -> list[tuple[str, str]]:
    return [(chapter.record.run.id, chapter.verdict) for chapter in story(store, image).chapters]


def listed(store: Store, run_id: str, images: Sequence[str], *, shard_size: int = 2, **asked: Any) -> Run:
    """A run that has been listed and not come any further."""
    run = Run(id=run_id, municipality="Demo", pipeline=local_runs.PLAIN, **{"created": 5.0, **asked})
    save(store, run)
    lines = [Entry(image=image, version="v1").model_dump_json().encode() + b"\n" for image in sorted(images)]
    shards = range(0, len(lines), shard_size)
    for number, at in enumerate(shards):
        store.write(keys.manifest(run_id, number), b"".join(lines[at : at + shard_size]))
    store.write(keys.listing(run_id), b"".join(lines))
    listing = Listing(listed=len(lines), shards=len(shards), digest=run.digest, versions=run.pipeline.versions)
    store.write(keys.listing_json(run_id), listing.model_dump_json().encode())
    return run


def test_each_run_says_whether_it_computed_the_image_and_which_part_of_its_key_was_new(store: Store) -> None:
    local_runs.dataset(store, 3)
    local_runs.submit(store, "one")
    local_runs.submit(store, "two")
    local_runs.submit(store, "three", parse({"steps": [SMALL, "grayscale"], "output": {"quality": 70}}))
    store.write(keys.images("Demo") + IMAGE, photographs.jpeg(77))
    local_runs.submit(store, "four")

    told = story(store)

    assert [(c.record.run.id, c.verdict) for c in told.chapters] == [
        ("four", "processed"),
        ("three", "processed"),
        ("two", "cached"),
        ("one", "processed"),
    ]
    [four], three, two, one = (chapter.why for chapter in told.chapters)
    assert four.startswith("another version of the image: ")
    assert three == ("output.quality is 70, was 85",)
    assert two == ("cache hit: run one computed it",)
    assert one == ("no run had listed it before",)
    assert told.now
    assert told.now.version == told.chapters[0].entry.version
    assert told.chapters[0].row
    assert store.stat(told.chapters[0].row.outputs[0].key)


def test_what_lies_there_now_may_be_gone_or_another_version(directory_store: Store) -> None:
    store = directory_store
    local_runs.dataset(store, 2)
    local_runs.submit(store, "one")

    assert not story(store).replaced
    store.write(keys.images("Demo") + IMAGE, b"other")
    assert story(store).replaced
    store.delete([keys.images("Demo") + IMAGE])
    assert story(store).now is None


def test_what_was_rejected_is_not_asked_again_unless_somebody_wants_it(directory_store: Store) -> None:
    store = directory_store
    store.write(keys.images("Demo") + "letter.jpg", b"Dear Sir")
    for run, more in (("one", {}), ("two", {}), ("three", {"retry": "rejected"})):
        local_runs.submit(store, run, **more)

    assert why(store, "letter.jpg")[:2] == [
        ("it was rejected in run two: asked again, as --retry rejected says",),
        ("rejected by run one, not asked again",),
    ]


def test_an_image_of_a_run_that_goes_on_waits_in_its_shard(directory_store: Store) -> None:
    store = directory_store
    images = [f"{i}.jpg" for i in range(7)]
    run = listed(store, "new", images)
    done = Row(image="2.jpg", version="v1", run="new", shard=1, ended=9.0)
    rows.write_part(store, run.rows, [done, Row(image="3.jpg", version="v0", run="new", shard=1, ended=9.0)])

    assert [(story(store, i).chapters[0].verdict, story(store, i).chapters[0].shard) for i in images] == [
        ("waiting", 0),
        ("waiting", 0),
        ("processed", 1),
        ("waiting", 1),  # what is known is of another version
        ("waiting", 2),
        ("waiting", 2),
        ("waiting", 3),
    ]


def test_of_several_rows_the_one_that_ended_last_counts(directory_store: Store) -> None:
    run = listed(directory_store, "new", ["a"])
    for ended, status in ((1.0, Status.FAILED), (3.0, Status.REJECTED), (2.0, Status.PROCESSED)):
        row = Row(image="a", version="v1", run="new", ended=ended, status=status)
        rows.write_part(directory_store, run.rows, [row])

    assert verdicts(directory_store, "a") == [("new", "rejected")]


def test_results_of_an_attempt_that_a_retry_has_begun_anew_are_not_its_verdict(directory_store: Store) -> None:
    run = listed(directory_store, "again", ["a"])
    old = Row(image="a", version="v1", run="again", status=Status.FAILED)
    directory_store.write(keys.results_jsonl("again"), old.model_dump_json().encode() + b"\n")

    assert verdicts(directory_store, "a") == [("again", "waiting")]
    end = Summary(run="again", municipality="Demo", digest=run.digest, status="failed", exit=1, counts={}, report="x")
    directory_store.write(keys.summary_json("again"), end.model_dump_json().encode())
    assert verdicts(directory_store, "a") == [("again", "failed")]


def test_what_a_run_knew_and_was_deleted_is_said_to_be_gone(directory_store: Store) -> None:
    store = directory_store
    local_runs.dataset(store, 1)
    local_runs.submit(store, "one")
    run = next(one.run for one in known(store))
    store.delete([found.key for found in store.entries(run.rows)])
    local_runs.submit(store, "two")

    assert why(store)[0] == ("what run one knew of it is no longer in the store",)


def a_record(document: dict[str, Any], **more: Any) -> Record:
    source = more.pop("source", "")
    run = Run(id="x", municipality="Demo", pipeline=parse(document), source=source, version="0.1.0")
    return Record(run, Listing(digest=run.digest, versions=run.pipeline.versions), None)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (["scale"], [{"scale": {"width": 9}}], ["scale.width is 9, was 1024"]),
        (["scale"], [{"scale": {"enlarge": True}}], ["scale.enlarge is true, was false"]),
        (["scale", "scale"], ["scale", {"scale": {"mode": "cover"}}], ["scale.2.mode is cover, was fit"]),
        (["scale", "grayscale"], ["scale"], ["without step grayscale"]),
        (["scale"], ["scale", "grayscale", "infer"], ["with steps grayscale, infer"]),
        (
            ["scale", "grayscale"],
            ["grayscale", "scale"],
            ["the order of the steps is grayscale → scale, was scale → grayscale"],
        ),
        (
            [{"infer": {"model": "models/a.onnx"}}],
            [{"infer": {"model": "models/b.onnx"}}],
            ["infer.model is another file: models/b.onnx, was models/a.onnx"],
        ),
    ],
)
def test_the_steps_that_differ_are_named(before: list[Any], after: list[Any], words: list[str]) -> None:
    assert differences(a_record({"steps": before}), a_record({"steps": after})) == words


def test_source_encoder_and_limits_are_named() -> None:
    plain = {"steps": ["scale"]}
    other = {**plain, "output": {"format": "png"}, "limits": {"seconds": 5}}

    assert differences(a_record(plain), a_record(other, source="s3://x")) == [
        "source is s3://x, was the municipality's dataset",
        "output.format is png, was jpeg",
        "limits.seconds is 5.0, was 60",
    ]
    assert differences(a_record(plain), a_record(plain)) == []


def test_a_step_whose_version_was_raised_is_named_although_nobody_asked_for_anything_else() -> None:
    now = a_record({"steps": ["scale"]})
    assert now.listing
    then = replace(
        now, listing=now.listing.model_copy(update={"digest": "0" * 16, "versions": {"picture": 0, "scale": 0}})
    )

    said = differences(then, now)

    assert f"step scale gives other bytes since: version {now.listing.versions['scale']}, was 0" in said
    assert any(one.startswith("reading and writing pictures gives other bytes since: ") for one in said)
    unknown = replace(then, listing=then.listing.model_copy(update={"versions": {}}))
    assert differences(unknown, now) == ["another version of imgflow listed: 0.1.0, was 0.1.0"]


def test_an_image_is_known_by_its_key_its_ending_and_its_result(store: Store) -> None:
    local_runs.dataset(store, 4)
    local_runs.submit(store, "one")
    [result] = [row.outputs[0].key for row in (c.row for c in story(store).chapters) if row]

    for asked in (
        IMAGE,
        "000.jpg",
        "/000.jpg",
        keys.images("Demo") + IMAGE,
        f"{store.url}/{keys.images('Demo')}{IMAGE}",
        result,
        f"{store.url}/{result}",
    ):
        assert lookup(store, known(store), asked).images == [("Demo", IMAGE)], asked


def test_several_are_all_counted_and_some_of_them_named(directory_store: Store) -> None:
    listed(directory_store, "many", [f"{i:03d}.jpg" for i in range(50)])

    match = lookup(directory_store, known(directory_store), ".jpg")

    assert (match.count, len(match.images)) == (50, SHOWN)


def test_a_whole_last_part_counts_before_letters_and_a_whole_key_before_both(directory_store: Store) -> None:
    listed(directory_store, "some", ["1.jpg", "a/11.jpg", "a/21.jpg", "b/2/1.jpg", "3.jpg", "c/33.jpg"])
    asked = {
        name: lookup(directory_store, known(directory_store), name).images for name in ("1.jpg", "11.jpg", "2/1.jpg")
    }

    assert asked == {"1.jpg": [("Demo", "1.jpg")], "11.jpg": [("Demo", "a/11.jpg")], "2/1.jpg": [("Demo", "b/2/1.jpg")]}
    assert lookup(directory_store, known(directory_store), "1/1.jpg").nearest


def test_the_same_key_of_two_municipalities_is_two_images(directory_store: Store) -> None:
    for name in ("Demo", "Östra Göinge"):
        directory_store.write(keys.images(name) + "a.jpg", b"x")

    assert lookup(directory_store, [], "a.jpg").images == [("Demo", "a.jpg"), ("Östra Göinge", "a.jpg")]
    assert lookup(directory_store, [], "a.jpg", "Östra Göinge").images == [("Östra Göinge", "a.jpg")]


@pytest.mark.parametrize("name", ["\udcff.jpg", 'a"b\\c.jpg', "two\nlines\x01\x7f.jpg", "\u2028é💥.jpg"])
def test_an_ending_may_hold_whatever_a_name_may(directory_store: Store, name: str) -> None:
    image = "folder/" + name.encode("utf-8", "backslashreplace").decode()
    listed(directory_store, "odd", [image, "folder/other.jpg"])

    assert lookup(directory_store, known(directory_store), name).images == [("Demo", image)]


def test_names_like_the_one_that_is_not_there_are_offered(directory_store: Store) -> None:
    listed(directory_store, "some", ["a/photo-17.jpg", "b/else.png"])

    match = lookup(directory_store, known(directory_store), "photo-71.jpg")

    assert (match.images, match.nearest) == ([], ["a/photo-17.jpg"])


def test_a_result_whose_name_was_cut_leads_to_its_image_by_its_row(directory_store: Store, tmp_path: Path) -> None:
    image = "x" * 251 + ".jpg"
    directory_store.write(keys.images("Demo") + image, photographs.jpeg(1))
    local_runs.submit(directory_store, "one")
    [key] = [f.key for f in directory_store.entries("results/") if "/images/" in f.key]

    assert "~_" in key
    assert lookup(directory_store, known(directory_store), key).images == [("Demo", image)]


def test_a_run_of_another_imgflow_is_told_from_one_without_its_document(directory_store: Store) -> None:
    listed(directory_store, "good", ["a"])
    directory_store.write("runs/newer/run.json", b'{"id": "newer", "what": 1}')
    directory_store.write("runs/empty/logs/pod/main.log", b"")

    found = {name: type(one).__name__ for name, one in records(directory_store)}

    assert found == {"good": "Record", "newer": "ValidationError", "empty": "NoneType"}


def test_a_pipeline_says_the_versions_that_its_digest_covers() -> None:
    plain = Pipeline.model_validate({"steps": ["scale", "scale", "grayscale"]})

    assert plain.versions.keys() == {"picture", "scale", "grayscale"}
