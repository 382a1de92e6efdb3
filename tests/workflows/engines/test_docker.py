"""The docker engine: with a stand-in that takes docker's arguments, and with the built containers."""

from __future__ import annotations

import hashlib
import os
import signal
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests import photographs

from imgflow_steps.contract.job import Job
from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.list import List
from imgflow_steps.pipeline.model import Pipeline, parse
from imgflow_steps.records import keys
from imgflow_steps.records.run import Run, save
from imgflow_steps.records.summary import Phase, Summary, read_summary
from imgflow_steps.store import Store, UnavailableError, leftovers, open_store
from imgflow_steps.worker.runner import run_job
from imgflow_workflows.engines import docker, jobs
from imgflow_workflows.engines.docker import DockerEngine
from imgflow_workflows.engines.local import LocalEngine
from imgflow_workflows.submit import reporting
from imgflow_workflows.submit.default import DEFAULT

PLAIN = parse({"steps": [{"scale": {"width": 48, "height": 48}}, "grayscale"]})

# What docker would do, without docker: a daemon that does the job, or the job in a process, and a list of what runs.
STAND_IN = """#!{python} -IS
import os, pathlib, signal, socket, subprocess, sys
here = pathlib.Path({here!r})
def running():
    return [path for path in here.glob("*.pid")]
match sys.argv[1:]:
    case ["ps", *_]:
        print(*(path.stem for path in running()), sep="\\n")
    case ["stop", "-t", _, *names]:
        for name in names:
            os.kill(int((here / f"{{name}}.pid").read_text()), signal.SIGTERM)
    case ["run", *arguments]:
        [name] = [one.removeprefix("--name=") for one in arguments if one.startswith("--name=")]
        with (here / "calls").open("a") as calls:
            print(*arguments, file=calls)
        if (here / "broken").exists():
            code, *times = (here / "broken").read_text().split()
            (here / "broken").unlink() if times == ["1"] else None
            print("the platform has a bad day", file=sys.stderr)
            sys.exit(int(code))
        endless = (here / "endless").exists() and "-fused-" in name
        if not endless and not (here / "real").exists():
            with socket.create_connection(("127.0.0.1", {port})) as daemon:
                daemon.sendall(sys.stdin.buffer.readline())
                daemon.shutdown(socket.SHUT_WR)
                code, _, answer = daemon.makefile().read().partition(" ")
            print(answer)
            sys.exit(int(code))
        told = dict(one.removeprefix("--env=").split("=") for one in arguments if one.startswith("--env=IMGFLOW_"))
        waits = "import sys; sys.stdin.readline(); sys.stdin.read()"
        python = ["-c", waits] if endless else ["-m", "imgflow_steps"]
        process = subprocess.Popen([sys.executable, *python], env=os.environ | told)
        (here / f"{{name}}.pid").write_text(str(process.pid))
        code = process.wait()
        (here / f"{{name}}.pid").unlink()
        sys.exit(abs(code))
"""


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """Where the stand-in writes down what it was asked, and reads how to fail."""
    folder = tmp_path / "docker"
    folder.mkdir()
    return folder


class Daemon(socketserver.StreamRequestHandler):
    """Does a container's work in this process: a job in, its exit code and its result out."""

    def handle(self) -> None:
        job = Job.model_validate_json(self.rfile.read())
        result = run_job(job, open_store(job.store))
        self.wfile.write(f"{int(result.exit)} {result.model_dump_json()}".encode())


@pytest.fixture
def port() -> Iterator[int]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Daemon) as server:
        threading.Thread(target=server.serve_forever, args=[0.05]).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.fixture
def command(here: Path, port: int) -> str:
    script = here / "docker"
    script.write_text(STAND_IN.format(python=sys.executable, here=str(here), port=port))
    script.chmod(0o755)
    return str(script)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "PAUSE", 0.01)


def dataset(store: Store, count: int) -> None:
    for i in range(count):
        store.write(keys.images("Demo") + f"{i:03d}.jpg", photographs.jpeg(i))


