"""The docker engine: one container per step and shard, its job as JSON on standard input. No cluster needed."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from pydantic import ValidationError

from imgflow_steps.contract.job import LIFELINE, Exit, Job, Result
from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.infer import CUDA
from imgflow_steps.records import keys
from imgflow_steps.records.run import Run, load
from imgflow_steps.records.summary import Phase, read_summary
from imgflow_steps.store import Store, UnavailableError, leftovers
from imgflow_steps.store.variables import BUNDLES, SOURCE
from imgflow_steps.worker.reach import Reach
from imgflow_workflows.engines.attempts import attempts
from imgflow_workflows.engines.here import Here
from imgflow_workflows.engines.jobs import chain, ended, jobs, tried, use

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import BinaryIO

    from imgflow_workflows.engines.attempts import ContainerLog

GRACE = 10  # seconds that a stopped container has to write down what it knows
OVERHEAD = 1 << 30  # bytes of memory that a container needs beside its computing process


class MissingImageError(BadParametersError):
    """The command works, and lacks a container image."""


class DockerEngine(Here):
    """Runs a run to its end in containers, ``workers`` shards at the same time.

    ``command`` is docker or anything that takes its arguments, such as podman; unset it is
    ``IMGFLOW_DOCKER``, else docker. Container images are ``<prefix><container>:<tag>`` and never pulled.
    """

    name = "docker"
    detached = False
    place = ""

    def __init__(
        self, store: Store, *, workers: int, command: str = "", prefix: str = "localhost/imgflow-", tag: str = "dev"
    ) -> None:
        super().__init__(store)
        self._workers = workers
        self._command = shlex.split(command or os.environ.get("IMGFLOW_DOCKER", "docker"))
        self._prefix, self._tag = prefix, tag
        self._stopping, self._abandoned = Event(), Event()
        self._running: set[str] = set()

    def submit(self, run: Run) -> None:
        """List, compute and collect. Raises UnavailableError, BadParametersError; Ctrl-C loses nothing flushed."""
        self.check(run)
        self._stopping.clear()
        self._abandoned.clear()
        self._store.delete([keys.stopped(run.id)])
        self._end(run.id)  # what an earlier attempt left running
        do, wait = partial(self._container, run), self._stopping.wait
        with ThreadPoolExecutor(use(self._workers)) as crew:
            try:
                listed = ended(crew.submit(tried, Job(step="list", run=run.id), do, wait).result())
                shards = [jobs(run, shard, listed.layout) for shard in range(listed.shards)]
                for done in as_completed([crew.submit(chain, todo, do, wait) for todo in shards]):
                    done.result()
                ended(crew.submit(tried, Job(step="collect", run=run.id), do, wait).result())
            except BaseException:
                self._stopping.set()
                crew.shutdown(wait=False, cancel_futures=True)
                while self._running and not self._abandoned.is_set():
                    self._end(run.id)
                    time.sleep(0.2)  # one that is only being created shows up later
                raise

    def _container(self, run: Run, job: Job, attempt: int) -> Result:
        name = container_name(job)
        told = Reach.of(self._store.url, run.source).introducer(os.environ)()
        argv = [*self._command, *run_arguments(job, run, self._store.url, name, told), self._image(job, run)]
        job = job.model_copy(update={"store": self._store.url})
        self._running.add(name)
        try:
            if self._stopping.is_set() or self._store.stat(keys.stopped(run.id)):
                return Result(job=job, exit=Exit.TEMPORARY, error=f"run {run.id} was stopped; retry resumes it")
            with tempfile.TemporaryFile() as log:
                process = _start(argv, log, told)
                answer = _answer(process, job)
                log.seek(0)
                self._store.write(log_key(run.id, name, attempt), log.read(), "text/plain")
                return _result(job, process.returncode, answer, name, _tail(log))
        finally:
            self._running.discard(name)
            if not self._abandoned.is_set():  # else one of that name may be somebody else's by now
                self._store.sweep(leftovers.machine_of(name))

    def _image(self, job: Job, run: Run) -> str:
        return f"{self._prefix}{container_of(job, run)}:{self._tag}"

    def check(self, run: Run) -> None:
        """Whether the command works and has a run's container images. Raises UnavailableError, BadParametersError."""
        ends = [Job(step=step, run=run.id) for step in ("list", "fused", "collect")]
        images = [self._image(job, run) for job in (*ends, *jobs(run, 0, "steps"))]
        self._tool("version")  # tells a daemon that does not answer from an image that is missing
        try:
            self._tool("image", "inspect", *images)
        except UnavailableError as error:
            raise MissingImageError(
                f"a container image is missing; `make containers` builds them all. {error}"
            ) from None

    def abandon(self) -> None:
        """See ``Engine``. Containers of the run are no longer this one's to end."""
        self._abandoned.set()
        self._stopping.set()

    def phase(self, run: str) -> Phase | None:
        """Running while it has a container, then what collect said; between two containers nobody can tell."""
        return Phase.RUNNING if self._containers(run) else super().phase(run)

    def stop(self, run: str) -> None:
        """End the run's containers, and have the process that submitted it start no more."""
        self._store.write(keys.stopped(run), b"")
        self._end(run)

    def delete(self, run: str) -> None:
        """End the run's containers; nothing else is kept outside the store."""
        self.stop(run)

    def logs(self, run: str, *, step: str = "", failed: bool = False, follow: bool = False) -> Iterator[str]:
        """Lines of the containers that have ended, by name; ``follow`` waits for further ones."""
        load(self._store, run)
        wanted = f"runs/{run}/logs/{container_prefix(run)}{step}"
        seen: set[str] = set()
        while True:
            going_on = follow and read_summary(self._store, run) is None
            for key in [found.key for found in self._store.entries(f"runs/{run}/logs/")]:
                if key in seen or not key.startswith(f"{wanted}-" if step else wanted):
                    continue
                seen.add(key)
                lines = self._store.read(key).decode(errors="replace").splitlines()
                if not failed or _went_wrong(lines):
                    yield from lines
            if not going_on:
                return
            time.sleep(1)

    def attempts(self, run: str, shard: int, *, lines: int) -> list[ContainerLog]:
        """Containers that have ended."""
        return attempts(self._store, run, shard, lines=lines)

    def _end(self, run: str) -> None:
        if containers := self._containers(run):
            # Each writes down first what it has done; some may have ended meanwhile.
            self._tool("stop", "-t", str(GRACE), *containers, check=False)

    def _containers(self, run: str) -> list[str]:
        label = f"label=imgflow.io/run={keys.check_run(run)}"
        return self._tool("ps", "--quiet", "--filter", label).split()

    def _tool(self, *arguments: str, check: bool = True) -> str:
        with tempfile.TemporaryFile() as log:
            process = _start([*self._command, *arguments], log)
            answer, _ = process.communicate()
            if check and process.returncode:
                raise UnavailableError(f"{shlex.join([*self._command, *arguments])} failed: {_tail(log)}")
            return answer.decode()


