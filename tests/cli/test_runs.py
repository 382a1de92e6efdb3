"""ls, get, watch, report, delete: what became of runs."""

from __future__ import annotations

import time
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from imgflow_steps.contract.job import Counts
from imgflow_steps.pipeline.model import parse
from imgflow_steps.records import keys
from imgflow_steps.records.listing import Listing
from imgflow_steps.records.progress import ShardProgress
from imgflow_steps.records.run import Run, save
from imgflow_steps.records.summary import Phase, Summary
from imgflow_steps.store import Store

if TYPE_CHECKING:
    from tests.cli.conftest import Cli

PIPELINE = parse({"steps": ["scale", "grayscale"]})


def run_in(store: Store, name: str, municipality: str = "Demo", *, age: float = 0, engine: str = "local") -> Run:
    run = Run(id=name, municipality=municipality, pipeline=PIPELINE, created=time.time() - age, engine=engine)
    save(store, run)
    return run


def list_in(store: Store, name: str, images: int, layout: str = "fused") -> None:
    listing = Listing(listed=images, todo=images, shards=1, shard_size=images, layout=layout)
    store.write(keys.listing_json(name), listing.model_dump_json().encode())


def progress_in(store: Store, name: str, label: str, done: int, position: int, age: float = 0) -> None:
    shard = ShardProgress(label=label, shard=0, total=10, done=done, updated=time.time() - age)
    store.write(keys.shard_progress(name, position, 0), shard.model_dump_json().encode())


def end_in(store: Store, run: Run, status: Phase = Phase.SUCCEEDED, code: int = 0) -> None:
    summary = Summary(
        run=run.id,
        municipality=run.municipality,
        digest=run.digest,
        status=status,
        exit=code,
        counts=Counts(listed=5, processed=4, rejected=1),
        report=f"{store.url}/{keys.report(run.id)}index.html",
        ended=time.time(),
    )
    store.write(keys.summary_json(run.id), summary.model_dump_json().encode())


def test_runs_are_listed_newest_first_as_columns(imgflow: Cli, store: Store) -> None:
    end_in(store, run_in(store, "older", age=7200))
    run_in(store, "newer", "Östra Göinge", age=30)

    listed = imgflow("ls")

    header, first, second = listed.out.splitlines()
    assert header.split() == "NAME STATUS MUNICIPALITY LISTED PROCESSED CACHED REJECTED FAILED AGE".split()  # noqa: SIM905 - reads as the line does
    assert first.split() == ["newer", "pending", "Östra", "Göinge", "0", "0", "0", "0", "0", "30s"]
    assert second.split() == ["older", "succeeded", "Demo", "5", "4", "0", "1", "0", "2h00m"]
    assert listed.err == ""


def test_runs_of_one_municipality_are_listed_by_name_for_other_commands(imgflow: Cli, store: Store) -> None:
    for name, municipality in (("one", "Demo"), ("two", "Demo-2"), ("three", "Demo")):
        run_in(store, name, municipality)

    assert imgflow("ls", "-m", "Demo", "-o", "name").out.splitlines() == ["three", "one"]
    assert [item["run"] for item in imgflow("ls", "-o", "json").json["items"]] == ["three", "two", "one"]


def test_municipalities_are_listed(imgflow: Cli, store: Store) -> None:
    for name in ("Demo", "Östra Göinge", "{{=1+1}}'; rm -rf / #"):
        store.write(keys.images(name) + "a.jpg", b"")

    listed = imgflow("ls", "municipalities", "-o", "json").json["items"]

    assert sorted(item["municipality"] for item in listed) == ["Demo", "{{=1+1}}'; rm -rf / #", "Östra Göinge"]


def test_latest_is_the_newest_run_or_the_newest_of_a_municipality(imgflow: Cli, store: Store) -> None:
    run_in(store, "old", "Demo", age=100)
    run_in(store, "new", "Utrecht")

    assert imgflow("get", "@latest", "-o", "name").out.strip() == "new"
    assert imgflow("get", "@latest", "-m", "Demo", "-o", "name").out.strip() == "old"


def test_an_unknown_run_is_answered_with_the_nearest(imgflow: Cli, store: Store) -> None:
    run_in(store, "demo-1")

    done = imgflow("get", "demo-2")

    assert done.code == 2
    assert "there is no run 'demo-2'" in done.err
    assert "did you mean 'demo-1'?" in done.err


@pytest.mark.parametrize("command", [["get"], ["retry"], ["submit", "--run"]])
def test_a_run_of_another_imgflow_is_named(imgflow: Cli, store: Store, command: list[str]) -> None:
    store.write(keys.run_json("newer"), b'{"colour_of_the_sky": "blue"}')

    done = imgflow(*command, "newer")

    assert done.code == 1
    assert "run newer in" in done.err
    assert "was it written by another version of imgflow?" in done.err


