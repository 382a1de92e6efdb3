"""imgflow report of a run that goes on, or ended without results, on any engine."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.made_runs import PIPELINE, MadeRun

from imgflow_steps.collect.work import run as collect
from imgflow_steps.records import keys
from imgflow_steps.records.listing import Listing
from imgflow_steps.records.run import Run, save
from imgflow_steps.records.summary import Phase
from imgflow_workflows.errors import ExitCode
from imgflow_workflows.submit.follow import mark

if TYPE_CHECKING:
    from tests.cli.conftest import Cli

    from imgflow_steps.store import Store


def going(store: Store, engine: str, *, listed: bool = True) -> MadeRun:
    asked = {"id": "mine", "municipality": "Demo", "pipeline": PIPELINE, "created": time.time(), "engine": engine}
    made = MadeRun(store, Run.model_validate(asked))
    save(store, made.run)
    if listed:
        made.list(["a.jpg", "b.jpg"])
        store.write(keys.listing_json("mine"), Listing(listed=2, todo=2, shards=2).model_dump_json().encode())
        made.add(made.row("a.jpg", ended=time.time()))
    return made


@pytest.mark.parametrize("engine", ["local", "docker", "argo"])
def test_a_report_of_a_run_that_goes_on_is_made_when_it_is_asked_for(imgflow: Cli, store: Store, engine: str) -> None:
    going(store, engine)

    done = imgflow("report", "mine", "-o", "out.html")

    page = Path("out.html").read_text()
    assert done.code == 0
    assert "This run is not finished" in page
    assert "0\N{NO-BREAK SPACE}of 2" in page or "0 of 2" in page
    assert re.search(r'class="badge (running|pending)"', page)
    assert "<script" not in page
    assert list(store.entries(keys.report("mine"))) == []


def test_where_it_is_not_in_the_store_yet_the_command_is_named_that_shows_it(imgflow: Cli, store: Store) -> None:
    going(store, "argo")

    done = imgflow("report", "mine")

    assert done.code == 1
    assert "report mine --open` shows how far it is now" in done.err


def test_the_last_page_of_a_run_here_has_an_address(imgflow: Cli, store: Store) -> None:
    going(store, "local")
    store.write(keys.report("mine") + "index.html", b"page")

    done = imgflow("report", "mine")

    assert done.out.strip().endswith(".imgflow/runs/mine/report/index.html")


def test_an_earlier_attempt_s_report_is_not_taken_for_this_one_s(imgflow: Cli, store: Store) -> None:
    made = going(store, "local")
    collect(store, made.run, output=None)
    time.sleep(0.02)
    store.delete([keys.summary_json("mine")])
    save(store, made.run)

    assert imgflow("report", "mine").code == 1


def test_a_run_that_was_interrupted_shows_how_far_it_came(imgflow: Cli, store: Store) -> None:
    made = going(store, "local")
    mark(store, made.run, Phase.INTERRUPTED, ExitCode.INTERRUPTED, "stopped by Ctrl-C")

    assert imgflow("report", "mine", "-o", "out.html").code == 0
    assert 'class="badge interrupted"' in Path("out.html").read_text()


def test_before_a_listing_there_is_nothing_to_show(imgflow: Cli, store: Store) -> None:
    going(store, "local", listed=False)

    for flags in ((), ("-o", "out.html")):
        done = imgflow("report", "mine", *flags)
        assert done.code == 1
        assert "has no report yet" in done.err
    assert not Path("out.html").exists()
