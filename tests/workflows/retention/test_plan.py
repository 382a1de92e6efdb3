"""What a store could do without is found, and never more; deleting it meets runs that begin, and interruptions."""

from __future__ import annotations

import time
from typing import Any

import pytest
from tests import local_runs, photographs
from tests.made_runs import Meddled

from imgflow_steps.contract.job import Counts
from imgflow_steps.list.work import run as list_images
from imgflow_steps.pipeline.model import Pipeline, parse
from imgflow_steps.records import keys
from imgflow_steps.records.listing import Listing
from imgflow_steps.records.pruning import check_not_pruned
from imgflow_steps.records.row import Row
from imgflow_steps.records.rows import write_part
from imgflow_steps.records.run import Run, save
from imgflow_steps.records.summary import Phase, Summary
from imgflow_steps.redact import STEP
from imgflow_steps.store import Store, UnavailableError
from imgflow_workflows.argo.schedule import Schedule
from imgflow_workflows.retention import deletion as module
from imgflow_workflows.retention.deletion import Deletion
from imgflow_workflows.retention.plan import DAY, Item, Rules, RunIndex, What, plan, run_index, uncovered

NOW = 1.8e9
MODEL = keys.model("a" * 64, ".onnx")


def pipeline(width: int = 100, **infer: str) -> Pipeline:
    return parse({"steps": [{"scale": {"width": width}}, *([{"infer": infer}] if infer else [])]})


def a_run(
    store: Store,
    name: str,
    days: float,
    *,
    width: int = 100,
    status: Phase | None = Phase.SUCCEEDED,
    municipality: str = "Demo",
    engine: str = "local",
    model: str = "",
) -> Run:
    """A run that was heard of so many days ago, its documents, and what it may have left of two images."""
    steps = pipeline(width, **({"model": model} if model else {}))
    then = NOW - days * DAY
    run = Run(id=name, municipality=municipality, pipeline=steps, created=then, engine=engine)
    save(store, run)
    listing = Listing(listed=2, digest=run.digest, ended=then)
    store.write(keys.listing_json(name), listing.model_dump_json().encode())
    if status:
        end = Summary(
            run=name, municipality=municipality, digest=run.digest, status=status, exit=0, counts=Counts(), ended=then
        )
        store.write(keys.summary_json(name), end.model_dump_json().encode())
    for image in ("a.jpg", "b/c.jpg"):
        store.write(keys.published(municipality, run.digest, image, "", "jpg"), b"picture")
    store.write(keys.thumb(municipality, run.digest, "a.jpg", "v", "after"), b"thumb")
    store.write(keys.scratch(name, 1, 0), b"tar")
    write_part(store, run.rows, [Row(image="a.jpg", version="v", run=name)])
    return run


def planned(store: Store, **rules: Any) -> dict[str, str]:
    """Why each item stays; "" where it goes."""
    items = plan(store, run_index(store), Rules(**{"now": NOW, "keep": 1, **rules}))
    return {f"{item.what}:{item.name}": item.keep for item in items}


def going(store: Store, **rules: Any) -> set[str]:
    return {name for name, keep in planned(store, **rules).items() if not keep}


def prune(store: Store, **rules: Any) -> Deletion:
    runs = run_index(store)
    items = plan(store, runs, Rules(**{"now": NOW, "keep": 1, **rules}))
    deletion = Deletion(store, runs)
    for item in items:
        if not item.keep:
            deletion.delete(item)
    return deletion


def old_digests(store: Store, runs: RunIndex) -> list[Item]:
    items = plan(store, runs, Rules(now=NOW, keep=1))
    return [item for item in items if item.what is What.DIGESTS and not item.keep]


def left(store: Store) -> list[str]:
    return [found.key for found in store.entries()]


def test_old_results_and_their_runs_go_and_everything_newer_stays_to_the_byte(store: Store) -> None:
    store.write(keys.images("Demo") + "a.jpg", b"photograph")
    new = a_run(store, "new", 1)
    before = left(store)
    old = a_run(store, "old", 90, width=50)

    items = plan(store, run_index(store), Rules(now=NOW, keep=1))
    deletion = prune(store)

    costs = {item.name: (item.objects, item.bytes) for item in items if not item.keep}
    assert costs[f"Demo/{old.digest}"][0] == 4
    assert costs["old"][0] == 3
    assert left(store) == before
    assert (deletion.objects, deletion.kept) == (8, {})
    assert store.stat(keys.published("Demo", new.digest, "a.jpg", "", "jpg"))


