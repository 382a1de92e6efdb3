"""What get, ls, watch, stop, retry and doctor say of runs whose Workflow is not what the store knows of it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from tests import clusters
from tests.cli.conftest import IN_CITY

from imgflow_steps.records import keys
from imgflow_steps.records.listing import Listing
from imgflow_steps.records.run import Run, save
from imgflow_steps.store import Store, open_store
from imgflow_workflows.argo import Options, workflow_template
from imgflow_workflows.submit import follow
from imgflow_workflows.submit.default import DEFAULT

if TYPE_CHECKING:
    from tests.cli.conftest import Cli

WORKFLOWS = "/apis/argoproj.io/v1alpha1/namespaces/{}/workflows/{}"
ONE = WORKFLOWS.format("city", "one")


@pytest.fixture
def city(api: clusters.Api, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The store of namespace city, with run one, which list has cut into shards and of which no more is known."""
    chart: Any = api.answers[clusters.config_map("city")]
    secret = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**chart["data"], **secret}.items():
            patch.setenv(name, value)
        store = open_store(chart["data"]["IMGFLOW_STORE"])
    monkeypatch.setattr(follow, "POLL", 0.01)
    template = workflow_template(DEFAULT, Options(namespace="city"))
    api.answers["/apis/argoproj.io/v1alpha1/namespaces/city/workflowtemplates/imgflow"] = template
    begun(store, "one")
    return store


def begun(store: Store, name: str, *, listed: bool = True, age: float = 3600, namespace: str = "city") -> None:
    created = time.time() - age
    save(
        store, Run(id=name, municipality="Demo", pipeline=DEFAULT, created=created, engine="argo", namespace=namespace)
    )
    if listed:
        store.write(keys.listing_json(name), Listing(listed=1, todo=1, shards=1).model_dump_json().encode())


def workflow(phase: str, spec: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    metadata = {"name": "one", "uid": "1", "labels": {"app.kubernetes.io/part-of": "imgflow"}}
    return {"metadata": metadata, "spec": spec or {}, "status": {"phase": phase, **status}}


SUSPENDED = workflow("Running", {"suspend": True})
ENDED = "2199-01-01T00:00:00Z"


def status(imgflow: Cli, *command: str) -> tuple[str, str]:
    found = imgflow(*command, *IN_CITY, "-o", "json").json
    found = found["items"][0] if "items" in found else found
    return found["status"], found["message"]


@pytest.mark.parametrize("command", [("get", "one"), ("ls",)], ids=str)
@pytest.mark.parametrize(
    ("there", "state", "said"),
    [
        (404, "interrupted", "its Workflow is gone"),
        (SUSPENDED, "suspended", "`imgflow retry one` resumes it"),
        (workflow("Failed", {"shutdown": "Terminate"}, finishedAt=ENDED), "interrupted", "stopped before its end"),
        (workflow("Error", message="no such label", finishedAt=ENDED), "failed", "Argo says: no such label"),
        (workflow("Running"), "running", ""),
    ],
    ids=["gone", "suspended", "terminated", "errored", "running"],
)
def test_the_state_of_a_run_is_what_store_and_cluster_say(
    imgflow: Cli, city: Store, api: clusters.Api, command: tuple[str, ...], there: Any, state: str, said: str
) -> None:
    api.answers[ONE] = there

    found, why = status(imgflow, *command)

    assert (found, said in why) == (state, True)


def test_a_run_that_is_only_about_to_begin_is_pending(imgflow: Cli, city: Store) -> None:
    begun(city, "one", listed=False, age=0)
    city.delete([keys.listing_json("one")])

    assert status(imgflow, "get", "one") == ("pending", "")


def test_a_run_is_looked_for_in_the_namespace_where_it_was_started(
    imgflow: Cli, city: Store, api: clusters.Api
) -> None:
    begun(city, "one", namespace="village")
    api.answers[WORKFLOWS.format("village", "one")] = workflow("Running")

    assert status(imgflow, "get", "one") == ("running", "")


def test_where_the_cluster_cannot_be_asked_the_store_answers_and_a_note_says_so(
    imgflow: Cli, city: Store, api: clusters.Api
) -> None:
    api.answers[ONE] = 403

    done = imgflow("get", "one", *IN_CITY, "-o", "json")

    assert (done.code, done.json["status"]) == (0, "running")
    assert "note: only the store was asked: reading workflows/one" in done.err
    assert imgflow("ls", *IN_CITY).code == 0


def test_watch_ends_when_the_workflow_is_gone_and_writes_down_how(imgflow: Cli, city: Store) -> None:
    done = imgflow("watch", "one", *IN_CITY, "-o", "json")

    assert (done.code, done.json["status"]) == (1, "interrupted")
    assert "its Workflow is gone" in done.json["message"]
    assert city.stat(keys.summary_json("one"))


def test_whoever_follows_a_run_without_its_cluster_is_told_so(imgflow: Cli, city: Store, api: clusters.Api) -> None:
    chart: Any = api.answers[clusters.config_map("city")]
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**chart["data"], "AWS_ACCESS_KEY_ID": "me", "AWS_SECRET_ACCESS_KEY": "me"}.items():
            patch.setenv(name, value)
        summary = {"run": "one", "municipality": "Demo", "digest": "d", "status": "succeeded", "exit": 0, "counts": {}}
        city.write(keys.summary_json("one"), json.dumps(summary).encode())

        done = imgflow("watch", "one")

    assert done.code == 0, done.err
    assert "only the store is followed" in done.err