def container_prefix(run: str) -> str:
    """What the names of a run's containers begin with."""
    return f"imgflow-{run}-"


def container_name(job: Job) -> str:
    """A name that no other container of this machine has at the same time."""
    step = f"{job.step}-{job.position}" if job.position else job.step
    return f"{container_prefix(job.run)}{step}-{job.shard:05d}"


def container_of(job: Job, run: Run) -> str:
    """The container in which a job runs."""
    if job.position:
        return run.pipeline.steps[job.position - 1].container
    return run.pipeline.container if job.step == "fused" else job.step


def log_key(run: str, container: str, attempt: int) -> str:
    """Where what a container said is kept, beside what Argo archives."""
    return f"runs/{run}/logs/{container}-{attempt}/main.log"


def run_arguments(job: Job, run: Run, store: str, name: str, told: Mapping[str, str]) -> list[str]:
    """Arguments of ``docker run`` up to the container image: nothing but the stores can be written or reached.

    ``told``: variables that say where and who an S3 server is; the container has them from whoever starts it.
    """
    step = ("--label", f"imgflow.io/run={run.id}", "--label", f"imgflow.io/step={job.step}")
    memory = run.pipeline.limits.memory * job.workers + OVERHEAD
    # A volume and not a tmpfs for /tmp: a shard between steps lies there and is no memory.
    locked = ("--pull=never", "--read-only", "--volume=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges")
    reach: list[str] = []
    folder, source = _folder(store), _folder(run.source)
    if folder:
        reach += [f"--user={os.getuid()}:{os.getgid()}", _mount(folder)]
    if source and source != folder:
        reach += [_mount(source) + ":ro"]
    if folder or source:
        reach += ["--security-opt=label=disable"]  # else SELinux, where it is on, keeps a container out
    if "s3" in {urlsplit(store).scheme, urlsplit(run.source).scheme}:
        # By name and not by value, so that no secret shows in a list of processes.
        reach += ["--network=host", *(f"--env={variable}" for variable in told)]
        bundles = dict.fromkeys(told.get(name, "") for name in (BUNDLES[0], SOURCE + BUNDLES[0]))
        reach += [_mount(Path(bundle).absolute()) + ":ro" for bundle in bundles if bundle]
    else:
        reach += ["--network=none"]
    return [
        "run",
        "--rm",
        "--interactive",
        f"--env={LIFELINE}=1",
        f"--env={leftovers.MACHINE}={leftovers.machine_of(name)}",
        f"--name={name}",
        *step,
        *locked,
        f"--memory={memory}",
        *(["--gpus=all"] if container_of(job, run) == CUDA else []),
        *reach,
    ]


