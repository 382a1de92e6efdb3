"""Runs on this machine tell a webhook that they ended."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests import photographs
from tests.webhooks import Receiver, receiver

import imgflow as client
from imgflow_steps.records import keys
from imgflow_steps.store import Store, UnavailableError
from imgflow_workflows.engines.local import LocalEngine

if TYPE_CHECKING:
    from tests.cli.conftest import Cli

QUICK = ("submit", "-m", "Demo", "--workers", "1")


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as taken:
        yield taken


def test_the_end_of_a_run_is_told_once_and_the_store_does_not_know_to_whom(
    imgflow: Cli, demo: Store, hook: Receiver
) -> None:
    done = imgflow(*QUICK, "--notify", hook.url, "-o", "json")

    assert done.code == 0
    [told] = hook.notices
    assert {name: told[name] for name in ("run", "status", "counts")} == {
        name: done.json[name] for name in ("run", "status", "counts")
    }
    written = b"".join(demo.read(found.key) for found in demo.entries(keys.whole_run(done.json["run"])))
    assert b"a-secret-path" not in written
    assert "a-secret-path" not in done.out + done.err


def test_the_environment_names_the_webhook_for_every_run_retries_included(
    imgflow: Cli, demo: Store, hook: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMGFLOW_NOTIFY_URL", hook.url)
    monkeypatch.setenv("IMGFLOW_NOTIFY_SECRET", "a-signing-key")
    done = imgflow(*QUICK, "-o", "json")
    imgflow("retry", done.json["run"])

    assert [told["run"] for told in hook.notices] == [done.json["run"]] * 2
    assert all(headers["X-Imgflow-Signature"].startswith("sha256=") for headers in hook.headers)


@pytest.mark.parametrize("by", ["the environment", "a flag"])
def test_process_tells_the_webhook_too(
    imgflow: Cli, hook: Receiver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, by: str
) -> None:
    photographs.folder(tmp_path / "in", 2)
    flags = ("--notify", hook.url) if by == "a flag" else ()
    if by == "the environment":
        monkeypatch.setenv("IMGFLOW_NOTIFY_URL", hook.url)

    done = imgflow("process", str(tmp_path / "in"), str(tmp_path / "out"), "--workers", "1", "-o", "json", *flags)

    assert done.code == 0
    [told] = hook.notices
    assert (told["run"], told["counts"]["processed"]) == (done.json["run"], 2)


def test_the_client_tells_the_webhook_too(hook: Receiver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    photographs.folder(tmp_path / "in", 2)
    monkeypatch.setenv("IMGFLOW_NOTIFY_URL", hook.url)
    flow = client.connect(store=tmp_path / "store", workers=1)
    flow.ingest(tmp_path / "in", "Demo")

    run = flow.submit("Demo")

    [told] = hook.notices
    assert (told["run"], told["status"]) == (run.id, "succeeded")


def test_a_run_that_breaks_off_is_told_and_one_that_was_interrupted_is_not(
    imgflow: Cli, demo: Store, hook: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for error in (UnavailableError("the store went away"), KeyboardInterrupt()):

        def breaks(*_: object, error: BaseException = error) -> None:
            raise error

        monkeypatch.setattr(LocalEngine, "submit", breaks)
        assert imgflow(*QUICK, "--notify", hook.url).code in {5, 130}

    [told] = hook.notices
    assert (told["status"], told["message"]) == ("failed", "the store went away")


def test_a_webhook_that_does_not_answer_is_a_note_and_no_failure(imgflow: Cli, demo: Store, hook: Receiver) -> None:
    hook.statuses = [410]
    done = imgflow(*QUICK, "--notify", hook.url)

    assert done.code == 0
    assert "answers HTTP status 410" in done.err
    assert "a-secret-path" not in done.err


def test_what_is_no_webhook_is_said_before_anything_is_done(imgflow: Cli, demo: Store) -> None:
    done = imgflow(*QUICK, "--notify", "ftp://host/a-secret-path")

    assert done.code == 2
    assert "begins with https://" in done.err
    assert "a-secret-path" not in done.err
    assert list(demo.folders("runs/")) == []
