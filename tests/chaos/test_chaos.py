"""A little of ``make chaos``, always the same: whatever goes wrong at whatever moment, the checker finds nothing wrong.

And the checker itself finds what it has to.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.chaos import __main__ as chaos
from tests.chaos import check, runs
from tests.chaos.check import Answer, Right
from tests.local_runs import dataset, submit

from imgflow_steps.records import keys
from imgflow_steps.store import Store

LOCAL = [0, 3, 4, 7, 8, 11]  # each fault once, three in each layout
QUICK = 3
linux = pytest.mark.skipif(sys.platform != "linux", reason="finds the processes to kill below /proc")


def needs(seed: int) -> list[pytest.MarkDecorator]:
    """What a seed of the local engine takes beside this machine: time, a store whose answers are harmed."""
    of_a_store = runs.point("local", seed).fault in chaos.NEEDS_STORE
    return [*([] if seed == QUICK else [pytest.mark.thorough]), *([pytest.mark.minio] if of_a_store else [])]


@linux
@pytest.mark.parametrize("seed", [pytest.param(seed, marks=needs(seed)) for seed in LOCAL])
def test_a_run_that_is_harmed_at_any_moment_costs_little_and_leaves_nothing(tmp_path: Path, seed: int) -> None:
    with chaos.opened("local", tmp_path) as disturb:
        what, wrong = disturb(seed)
    assert wrong == [], what


@linux
@pytest.mark.containers
@pytest.mark.thorough
@pytest.mark.parametrize("seed", [1, 3])
def test_a_run_of_containers_that_is_harmed_finishes_and_leaves_nothing(tmp_path: Path, seed: int) -> None:
    with chaos.opened("docker", tmp_path) as disturb:
        what, wrong = disturb(seed)
    assert wrong == [], what


@linux
@pytest.mark.thorough
@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_a_service_that_is_harmed_answers_every_request_once_and_heals(tmp_path: Path, seed: int) -> None:
    with chaos.opened("service", tmp_path) as disturb:
        what, wrong = disturb(seed)
    assert wrong == [], what


def test_a_seed_is_the_same_whenever_it_is_asked_for_and_all_faults_take_turns() -> None:
    assert [runs.point("local", seed) for seed in range(9)] == [runs.point("local", seed) for seed in range(9)]
    pairs = {(one.fault, one.layout) for one in (runs.point("local", seed) for seed in range(100))}
    assert pairs == {(fault, layout) for fault in runs.LOCAL for layout in ("steps", "fused")}


def test_a_store_errs_alike_however_requests_are_mixed() -> None:
    asked = [("GET", f"/bucket-{i}/key-{i % 7}") for i in range(200)]
    first, second = runs.erring(1, 0.2), runs.erring(1, 0.2)
    one = {(path, n): first(method, path) for n, (method, path) in enumerate(asked)}
    other = {(path, n): second(method, path) for n, (method, path) in reversed([*enumerate(asked)])}
    assert one == other
    assert 20 < len([fault for fault in one.values() if fault]) < 60


@pytest.fixture
def right(directory_store: Store) -> Right:
    """A run in which nothing happened."""
    dataset(directory_store, 3)
    submit(directory_store, "mine")
    images = frozenset(f"{'abc'[i]}/{i:03d}.jpg" for i in range(3))
    return Right(images, check.pictures(directory_store))


def test_the_checker_finds_nothing_in_a_run_in_which_nothing_happened(directory_store: Store, right: Right) -> None:
    assert check.finished(directory_store, "mine", right, left=[], computed=3) == []


def _wrong_bytes(store: Store) -> None:
    [key, *_] = [one.key for one in store.entries("results/") if "/images/" in one.key]
    store.write(key, b"other bytes")


def _no_picture(store: Store) -> None:
    [key, *_] = [one.key for one in store.entries("results/") if "/images/" in one.key]
    store.delete([key])


def _twice(store: Store) -> None:
    rows = store.read(keys.results_jsonl("mine")).splitlines(keepends=True)
    store.write(keys.results_jsonl("mine"), b"".join([*rows[:-1], rows[0]]))


def _failed_in_silence(store: Store) -> None:
    rows = [json.loads(line) for line in store.read(keys.results_jsonl("mine")).splitlines()]
    rows[0] |= {"status": "failed", "message": ""}
    store.write(keys.results_jsonl("mine"), "".join(f"{json.dumps(row)}\n" for row in rows).encode())


def _rejected(store: Store) -> None:
    rows = [json.loads(line) for line in store.read(keys.results_jsonl("mine")).splitlines()]
    rows[0] |= {"status": "rejected", "message": "it is not a picture"}
    store.write(keys.results_jsonl("mine"), "".join(f"{json.dumps(row)}\n" for row in rows).encode())


def _lease(store: Store) -> None:
    store.write("runs/mine/lease.json", b"{}")


HARMS: dict[str, Callable[[Store], None]] = {
    "has wrong bytes": _wrong_bytes,
    "is missing": _no_picture,
    "is there 2 times": _twice,
    "failed without a cause": _failed_in_silence,
    "is rejected": _rejected,
    "lease.json is left": _lease,
}


@pytest.mark.parametrize("said", HARMS)
def test_the_checker_finds_what_is_wrong_with_a_run(directory_store: Store, right: Right, said: str) -> None:
    HARMS[said](directory_store)
    assert [one for one in check.finished(directory_store, "mine", right, left=[], computed=3) if said in one]


def test_the_checker_finds_files_that_are_left_and_work_that_is_done_twice(
    directory_store: Store, right: Right
) -> None:
    assert check.finished(directory_store, "mine", right, left=["a.tmp"], computed=4) == [
        "a.tmp is left",
        "4 computings of 3 images",
    ]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([Answer("a", 200, b"x", b"x")], ""),
        ([Answer("a", 503, b'{"code": "busy", "detail": "all places are taken"}', b"x")], ""),
        ([Answer("a", 503, b"<html>", b"x")], "no reason"),
        ([Answer("a", 200, b"y", b"x")], "wrong bytes"),
        ([Answer("a", 422, b'{"code": "crashed", "detail": "two processes died"}', b"x")], "answered 422"),
        ([], "is there 0 times"),
        ([Answer("a", 200, b"x", b"x")] * 2, "is there 2 times"),
    ],
    ids=str,
)
def test_the_checker_judges_answers_of_a_service(given: list[Answer], said: str) -> None:
    wrong = check.answers(given, ["a"])
    assert [one for one in wrong if said in one] if said else wrong == []