@pytest.mark.parametrize("name", ["../../etc", "UPPER", "a" * 54])
def test_what_cannot_be_a_run_id_is_refused(imgflow: Cli, store: Store, name: str) -> None:
    assert imgflow("get", name).code == 2


def test_what_an_earlier_step_has_done_is_not_yet_processed(imgflow: Cli, store: Store) -> None:
    run_in(store, "half")
    list_in(store, "half", 10, "steps")
    progress_in(store, "half", "scale", 9, 1)

    before = imgflow("get", "half", "-o", "json").json["counts"]
    progress_in(store, "half", "grayscale", 2, 2)
    after = imgflow("get", "half", "-o", "json").json["counts"]

    assert (before["processed"], after["processed"]) == (0, 2)


@pytest.mark.parametrize(("engine", "status"), [("local", "interrupted"), ("argo", "running")])
def test_a_run_of_this_machine_that_is_silent_for_long_was_interrupted(
    imgflow: Cli, store: Store, engine: str, status: str
) -> None:
    run_in(store, "silent", age=9000, engine=engine)
    list_in(store, "silent", 10)
    progress_in(store, "silent", "grayscale", 3, 2, age=8000)

    assert imgflow("get", "silent", "-o", "json").json["status"] == status


def test_watch_ends_as_the_run_ended(imgflow: Cli, store: Store) -> None:
    end_in(store, run_in(store, "done"))
    end_in(store, run_in(store, "too-many"), Phase.FAILED, 4)

    assert imgflow("watch", "done").code == 0
    assert imgflow("watch", "too-many").code == 4


def test_report_says_where_it_is_or_that_there_is_none_yet(imgflow: Cli, store: Store) -> None:
    end_in(store, run_in(store, "done"))
    run_in(store, "open")

    there, not_yet = imgflow("report", "done"), imgflow("report", "open")

    assert there.out.strip() == f"{store.url}/runs/done/report/index.html"
    assert not_yet.code == 1
    assert "imgflow watch open" in not_yet.err


def test_report_that_cannot_be_saved_is_wrong_usage(imgflow: Cli, demo: Store) -> None:
    imgflow("submit", "-m", "Demo", "--workers", "1")

    done = imgflow("report", "@latest", "-o", "nowhere/one.html")

    assert done.code == 2
    assert "nowhere/one.html" in done.err
    assert "unexpected" not in done.err


def test_report_is_saved_as_one_file_and_opened(imgflow: Cli, demo: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda url: opened.append(url) or True)
    imgflow("submit", "-m", "Demo", "--workers", "1")

    saved = imgflow("report", "@latest", "-o", "one.html", "--open")

    page = Path("one.html").read_text(encoding="utf-8")
    assert saved.out.strip() == "one.html"
    assert opened == [Path("one.html").resolve().as_uri()]
    assert "data:image/jpeg;base64," in page
    monkeypatch.setattr(webbrowser, "open", lambda _: False)
    unopened = imgflow("report", "@latest", "-o", "one.html", "--open")
    assert unopened.code == 1
    assert unopened.err.endswith("no browser could be started\none.html is the whole report: open it in one\n")
    assert 'src="thumbs/' not in page


def test_delete_asks_first_and_keeps_results(imgflow: Cli, demo: Store) -> None:
    imgflow("submit", "-m", "Demo", "--workers", "1", "--run", "mine")

    asked = imgflow("delete", "mine")
    still_there = imgflow("get", "mine").code == 0
    deleted = imgflow("delete", "mine", "--yes")

    assert (asked.code, still_there, deleted.code) == (2, True, 0)
    assert "--yes" in asked.err
    assert not list(demo.entries("runs/"))
    assert len(list(demo.entries("results/Demo/"))) > 3


def test_a_local_run_is_stopped_where_it_runs_and_has_no_container_logs(imgflow: Cli, store: Store) -> None:
    run_in(store, "mine")

    assert "Ctrl-C" in imgflow("stop", "mine").err
    assert "imgflow report mine" in imgflow("logs", "mine").err


def test_a_store_that_does_not_answer_ends_with_5(imgflow: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("IMGFLOW_ENDPOINT", "http://127.0.0.1:9")

    done = imgflow("ls", "--store", "s3://imgflow", "-o", "json")

    assert done.code == 5
    assert done.json["error"]["code"] == "unreachable"
    assert "127.0.0.1:9" in done.json["error"]["message"]
    assert "secret" not in done.json["error"]["message"]
