"""The entrypoint of every container: ``python -m imgflow_steps STEP --run ID …``, or a job as JSON on stdin."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import unquote

from pydantic import ValidationError

from imgflow_steps import __version__
from imgflow_steps.contract.job import COLLECTED, LIFELINE, Counts, Exit, Job, Result
from imgflow_steps.contract.redaction import redacted
from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.pipeline.model import explain, parse
from imgflow_steps.pipeline.registry import PIXEL_STEPS
from imgflow_steps.records import keys, lease
from imgflow_steps.records import run as runs
from imgflow_steps.records.summary import read_summary
from imgflow_steps.store import ChangedError, Store, StoreError, open_store
from imgflow_steps.worker import log, runner

if TYPE_CHECKING:
    from imgflow_steps.records.progress import ShardProgress

LOG = logging.getLogger("imgflow_steps")
About = Callable[[Job], None]
STEPS = ["list", *PIXEL_STEPS, "fused", "collect"]
LAST_WORDS = Path("/dev/termination-log")  # Kubernetes shows it as the reason, and Argo in its list of pods
LIST_FLAGS = ["layout", "shard_size", "retry", "nodes", "samples", "links", "known_by", "thumbnails"]
LIST_TEXTS = ["include", "exclude"]  # percent-encoded


def arguments() -> argparse.ArgumentParser:
    """The flags of every container; a municipality and a source travel percent-encoded."""
    parser = argparse.ArgumentParser(prog="python -m imgflow_steps", description=__doc__)
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("--run", required=True, help="run id")
    parser.add_argument("--position", type=int, default=0, help="of the step in the pipeline, counted from 1")
    parser.add_argument("--shard", type=int, default=0, help="number of the shard, counted from 0")
    parser.add_argument("--input", default="", help="shard between steps, when something else carries it")
    parser.add_argument("--output", default="", help="file or folder for the output, when something else carries it")
    parser.add_argument("--counts", default="", help="folder for a file with the number of images of each outcome")
    parser.add_argument("--workers", type=int, default=1, help="processes that compute at the same time")
    parser.add_argument("--unless-done", action="store_true", help="collect: do nothing when the report is there")
    group = parser.add_argument_group("list, when the run is not in the store yet")
    group.add_argument("--municipality", default="", help="percent-encoded")
    group.add_argument("--namespace", default="", help="of Kubernetes, where the Workflow is")
    group.add_argument("--source", default="", help="percent-encoded URL of photographs that are stored elsewhere")
    group.add_argument("--layout", default="auto", choices=["auto", "steps", "fused"])
    group.add_argument("--shard-size", type=int, default=0)
    group.add_argument("--nodes", type=int, default=1)
    group.add_argument("--samples", type=int, default=120)
    group.add_argument("--retry", default="failed", choices=["failed", "rejected"])
    group.add_argument("--include", default="", help="percent-encoded patterns, separated by commas")
    group.add_argument("--exclude", default="", help="the same for what is skipped")
    group.add_argument("--links", default="inside", choices=["inside", "all"])
    group.add_argument("--known-by", default="status", choices=["status", "content"])
    group.add_argument("--thumbnails", default="samples", choices=["samples", "all"])
    group.add_argument("--max-rejected", default="100%")
    return parser


def main() -> int:
    """Do one job. Standard output carries nothing but the result, whatever libraries print."""
    signal.signal(signal.SIGTERM, _stop)
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # the store tries again by itself and says when it gives up
    about = log.set_up()
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    if len(sys.argv) > 1:
        flags = arguments().parse_args()
        result = _by_flags(flags, about)
        if flags.counts:
            _write_counts(Path(flags.counts), result.counts)
    else:
        result = _by_json(_from_stdin(), about)
        answer.write(result.model_dump_json() + "\n")
        answer.flush()
    about(result.job)
    LOG.info("end", extra=log.facts(exit=result.exit, error=result.error, **result.counts.model_dump()))
    if result.error and LAST_WORDS.exists():
        LAST_WORDS.write_text(redacted(result.error)[:500])
    return result.exit


def _from_stdin() -> bytes:
    """The job. Where whoever gives it keeps standard input open for as long as it lives, this ends when that does."""
    if not os.environ.get(LIFELINE):
        return sys.stdin.buffer.read()
    job = sys.stdin.buffer.readline()
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    return job


def _end_with_stdin() -> None:
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _stop(*_: object) -> NoReturn:
    LOG.info("stopped", extra=log.facts(exit=int(Exit.TEMPORARY)))
    raise SystemExit(Exit.TEMPORARY)


def _by_json(text: bytes, about: About) -> Result:
    try:
        job = Job.model_validate_json(text)
    except ValidationError as error:
        nothing = Job(step="", run="")
        return Result(job=nothing, exit=Exit.BAD_PARAMETERS, error=explain(error, "job"))
    return _run(job, about)


def _by_flags(flags: argparse.Namespace, about: About) -> Result:
    fields = {name: getattr(flags, name) for name in ("step", "run", "position", "shard", "input", "output", "workers")}
    try:
        job = Job(**fields)
    except ValidationError as error:
        return Result(job=Job(step=flags.step, run=flags.run), exit=Exit.BAD_PARAMETERS, error=explain(error, "flags"))
    return _run(job, about, flags)


def _run(job: Job, about: About, flags: argparse.Namespace | None = None) -> Result:
    about(job)
    try:
        store = open_store(job.store or os.environ.get("IMGFLOW_STORE", ""))
        if flags and flags.step == "list" and flags.municipality:
            _write_run(store, flags)
        if flags and flags.unless_done and runner.collected(store, job.run):
            return Result(job=job)
    except (BadParametersError, ValueError) as error:
        return Result(job=job, exit=Exit.BAD_PARAMETERS, error=str(error))
    except StoreError as error:
        return runner.failed(job, error)
    LOG.info("start", extra=log.facts(version=__version__, store=store.url))
    result = runner.run_job(job, store, tell=_Teller())
    if job.step == "collect" and result.exit in COLLECTED:
        _notify(store, job)
    return result


def _notify(store: Store, job: Job) -> None:
    from imgflow_steps.worker.notify import Webhook  # noqa: PLC0415 - collect's own

    try:
        webhook, summary = Webhook.from_environment(os.environ), read_summary(store, job.run)
        if webhook and summary:
            LOG.info("notify", extra=log.facts(error=webhook.tell(summary)))
    except (BadParametersError, StoreError) as error:
        LOG.info("notify", extra=log.facts(error=str(error)))


def _write_counts(folder: Path, counts: Counts) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for outcome, images in counts.model_dump().items():
        (folder / outcome).write_text(str(images))


def _write_run(store: Store, flags: argparse.Namespace) -> None:
    """The other door: a run that was started without imgflow gets its ``run.json`` here. One that is there wins."""
    run_id = keys.check_run(flags.run)
    if store.stat(keys.run_json(run_id)):
        return
    pipeline = parse(json.loads(os.environ.get("IMGFLOW_PIPELINE", "null")), where="IMGFLOW_PIPELINE")
    try:
        run = runs.Run.model_validate(
            {
                "id": run_id,
                "municipality": keys.decode(flags.municipality),
                "pipeline": pipeline,
                "source": unquote(flags.source),
                "list": {name: getattr(flags, name) for name in LIST_FLAGS}
                | {name: unquote(getattr(flags, name)) for name in LIST_TEXTS},
                "collect": {"max_rejected": flags.max_rejected},
                "created": time.time(),
                "engine": "argo",
                "namespace": flags.namespace,
                "version": __version__,
            }
        )
    except ValidationError as error:
        raise BadParametersError(explain(error, "parameters")) from None
    keys.encode(run.municipality)
    with suppress(ChangedError):  # an attempt of this pod before
        lease.place(store, lease.new(run.id, run.engine))
    runs.save(store, run)


class _Teller:
    """Tells Argo, where it listens, and the log how far the shard is."""

    def __init__(self) -> None:
        path = os.environ.get("ARGO_PROGRESS_FILE")
        self._path = Path(path) if path else None

    def __call__(self, progress: ShardProgress) -> None:
        if self._path:
            self._path.write_text(f"{progress.done}/{progress.total}\n")
        LOG.info("progress", extra=log.facts(done=progress.done, total=progress.total, rejected=progress.rejected))


if __name__ == "__main__":
    sys.exit(main())
