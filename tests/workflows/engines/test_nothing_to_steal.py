"""What can be seen of the processes of a run on S3: they have computed, and are looked at from outside."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from tests import photographs
from tests.processes import children, command_line

from imgflow_steps.pipeline.model import parse
from imgflow_steps.records import keys
from imgflow_steps.records.run import Run, save
from imgflow_steps.records.summary import read_summary
from imgflow_steps.store import Store
from imgflow_steps.worker import refused
from imgflow_workflows.engines.local import LocalEngine

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes below /proc")


def computing() -> list[Path]:
    return [Path(f"/proc/{pid}") for pid in children(os.getpid()) if "spawn_main" in command_line(pid)]


def test_computing_processes_of_a_run_on_s3_show_no_secret_and_no_other_connection(
    moto_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the-key-of-this-test-alone")
    monkeypatch.setenv("IMGFLOW_NOTIFY_SECRET", "a-secret-of-the-run-alone")
    before = set(computing())
    moto_store.write(keys.images("Demo") + "a.jpg", photographs.jpeg(1))
    run = Run(id="stolen", municipality="Demo", pipeline=parse({"steps": ["grayscale"]}), created=time.time())
    save(moto_store, run)
    LocalEngine(moto_store, workers=1).submit(run)
    summary = read_summary(moto_store, run.id)

    [about] = set(computing()) - before  # lent to whichever run comes next
    began_with = (about / "environ").read_text()

    assert summary
    assert summary.counts.processed == 1
    assert "the-key-of-this-test-alone" not in began_with
    assert "a-secret-of-the-run-alone" not in began_with
    assert not [line for line in (about / "maps").read_text().splitlines() if "kubernetes" in line]
    spoken_to = {one.raddr.port for one in psutil.Process(int(about.name)).net_connections("inet") if one.raddr}
    assert spoken_to <= {urlsplit(os.environ["IMGFLOW_S3_ENDPOINT"]).port}
    if refused.is_available():
        assert "Seccomp:\t2" in (about / "status").read_text()
