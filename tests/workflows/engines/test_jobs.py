"""What a coordinator tries again, how often, after which pause, and what it makes of the answers."""

from __future__ import annotations

import logging

import pytest
from tests.local_runs import PLAIN

from imgflow_steps.contract.job import FINAL, Exit, Job, Result
from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.records.run import Run
from imgflow_steps.store import UnavailableError
from imgflow_workflows.engines import jobs

RUN = Run(id="mine", municipality="Demo", pipeline=PLAIN)
JOB = Job(step="fused", run="mine", shard=3)
FAILS = Result(job=JOB, exit=Exit.TEMPORARY, error="the store is away")
WORKS = Result(job=JOB, exit=Exit.DONE)


class Platform:
    """Answers one after another, and what was asked meanwhile."""

    def __init__(self, *answers: Result, impatient_after: int = 99) -> None:
        self.answers, self.impatient_after = list(answers), impatient_after
        self.asked: list[tuple[str, int]] = []
        self.pauses: list[float] = []

    def do(self, job: Job, attempt: int) -> Result:
        self.asked.append((job.step, attempt))
        return self.answers.pop(0)

    def wait(self, seconds: float) -> bool:
        self.pauses.append(seconds)
        return len(self.pauses) > self.impatient_after


def test_a_job_that_works_is_done_once() -> None:
    platform = Platform(WORKS)
    assert jobs.tried(JOB, platform.do, platform.wait) == WORKS
    assert (platform.asked, platform.pauses) == ([("fused", 0)], [])


@pytest.mark.parametrize("final", sorted(FINAL))
def test_a_final_answer_is_not_tried_again(final: int) -> None:
    platform = Platform(Result(job=JOB, exit=Exit(final)))
    jobs.tried(JOB, platform.do, platform.wait)
    assert len(platform.asked) == 1


def test_what_the_platform_failed_is_tried_three_times_with_growing_pauses() -> None:
    platform = Platform(FAILS, FAILS, FAILS)
    assert jobs.tried(JOB, platform.do, platform.wait) == FAILS
    assert [attempt for _, attempt in platform.asked] == [0, 1, 2]
    assert platform.pauses == [1.0, 2.0]


def test_a_second_try_that_works_is_the_last() -> None:
    platform = Platform(FAILS, WORKS)
    assert jobs.tried(JOB, platform.do, platform.wait) == WORKS
    assert platform.pauses == [1.0]


def test_whoever_is_told_to_end_does_not_try_again() -> None:
    platform = Platform(FAILS, WORKS, impatient_after=0)
    assert jobs.tried(JOB, platform.do, platform.wait) == FAILS
    assert len(platform.asked) == 1


def test_a_shard_goes_through_its_jobs_in_order() -> None:
    todo = jobs.jobs(RUN, 3, "steps")
    assert todo == [
        Job(step="scale", run="mine", position=1, shard=3),
        Job(step="grayscale", run="mine", position=2, shard=3),
    ]
    platform = Platform(WORKS, WORKS)
    assert jobs.chain(todo, platform.do, platform.wait) == WORKS
    assert [step for step, _ in platform.asked] == ["scale", "grayscale"]


def test_a_fused_shard_is_one_job() -> None:
    assert jobs.jobs(RUN, 3, "fused") == [JOB]


def test_a_shard_that_is_given_up_stops_there_and_is_told_once_for_each_cause(
    caplog: pytest.LogCaptureFixture,
) -> None:
    jobs._given_up.cache_clear()
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            platform = Platform(FAILS, FAILS, FAILS)
            assert jobs.chain(jobs.jobs(RUN, 0, "steps"), platform.do, platform.wait) == FAILS
            assert {step for step, _ in platform.asked} == {"scale"}
    assert [record.getMessage() for record in caplog.records] == ["run mine: a shard is given up: the store is away"]


def test_bad_parameters_end_the_run() -> None:
    platform = Platform(Result(job=JOB, exit=Exit.BAD_PARAMETERS, error="there is no such run"))
    with pytest.raises(BadParametersError, match="there is no such run"):
        jobs.chain([JOB], platform.do, platform.wait)
    with pytest.raises(BadParametersError, match="no run"):
        jobs.ended(Result(job=JOB, exit=Exit.BAD_PARAMETERS, error="no run"))


def test_without_list_or_collect_there_is_no_run() -> None:
    assert jobs.ended(WORKS) == WORKS
    with pytest.raises(UnavailableError, match="the store is away"):
        jobs.ended(FAILS)


@pytest.mark.parametrize(("workers", "sensible", "images", "used"), [
    (8, 8, None, 8), (8, 4, None, 4), (8, 8, 3, 3), (8, 4, 6, 4), (8, 8, 0, 1), (2, 2, 2, 2),
])  # fmt: skip
def test_no_more_workers_start_than_are_of_use(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    workers: int,
    sensible: int,
    images: int | None,
    used: int,
) -> None:
    monkeypatch.setattr(jobs, "sensible", lambda asked: (min(asked, sensible), "the memory"))
    monkeypatch.setattr(jobs, "DEFAULT", 77)
    with caplog.at_level(logging.WARNING):
        assert jobs.use(workers, images=images) == used
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == (used < workers)
    why = "one for each image that is to be processed" if images is not None and images < sensible else "the memory"
    assert all(one.endswith(f"of {workers} workers start: {why}") for one in said)


def test_fewer_workers_than_cores_are_no_news_where_nobody_asked_for_a_number(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(jobs, "sensible", lambda _: (1, "the memory"))
    monkeypatch.setattr(jobs, "DEFAULT", 8)
    assert jobs.use(8) == 1
    assert caplog.records == []
