"""What a webhook is told, and that telling it can neither fail nor betray anything."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from tests.local_runs import dataset, submit
from tests.webhooks import Receiver, receiver

from imgflow_steps.contract.job import Counts, Exit
from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.records import keys
from imgflow_steps.records.summary import Phase, Summary, read_summary
from imgflow_steps.store import Store
from imgflow_steps.worker.notify import Webhook, text

SUMMARY = Summary(
    run="utrecht-1",
    municipality="Utrecht",
    digest="d",
    status=Phase.FAILED,
    exit=1,
    counts=Counts(listed=1234, processed=1200, cached=30, rejected=3, failed=1),
    message="1 of 1,234 images failed; `imgflow retry utrecht-1` tries them again",
)


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as taken:
        yield taken


def test_a_webhook_gets_the_summary_and_a_sentence(hook: Receiver) -> None:
    assert Webhook(hook.url).tell(SUMMARY) == ""
    [told] = hook.notices
    said = told.pop("text")
    assert told == SUMMARY.model_dump(mode="json")
    assert said == (
        "Run utrecht-1 of Utrecht failed: 1,234 images = 1,200 processed + 30 cached + 3 rejected + 1 failed."
        " 1 of 1,234 images failed; `imgflow retry utrecht-1` tries them again"
    )
    [headers] = hook.headers
    assert headers["Content-Type"] == "application/json"
    assert "X-Imgflow-Signature" not in headers


def test_what_is_sent_is_signed_with_the_secret(hook: Receiver) -> None:
    Webhook(hook.url, "a-signing-key").tell(SUMMARY)
    [body], [headers] = hook.bodies, hook.headers
    expected = hmac.new(b"a-signing-key", body, hashlib.sha256).hexdigest()
    assert headers["X-Imgflow-Signature"] == f"sha256={expected}"


def test_a_receiver_that_is_busy_is_asked_again(hook: Receiver) -> None:
    hook.statuses = [503, 429, 500]
    assert Webhook(hook.url, pause=0).tell(SUMMARY) == ""
    assert len(hook.bodies) == 4


@pytest.mark.parametrize(("status", "times"), [(404, 1), (302, 1), (503, 4)])
def test_a_receiver_that_refuses_is_named_by_its_host_only(hook: Receiver, status: int, times: int) -> None:
    hook.statuses = [status] * 9
    why = Webhook(hook.url, pause=0).tell(SUMMARY)
    assert why == f"the webhook at {hook.url.split('/')[2]} answers HTTP status {status}"
    assert len(hook.bodies) == times


def test_nobody_there_is_told_without_the_address() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{free.getsockname()[1]}"
    why = Webhook(f"http://{place}/hooks/a-secret-path?token=another", pause=0).tell(SUMMARY)
    assert why == f"the webhook at {place} was not reached: NewConnectionError"


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://host/secret", "file:///secret", "host/secret", "https://", "https:///secret", "http://h:port/secret"),
        *("http://host/sec ret", "http://host/secret\r\nX: y", "http://hóst/secret", "javascript:secret"),
    ],
)
def test_what_is_no_web_address_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(BadParametersError) as refused:
        Webhook(url)
    assert "secret" not in str(refused.value)
    assert "secret" not in repr(Webhook("https://host/secret", "secret"))


@pytest.mark.parametrize(
    "name", ["<!channel> & <https://evil.example|Utrecht>", "a\nRun x of y succeeded\x1b[2J\u202e"]
)
def test_a_municipality_s_name_commands_nothing(name: str) -> None:
    said = text(SUMMARY.model_copy(update={"municipality": name}))
    assert said.isprintable()
    assert "<" not in said
    assert ">" not in said


def collect(store: Store, *flags: str, run: str = "told", **environment: str) -> subprocess.CompletedProcess[str]:
    """As a pod does it."""
    known = {**os.environ, "IMGFLOW_STORE": store.url, **environment}
    command = [sys.executable, "-m", "imgflow_steps", "collect", f"--run={run}", *flags]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=known)


def notices_in(log: str) -> list[dict[str, Any]]:
    return [line for line in map(json.loads, log.splitlines()) if line["event"] == "notify"]


def test_collect_tells_the_webhook_of_its_environment_and_no_log_knows_the_address(
    directory_store: Store, hook: Receiver
) -> None:
    dataset(directory_store, 2)
    submit(directory_store, "told")
    secrets = {"IMGFLOW_NOTIFY_URL": hook.url, "IMGFLOW_NOTIFY_SECRET": "a-signing-key"}

    done = collect(directory_store, **secrets)
    collect(directory_store, "--unless-done", **secrets)  # the last report: there is one, and it was told

    [told] = hook.notices
    assert (told["run"], told["status"], told["counts"]["processed"]) == ("told", "succeeded", 2)
    assert len(notices_in(done.stderr)) == 1
    everything = done.stderr + "".join(
        directory_store.read(found.key).decode(errors="replace") for found in directory_store.entries("runs/")
    )
    assert "a-secret-path" not in everything
    assert "a-signing-key" not in everything


@pytest.mark.parametrize("address", ["", "no-address/a-secret-path"])
def test_a_webhook_that_cannot_be_told_changes_nothing_but_the_log(
    directory_store: Store, hook: Receiver, address: str
) -> None:
    dataset(directory_store, 1)
    submit(directory_store, "told")
    hook.statuses.append(410)

    done = collect(directory_store, IMGFLOW_NOTIFY_URL=address or hook.url)

    assert done.returncode == Exit.DONE
    [line] = notices_in(done.stderr)
    assert "the webhook" in line["error"]
    assert "a-secret-path" not in done.stderr


@pytest.mark.thorough
def test_a_run_that_was_never_listed_is_told_of_as_well(directory_store: Store, hook: Receiver) -> None:
    dataset(directory_store, 1)
    submit(directory_store, "told")
    directory_store.delete([keys.listing("told"), keys.summary_json("told")])

    done = collect(directory_store, "--unless-done", IMGFLOW_NOTIFY_URL=hook.url)

    assert done.returncode == Exit.IMAGES_FAILED
    [told] = hook.notices
    assert told["status"] == "failed"
    assert "listing did not finish" in told["text"]
    summary = read_summary(directory_store, "told")
    assert summary
    assert summary.status is Phase.FAILED