def test_watch_says_that_a_run_is_suspended_and_goes_on_when_it_does(
    imgflow: Cli, city: Store, api: clusters.Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.answers[ONE] = SUSPENDED
    looks = iter([None, None, lambda: api.answers.pop(ONE)])

    class Clock:
        @staticmethod
        def sleep(_: float) -> None:
            if act := next(looks):
                act()

        time, monotonic = staticmethod(time.time), staticmethod(time.monotonic)

    monkeypatch.setattr(follow, "time", Clock)
    done = imgflow("watch", "one", *IN_CITY)

    assert done.err.count("its Workflow is suspended") == 1
    assert done.code == 1


def test_stop_lifts_the_suspension_after_it_has_said_that_nothing_new_may_start(
    imgflow: Cli, city: Store, api: clusters.Api
) -> None:
    api.answers[ONE] = SUSPENDED

    assert imgflow("stop", "one", *IN_CITY).code == 0

    assert [(method, body["spec"]) for method, _, body in api.sent] == [
        ("PATCH", {"shutdown": "Stop"}),
        ("PATCH", {"suspend": None}),
    ]


def test_retry_resumes_a_suspended_run_and_starts_none(imgflow: Cli, city: Store, api: clusters.Api) -> None:
    api.answers[ONE] = SUSPENDED
    before = city.read(keys.run_json("one"))

    done = imgflow("retry", "one", *IN_CITY)

    assert done.code == 0
    assert "run one was suspended and is resumed" in done.err
    assert ("PATCH", {"suspend": None}) in [(method, body["spec"]) for method, _, body in api.sent]
    assert city.read(keys.run_json("one")) == before


@pytest.mark.parametrize("flag", ["--repair", "--rejected"])
@pytest.mark.parametrize(("there", "first"), [(SUSPENDED, "retry"), (workflow("Running"), "watch")])
def test_a_workflow_that_is_under_way_is_not_resumed_without_what_was_asked_for_beside_that(
    imgflow: Cli, city: Store, api: clusters.Api, there: Any, first: str, flag: str
) -> None:
    api.answers[ONE] = there

    done = imgflow("retry", "one", flag, *IN_CITY)

    assert (done.code, api.sent) == (1, [])
    assert "nothing was changed" in done.err
    assert f"{first} one`, and when it has ended `" in done.err
    assert f"retry one {flag}`" in done.err


@pytest.mark.parametrize(
    ("there", "cause"), [(SUSPENDED, "suspended"), (404, "interrupted")], ids=["suspended", "gone"]
)
def test_doctor_names_what_has_become_of_the_workflow_and_what_goes_on(
    imgflow: Cli, city: Store, api: clusters.Api, there: Any, cause: str
) -> None:
    api.answers[ONE] = there

    done = imgflow("doctor", "one", *IN_CITY, "-o", "json")

    [found] = done.json["findings"]
    assert (done.code, done.json["status"], found["cause"]) == (1, cause, cause)
    assert "retry one" in found["mend"][0]


def test_a_run_of_which_the_store_has_only_leftovers_is_not_suggested_in_its_own_place(
    imgflow: Cli, city: Store
) -> None:
    city.delete([keys.run_json("one")])

    done = imgflow("get", "one", *IN_CITY)

    assert done.code == 2
    assert "did you mean" not in done.err
    assert "has leftovers of run 'one'" in done.err
    assert "--namespace city doctor one`" in done.err


def test_doctor_says_that_the_store_was_emptied_since_a_run_began(imgflow: Cli, city: Store, api: clusters.Api) -> None:
    city.delete([keys.run_json("one"), keys.listing_json("one")])
    api.answers[ONE] = workflow("Succeeded", finishedAt=ENDED)

    done = imgflow("doctor", "one", *IN_CITY, "-o", "json")

    assert (done.code, [one["cause"] for one in done.json["findings"]]) == (1, ["store-emptied"])


def test_a_cluster_that_does_not_answer_is_no_proof_that_a_workflow_is_gone(
    imgflow: Cli, city: Store, api: clusters.Api
) -> None:
    api.answers[ONE] = 500

    done = imgflow("doctor", "one", *IN_CITY, "-o", "json")

    assert done.json["status"] == "running"