def new_run(store: Store, run_id: str, pipeline: Pipeline = PLAIN, source: str = "", **listing: object) -> Run:
    run = Run(
        id=run_id,
        municipality="Demo",
        pipeline=pipeline,
        source=source,
        list=List.model_validate(listing),
        created=time.time(),
    )
    save(store, run)
    return run


def summary_of(store: Store, run: Run) -> Summary:
    summary = read_summary(store, run.id)
    assert summary
    assert summary.counts.add_up
    return summary


def pictures(store: Store, run: Run) -> dict[str, str]:
    prefix = keys.results(run.municipality, run.digest) + "images/"
    return {f.key.removeprefix(prefix): hashlib.sha256(store.read(f.key)).hexdigest() for f in store.entries(prefix)}


def containers(here: Path) -> list[str]:
    """Names of the containers that were started, in order."""
    calls = (here / "calls").read_text().splitlines()
    return [word.removeprefix("--name=") for call in calls for word in call.split() if word.startswith("--name=")]


def until(true: Callable[[], object]) -> None:
    for _ in range(600):
        if true():
            return
        time.sleep(0.05)
    pytest.fail("waited for half a minute")


def test_every_step_and_shard_has_its_container(directory_store: Store, command: str, here: Path) -> None:
    dataset(directory_store, 4)
    run = new_run(directory_store, "both", layout="steps", shard_size=2)
    engine = DockerEngine(directory_store, workers=2, command=command)
    engine.submit(run)
    assert summary_of(directory_store, run).counts.processed == 4
    assert engine.phase("both") is Phase.SUCCEEDED
    names = containers(here)
    assert (names[0], names[-1]) == ("imgflow-both-list-00000", "imgflow-both-collect-00000")
    shards = [f"imgflow-both-{step}-0000{shard}" for shard in (0, 1) for step in ("scale-1", "grayscale-2")]
    assert sorted(names[1:-1]) == sorted(shards)


def test_the_fused_layout_takes_one_container_a_shard(directory_store: Store, command: str, here: Path) -> None:
    dataset(directory_store, 2)
    run = new_run(directory_store, "fused", layout="fused", shard_size=1)
    DockerEngine(directory_store, workers=1, command=command).submit(run)
    assert summary_of(directory_store, run).counts.processed == 2
    assert containers(here)[1:-1] == ["imgflow-fused-fused-00000", "imgflow-fused-fused-00001"]


@pytest.mark.parametrize("code", [75, 125, 137])
def test_what_the_platform_failed_once_is_tried_again(
    directory_store: Store, command: str, here: Path, code: int
) -> None:
    (here / "broken").write_text(f"{code} 1")
    run = new_run(directory_store, "again")
    DockerEngine(directory_store, workers=1, command=command).submit(run)
    assert summary_of(directory_store, run).status is Phase.SUCCEEDED
    assert containers(here) == [*["imgflow-again-list-00000"] * 2, "imgflow-again-collect-00000"]


def test_what_a_killed_container_had_begun_to_write_is_gone_and_that_of_others_stays(
    directory_store: Store, command: str, here: Path
) -> None:
    (here / "broken").write_text("137 1")
    unfinished = Path(directory_store.url, ".tmp")
    unfinished.mkdir(parents=True)
    machines = [leftovers.machine_of(f"imgflow-again-{step}-00000") for step in ("list", "fused")]
    for machine in machines:
        (unfinished / f"{machine}-7-1234-abcd").write_bytes(b"half a picture")
    run = new_run(directory_store, "again")

    DockerEngine(directory_store, workers=1, command=command).submit(run)

    assert [path.name for path in unfinished.iterdir()] == [f"{machines[1]}-7-1234-abcd"]
    told = [word for word in (here / "calls").read_text().split() if "IMGFLOW_MACHINE" in word]
    assert told[0] == f"--env=IMGFLOW_MACHINE={machines[0]}"