def test_a_municipality_s_newest_digest_stays_however_old(directory_store: Store) -> None:
    for days, width in ((400, 1), (300, 2), (200, 3)):
        a_run(directory_store, f"demo-{days}", days, width=width)
    other = a_run(directory_store, "other", 500, municipality="Östra Göinge")

    gone = {name for name in going(directory_store) if name.startswith("digests:")}
    fewer = {name for name in going(directory_store, keep=2) if name.startswith("digests:")}

    assert len(gone) == 2
    assert len(fewer) == 1
    assert planned(directory_store)[f"digests:Östra Göinge/{other.digest}"] == "newest of Östra Göinge"


@pytest.mark.parametrize(
    ("status", "days", "why"),
    [
        (None, 90, "run old is not finished"),
        (Phase.INTERRUPTED, 90, "run old is not finished"),
        (Phase.FAILED, 3, "run old failed and can be retried"),
        (Phase.FAILED, 90, ""),
        (Phase.SUCCEEDED, 90, ""),
    ],
)
def test_what_an_unfinished_run_needs_stays(
    directory_store: Store, status: Phase | None, days: float, why: str
) -> None:
    a_run(directory_store, "new", 0)
    old = a_run(directory_store, "old", days, width=50, status=status)

    told = planned(directory_store, older=DAY)

    assert told[f"digests:Demo/{old.digest}"] == told["scratch:old"] == told["runs:old"] == why


def test_the_newest_run_of_a_digest_that_stays_stays_and_older_ones_go(directory_store: Store) -> None:
    a_run(directory_store, "first", 90)
    a_run(directory_store, "second", 60)

    told = planned(directory_store)

    assert told["runs:first"] == ""
    assert told["runs:second"].startswith("the last of digest ")


def test_what_a_schedule_needs_stays_and_without_asking_a_cluster_everything_of_its_runs(
    directory_store: Store,
) -> None:
    a_run(directory_store, "new", 0)
    old = a_run(directory_store, "old", 90, width=50, engine="argo")
    directory_store.write(MODEL, b"model")
    name = f"digests:Demo/{old.digest}"
    schedule = Schedule("Demo", pipeline(50).digest, frozenset({MODEL}))
    later = {"now": time.time() + 90 * DAY}

    assert planned(directory_store)[name] == ""
    assert planned(directory_store, schedules=frozenset({schedule}))[name] == "a schedule needs it"
    assert planned(directory_store, schedules=None)[name] == "a schedule of the cluster may need it"
    models = f"models:{MODEL}"
    assert planned(directory_store, **later)[models] == ""
    assert planned(directory_store, schedules=frozenset({schedule}), **later)[models] == "a schedule names it"
    assert planned(directory_store, schedules=None, **later)[models] == "a schedule of the cluster may need it"
    elsewhere = Schedule("Utrecht", schedule.digest)
    assert planned(directory_store, schedules=frozenset({elsewhere}))[name] == ""


def test_a_run_of_another_imgflow_keeps_what_it_alone_knows_about(directory_store: Store) -> None:
    a_run(directory_store, "new", 0)
    a_run(directory_store, "old", 90, width=50)
    directory_store.write(keys.run_json("newer"), b'{"id": "newer", "unheard": "of"}')
    directory_store.write(keys.scratch("newer", 1, 0), b"tar")

    assert going(directory_store) == {"scratch:old"}


def test_leftovers_of_no_run_go_when_they_have_lain_long_enough(store: Store) -> None:
    a_run(store, "new", 0)
    store.write("results/Demo/0123456789abcdef/images/a.jpg.jpg", b"x")
    store.write("scratch/nobody/1/00000.tar", b"xx")
    store.write("runs/nobody/logs/pod/main.log", b"xxx")
    store.write(MODEL, b"xxxx")
    leftovers = {"digests:Demo/0123456789abcdef", "scratch:nobody", "runs:nobody", f"models:{MODEL}"}

    assert going(store, now=time.time()) & leftovers == set()
    assert leftovers <= going(store, now=time.time() + 31 * DAY)


