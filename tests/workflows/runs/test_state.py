"""How runs stand, in as few requests as that takes."""

from __future__ import annotations

from typing import Any

import pytest

from imgflow_steps.contract.job import Counts, Exit
from imgflow_steps.pipeline.model import parse
from imgflow_steps.records import keys
from imgflow_steps.records.listing import Listing
from imgflow_steps.records.progress import ShardProgress
from imgflow_steps.records.run import Run, save
from imgflow_steps.records.summary import Phase, Summary
from imgflow_steps.store import Store
from imgflow_workflows.runs import state

PIPELINE = parse({"steps": ["grayscale"]})


class Asked:
    """A real store that remembers what it is asked for."""

    def __init__(self, store: Store) -> None:
        self._store, self.keys = store, list[str]()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)

        def call(key: str, *rest: Any) -> Any:
            self.keys.append(key)
            return method(key, *rest)

        return call if callable(method) else method


def submit(store: Store, run_id: str, created: float, municipality: str = "Demo", *, ended: bool = True) -> None:
    save(store, Run(id=run_id, municipality=municipality, pipeline=PIPELINE, created=created))
    store.write(keys.listing_json(run_id), Listing(listed=1, todo=1, shards=1).model_dump_json().encode())
    told = ShardProgress(label="grayscale", shard=0, total=1, done=1)
    store.write(keys.shard_progress(run_id, 1, 0), told.model_dump_json().encode())
    if ended:
        summary = Summary(
            run=run_id,
            municipality=municipality,
            digest=PIPELINE.digest,
            status=Phase.SUCCEEDED,
            exit=Exit.DONE,
            counts=Counts(listed=1, processed=1),
        )
        store.write(keys.summary_json(run_id), summary.model_dump_json().encode())


@pytest.fixture
def asked(store: Store) -> Asked:
    for number in range(3):
        submit(store, f"demo-{number}", 100.0 + number, "Other" if number == 1 else "Demo")
    return Asked(store)


def test_a_run_that_has_ended_is_known_from_three_documents_each_read_once(asked: Asked) -> None:
    state.read(asked, "demo-0")  # type: ignore[arg-type]  # it only reads

    assert sorted(asked.keys) == sorted(f(run) for f in DOCUMENTS for run in ["demo-0"])


DOCUMENTS = (keys.run_json, keys.listing_json, keys.summary_json)


def test_all_runs_are_listed_with_three_requests_for_each(asked: Asked) -> None:
    known = state.every(asked)  # type: ignore[arg-type]  # it only reads

    assert [one.run.id for one in known] == ["demo-2", "demo-1", "demo-0"]
    assert len(asked.keys) == 1 + 3 * 3


def test_of_another_municipality_s_run_nothing_is_read_but_whose_it_is(asked: Asked) -> None:
    assert [one.run.id for one in state.every(asked, "Demo")] == ["demo-2", "demo-0"]  # type: ignore[arg-type]

    assert [key for key in asked.keys if "demo-1" in key] == [keys.run_json("demo-1")]


def test_the_newest_run_is_found_with_one_request_for_each(asked: Asked) -> None:
    assert state.find(asked, "@latest") == "demo-2"  # type: ignore[arg-type]  # it only reads
    assert state.find(asked, "@latest", "Other") == "demo-1"  # type: ignore[arg-type]  # likewise

    assert len(asked.keys) == 2 * (1 + 3)


def test_of_a_run_that_goes_on_its_containers_words_are_read_too(store: Store) -> None:
    submit(store, "demo", 1.0, ended=False)

    assert state.read(store, "demo").counts.processed == 1