def _folder(url: str) -> Path | None:
    parts = urlsplit(url)
    if not url or parts.scheme not in {"", "file"}:
        return None
    return Path(unquote(parts.path) if parts.scheme else url).absolute()


def _mount(folder: Path) -> str:
    """The folder under its own name, so that every address means the same inside and outside."""
    if ":" in f"{folder}":
        raise BadParametersError(f"containers cannot see {folder}: a directory's name may hold no ':' there")
    return f"--volume={folder}:{folder}"


def _start(argv: Sequence[str], log: BinaryIO, told: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(  # noqa: S603 - the user's own container tool
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env={**os.environ, **(told or {})},
            start_new_session=True,  # Ctrl-C is for the engine, which then stops the containers in order
        )
    except OSError as error:
        raise BadParametersError(
            f"cannot start {argv[0]!r}: {error.strerror}; name a docker-compatible command in IMGFLOW_DOCKER"
        ) from error


def _answer(process: subprocess.Popen[bytes], job: Job) -> bytes:
    """What a container answers. Its standard input stays open until then: it ends when this process is gone."""
    with process:
        assert process.stdin  # noqa: S101 - narrows the types: both are pipes
        assert process.stdout  # noqa: S101
        with suppress(BrokenPipeError):  # it is dead already, and its log says why
            process.stdin.write(job.model_dump_json().encode() + b"\n")
            process.stdin.flush()
        return process.stdout.read()


def _result(job: Job, code: int, answer: bytes, name: str, tail: str) -> Result:
    try:
        result = Result.model_validate_json(answer)
    except ValidationError:
        error = f"container {name} ended with exit code {code}, without a result: {tail or 'it said nothing'}"
        return Result(job=job, exit=Exit.TEMPORARY, error=error)
    return result.model_copy(update={"job": job})


def _tail(log: BinaryIO) -> str:
    log.seek(max(0, log.seek(0, os.SEEK_END) - 2000))
    return "\n".join(log.read().decode(errors="replace").strip().splitlines()[-5:])


def _went_wrong(lines: list[str]) -> bool:
    try:
        return bool(json.loads(lines[-1])["exit"])
    except (IndexError, KeyError, TypeError, ValueError):
        return True  # its last word is not the runner's