def test_models_go_when_no_run_that_stays_names_them(directory_store: Store) -> None:
    used, unused = MODEL, keys.model("b" * 64, ".onnx")
    for key in (used, unused):
        directory_store.write(key, b"model")
    a_run(directory_store, "new", 0, model=used)
    a_run(directory_store, "old", 90, width=50, model=unused)
    later = time.time() + 31 * DAY

    told = planned(directory_store, now=later, older=31 * DAY)

    assert told[f"models:{used}"] == "run new names it"
    assert told[f"models:{unused}"] == ""


def test_only_the_kinds_and_the_municipality_that_were_asked_for_are_looked_at(directory_store: Store) -> None:
    a_run(directory_store, "new", 0)
    a_run(directory_store, "old", 90, width=50)
    a_run(directory_store, "other", 90, municipality="Utrecht")

    assert going(directory_store, what=frozenset({What.SCRATCH})) == {"scratch:old", "scratch:other"}
    assert {name.partition(":")[2] for name in going(directory_store, municipality="Utrecht")} == {"other"}


def test_small_pictures_go_alone_where_a_digest_stays_only_as_one_of_the_newest(directory_store: Store) -> None:
    a_run(directory_store, "new", 0)
    old = a_run(directory_store, "old", 90, width=50)

    assert f"thumbs:Demo/{old.digest}" in going(directory_store, keep=2)
    prune(directory_store, keep=2)
    there = [key for key in left(directory_store) if old.digest in key]
    assert [key for key in there if "/thumbs/" in key] == []
    assert len([key for key in there if "/images/" in key]) == 2


def test_a_run_that_began_before_the_deletion_keeps_its_results(store: Store) -> None:
    a_run(store, "new", 0)
    old = a_run(store, "old", 90, width=50)
    runs = run_index(store)
    items = old_digests(store, runs)
    before = [key for key in left(store) if old.digest in key]

    save(store, old.model_copy(update={"id": "again"}))
    deletion = Deletion(store, runs)
    for item in items:
        deletion.delete(item)

    assert [key for key in left(store) if old.digest in key] == before
    assert deletion.kept == {f"Demo/{old.digest}": "run again began to need it"}


def test_a_run_that_is_retried_meanwhile_keeps_everything(directory_store: Store) -> None:
    a_run(directory_store, "new", 0)
    old = a_run(directory_store, "old", 90, width=50, model=MODEL)
    directory_store.write(MODEL, b"model")
    runs = run_index(directory_store)
    items = [one for one in plan(directory_store, runs, Rules(now=time.time() + 60 * DAY, keep=1)) if not one.keep]
    save(directory_store, old.model_copy(update={"created": NOW}))
    before = left(directory_store)

    deletion = Deletion(directory_store, runs)
    for item in items:
        deletion.delete(item)

    assert left(directory_store) == before
    assert set(deletion.kept) == {"old", f"Demo/{old.digest}", MODEL}