def test_whoever_has_lost_a_run_leaves_alone_what_containers_of_its_names_write(
    directory_store: Store, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process of this machine may have taken it over: its containers are called the same."""
    engine, answer = DockerEngine(directory_store, workers=1, command=command), docker._answer

    def answered(*arguments: Any) -> Any:
        engine.abandon()
        return answer(*arguments)

    monkeypatch.setattr(docker, "_answer", answered)
    unfinished = Path(directory_store.url, ".tmp", f"{leftovers.machine_of('imgflow-again-list-00000')}-7-1234-abcd")
    unfinished.parent.mkdir(parents=True)
    unfinished.write_bytes(b"half a picture")

    with pytest.raises(UnavailableError, match="was stopped"):
        engine.submit(new_run(directory_store, "again"))

    assert unfinished.exists()


def test_after_three_times_the_error_says_what_the_container_said(
    directory_store: Store, command: str, here: Path
) -> None:
    (here / "broken").write_text("125")
    engine = DockerEngine(directory_store, workers=1, command=command)
    with pytest.raises(UnavailableError, match=r"imgflow-never-list-00000 .* 125.*the platform has a bad day"):
        engine.submit(new_run(directory_store, "never"))
    assert len(containers(here)) == 3


def test_bad_parameters_are_not_tried_again(directory_store: Store, command: str, here: Path) -> None:
    run = new_run(directory_store, "gone")
    directory_store.delete([keys.run_json(run.id)])
    with pytest.raises(BadParametersError, match="there is no run 'gone'"):
        DockerEngine(directory_store, workers=1, command=command).submit(run)
    assert len(containers(here)) == 1


def test_a_command_that_is_not_there_is_named_with_the_way_out(directory_store: Store) -> None:
    with pytest.raises(BadParametersError, match=r"'no-such-docker'.*IMGFLOW_DOCKER"):
        DockerEngine(directory_store, workers=1, command="no-such-docker").submit(new_run(directory_store, "x"))


def test_stop_ends_what_runs_and_whoever_submitted_it(directory_store: Store, command: str, here: Path) -> None:
    dataset(directory_store, 3)
    (here / "endless").touch()
    run = new_run(directory_store, "stopped", layout="fused", shard_size=1)
    faults: list[Exception] = []

    def submit() -> None:
        try:
            DockerEngine(directory_store, workers=2, command=command).submit(run)
        except UnavailableError as error:
            faults.append(error)

    thread = threading.Thread(target=submit)
    thread.start()
    until(lambda: len(list(here.glob("*fused*.pid"))) == 2)
    other = DockerEngine(directory_store, workers=2, command=command)
    assert other.phase("stopped") is Phase.RUNNING
    other.stop("stopped")
    thread.join(60)
    assert "was stopped" in str(faults[0])
    assert not list(here.glob("*.pid"))
    assert len(containers(here)) == 3

    (here / "endless").unlink()
    DockerEngine(directory_store, workers=2, command=command).submit(new_run(directory_store, "stopped"))
    assert summary_of(directory_store, run).counts.processed == 3


def test_the_report_is_there_while_containers_work(
    directory_store: Store, command: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting, "EVERY", 0.05)
    monkeypatch.setattr(reporting, "REST", 0)
    dataset(directory_store, 3)
    (here / "endless").touch()
    run = new_run(directory_store, "watched", layout="fused", shard_size=1)
    engine = DockerEngine(directory_store, workers=2, command=command)
    first = keys.report("watched") + "index.html"

    def submit() -> None:
        with suppress(UnavailableError), reporting.reporting(directory_store, run):
            engine.submit(run)

    thread = threading.Thread(target=submit)
    thread.start()
    until(lambda: directory_store.stat(first))
    assert "0 of 3\N{NO-BREAK SPACE}shards done" in directory_store.read(first).decode()
    engine.stop("watched")
    thread.join(60)

    (here / "endless").unlink()
    submit()
    assert "This run is not finished" not in directory_store.read(first).decode()
    assert summary_of(directory_store, run).counts.processed == 3


def test_ctrl_c_leaves_no_container_behind(directory_store: Store, command: str, here: Path) -> None:
    process = submitted(directory_store, command, here)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, said = process.communicate(timeout=60)
    assert said.rstrip().endswith("KeyboardInterrupt")
    assert not list(here.glob("*.pid"))


def test_containers_end_with_whoever_started_them(directory_store: Store, command: str, here: Path) -> None:
    process = submitted(directory_store, command, here)
    process.kill()
    process.communicate(timeout=60)
    until(lambda: not list(here.glob("*.pid")))


def submitted(store: Store, command: str, here: Path) -> subprocess.Popen[str]:
    """A process that submits, and waits for two containers that have no end of their own."""
    dataset(store, 6)
    (here / "endless").touch()
    new_run(store, "interrupted", layout="fused", shard_size=1)
    code = f"""
from imgflow_steps.records.run import load
from imgflow_steps.store import open_store
from imgflow_workflows.engines.docker import DockerEngine
store = open_store({store.url!r})
DockerEngine(store, workers=2, command={command!r}).submit(load(store, "interrupted"))
"""
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, start_new_session=True)
    until(lambda: len(list(here.glob("*fused*.pid"))) == 2)
    return process


@pytest.mark.thorough
def test_what_containers_said_is_kept_in_the_store(directory_store: Store, command: str, here: Path) -> None:
    dataset(directory_store, 2)
    (here / "real").touch()
    (here / "broken").write_text("137 1")
    engine = DockerEngine(directory_store, workers=1, command=command)
    engine.submit(new_run(directory_store, "told", layout="steps"))
    assert [*engine.logs("told", failed=True)] == ["the platform has a bad day"]
    scaled = [*engine.logs("told", step="scale", follow=True)]
    assert scaled
    assert all('"step": "scale"' in line for line in scaled)
    assert len(scaled) < len([*engine.logs("told")])


@pytest.mark.containers
@pytest.mark.parametrize("layout", ["steps", "fused"])
def test_containers_give_the_local_engine_s_pictures_byte_for_byte(
    tmp_path_factory: pytest.TempPathFactory, store: Store, layout: str
) -> None:
    here = open_store(str(tmp_path_factory.mktemp("local")))
    runs = []
    for where, engine in ((here, LocalEngine(here, workers=2)), (store, DockerEngine(store, workers=2))):
        dataset(where, 5)
        run = new_run(where, f"same-{layout}", DEFAULT, layout=layout, shard_size=3)
        engine.submit(run)
        assert summary_of(where, run).counts.processed == 5
        runs.append(pictures(where, run))
    assert runs[0] == runs[1]
    assert len(runs[0]) == 5


@pytest.mark.containers
def test_a_container_image_that_is_missing_is_named_before_anything_runs(directory_store: Store) -> None:
    engine = DockerEngine(directory_store, workers=1, tag="never-built")
    with pytest.raises(BadParametersError, match=r"make containers.*never-built"):
        engine.submit(new_run(directory_store, "missing"))


@pytest.mark.containers
def test_results_belong_to_whoever_submitted(directory_store: Store) -> None:
    dataset(directory_store, 1)
    DockerEngine(directory_store, workers=1).submit(new_run(directory_store, "mine"))
    owners = {path.stat().st_uid for path in Path(directory_store.url).rglob("*")}
    assert owners == {os.getuid()}


def test_a_daemon_that_does_not_answer_is_told_from_a_missing_image(directory_store: Store, tmp_path: Path) -> None:
    script = tmp_path / "docker"
    script.write_text("#!/bin/sh\necho 'Cannot connect to the Docker daemon' >&2\nexit 1\n")
    script.chmod(0o755)
    run = Run(id="nobody-home", municipality="Demo", pipeline=PLAIN)
    save(directory_store, run)

    with pytest.raises(UnavailableError, match="Cannot connect to the Docker daemon"):
        DockerEngine(directory_store, workers=1, command=str(script)).submit(run)