def test_a_run_that_begins_in_the_middle_stops_the_deletion_and_loses_only_rows(
    directory_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK", 0.0)
    a_run(directory_store, "new", 0)
    old = a_run(directory_store, "old", 90, width=50)
    runs = run_index(directory_store)
    [item] = old_digests(directory_store, runs)
    begin = Meddled(directory_store, delete=lambda: save(directory_store, old.model_copy(update={"id": "again"})))

    deletion = Deletion(begin, runs)  # type: ignore[arg-type]  # a real store, meddled with
    deletion.delete(item)

    assert deletion.kept == {item.name: "run again began to need it"}
    there = [key.removeprefix(item.prefix) for key in left(directory_store) if key.startswith(item.prefix)]
    assert [key.partition("/")[0] for key in there] == ["images", "images", "thumbs"]


def test_list_waits_while_results_of_its_digest_are_deleted_and_not_for_a_mark_that_was_left_behind(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write(keys.images("Demo") + "a.jpg", photographs.jpeg(1))
    run = Run(id="one", municipality="Demo", pipeline=pipeline())
    save(store, run)
    store.write(keys.pruning("Demo", run.digest), b"")

    with pytest.raises(UnavailableError, match="imgflow retry one"):
        list_images(store, run)
    monkeypatch.setattr("imgflow_steps.records.pruning.STALE", -1)
    assert list_images(store, run).todo == 1
    assert store.stat(keys.pruning("Demo", run.digest)) is None


def test_a_deletion_is_marked_while_it_goes_on_and_not_afterwards(directory_store: Store) -> None:
    a_run(directory_store, "new", 0)
    old = a_run(directory_store, "old", 90, width=50)
    seen: list[str] = []

    class Asked:
        def __getattr__(self, name: str) -> Any:
            if name == "delete" and not seen:
                with pytest.raises(UnavailableError):
                    check_not_pruned(directory_store, old)
                seen.append(name)
            return getattr(directory_store, name)

    runs = run_index(directory_store)
    [item] = old_digests(directory_store, runs)
    Deletion(Asked(), runs).delete(item)  # type: ignore[arg-type]  # a real store, asked on the way

    assert seen == ["delete"]
    assert [key for key in left(directory_store) if old.digest in key] == []
    check_not_pruned(directory_store, old)


class _Killed(BaseException):
    pass


@pytest.mark.parametrize("survived", range(8))
def test_wherever_a_deletion_is_killed_no_row_speaks_of_a_picture_that_is_gone_and_it_can_go_on(
    directory_store: Store, survived: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH", 1)
    monkeypatch.setattr(module, "THREADS", 1)
    a_run(directory_store, "new", 0)
    before = left(directory_store)
    old = a_run(directory_store, "old", 90, width=50)
    runs = run_index(directory_store)
    count = iter(range(survived))

    class Dying:
        def __getattr__(self, name: str) -> Any:
            if name == "delete" and next(count, None) is None:
                raise _Killed
            return getattr(directory_store, name)

    items = [one for one in plan(directory_store, runs, Rules(now=NOW, keep=1)) if not one.keep]
    deletion = Deletion(Dying(), runs)  # type: ignore[arg-type]  # a real store until it is killed
    with pytest.raises(_Killed):
        list(map(deletion.delete, items))

    rows = list(directory_store.entries(old.rows))
    pictures = [key for key in left(directory_store) if old.digest in key and "/images/" in key]
    assert not rows or len(pictures) == 2
    prune(directory_store, now=NOW)
    prune(directory_store, now=time.time() + 31 * DAY, municipality="", keep=1, what=frozenset({What.DIGESTS}))
    assert [key for key in left(directory_store) if old.digest in key] == []
    assert set(before) <= set(left(directory_store))


def test_after_a_deletion_the_same_pipeline_computes_anew_and_ends_whole(store: Store) -> None:
    local_runs.dataset(store, 3)
    local_runs.submit(store, "one")
    pictures = local_runs.pictures(store, "one")
    local_runs.submit(store, "other", parse({"steps": [{"scale": {"width": 20}}]}))

    deletion = prune(store, now=time.time() + 40 * DAY)
    summary = local_runs.submit(store, "two")

    assert deletion.kept == {}
    assert (summary.counts.processed, summary.counts.cached) == (3, 0)
    assert local_runs.pictures(store, "two") == pictures


def test_what_an_older_version_of_redact_has_covered_goes_as_uncovered_and_doctor_names_it(store: Store) -> None:
    run = Run(id="covers", municipality="Demo", pipeline=parse({"steps": ["redact"]}), created=NOW)
    save(store, run)

    def listed(**versions: int) -> tuple[list[str], list[str]]:
        listing = Listing(listed=1, digest=run.digest, ended=NOW, versions=versions)
        store.write(keys.listing_json(run.id), listing.model_dump_json().encode())
        told = {"run": run.id, "municipality": "Demo", "digest": run.digest, "status": Phase.SUCCEEDED, "exit": 0}
        ended = Summary.model_validate({**told, "counts": Counts(), "ended": NOW})
        store.write(keys.summary_json(run.id), ended.model_dump_json().encode())
        store.write(keys.published("Demo", run.digest, "a.jpg", "", "jpg"), b"picture")
        runs = run_index(store)
        going = [one.name for one in plan(store, runs, Rules(now=NOW, unredacted=True)) if not one.keep]
        return going, [one.run.id for one in uncovered(runs, "Demo")]

    assert listed(redact=STEP.version) == ([], [])
    assert listed() == ([], []), "an imgflow that kept no versions"
    assert listed(redact=STEP.version - 1) == ([f"Demo/{run.digest}", "covers"], ["covers"])


def test_an_empty_store_has_nothing_to_delete(store: Store) -> None:
    assert plan(store, run_index(store), Rules(now=NOW)) == []
