"""Whether this machine and a store can do a run: each check does the real thing, small, and leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.records import keys
from imgflow_steps.records.run import Run, save
from imgflow_steps.records.summary import read_summary
from imgflow_steps.store import StoreError, UnavailableError, open_store
from imgflow_steps.store.leftovers import temporary
from imgflow_steps.worker import reach
from imgflow_workflows.doctor.checks import Check, State
from imgflow_workflows.submit.default import DEFAULT

if TYPE_CHECKING:
    from imgflow_steps.store import Store

GB = 1e9
LITTLE, NOTHING = 5 * GB, 0.5 * GB  # free bytes below which a disk is nearly, or quite, full
PIXELS = (320, 240)  # of the photograph that is tried
ONNX_RUNTIME = "1.31.1"  # that containers hold; a test compares it with their requirements
DISTRIBUTIONS = ("onnxruntime", "onnxruntime-gpu")  # either gives the module


def store(opened: Store) -> Check:
    """Whether objects can be listed, written, read back and deleted."""
    key, text = f"scratch/doctor-{uuid4().hex}", b"written by imgflow doctor"
    began = time.perf_counter()
    try:
        next(opened.entries("scratch/doctor-"), None)
        if not opened.url.startswith("s3://"):
            return _directory(Path(opened.url))
        opened.write(key, text)
        back = opened.read(key)
        opened.delete([key])
    except (StoreError, OSError) as error:
        mend = "imgflow config  # the store's address, and where it is set"
        return Check("store", State.WRONG, str(error), mend, reached=not isinstance(error, UnavailableError))
    if back != text:
        return Check(
            "store", State.WRONG, f"{opened.url} gives back other bytes than it was given", "use another server"
        )
    ms = (time.perf_counter() - began) * 1000
    return Check("store", State.OK, f"{opened.url}: listed, wrote, read and deleted in {ms:.0f} ms")


def _directory(path: Path) -> Check:
    """A directory is written to beside what lies there, so that one which is not there yet is not made."""
    there = _nearest(path)
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        mend = "choose another directory with --store, or make this one writable"
        return Check("store", State.WRONG, f"{there} cannot be written to: {error.strerror}", mend)
    return Check("store", State.OK, f"{path} is writable" if there == path else f"{path} will be made in {there}")


def space(opened: Store) -> Check:
    """Free space where results and shards between steps lie."""
    places = [Path(tempfile.gettempdir())]
    if not opened.url.startswith("s3://"):
        places.insert(0, _nearest(Path(opened.url)))
    free = {place: shutil.disk_usage(place).free for place in places}
    place, least = min(free.items(), key=lambda item: item[1])
    seen = ", ".join(f"{count / GB:.1f} GB free in {where}" for where, count in free.items())
    if least > LITTLE:
        return Check("space", State.OK, seen)
    return Check("space", State.WARNING if least > NOTHING else State.WRONG, seen, f"df -h {place}  # make room there")


def libraries() -> Check:
    """Whether a photograph goes through the default pipeline here, in a process of its own like every other."""
    from imgflow_workflows.engines.local import LocalEngine  # noqa: PLC0415 - engines know the doctor's documents

    name = f"in a process of its own, {PIXELS[0]}x{PIXELS[1]} pixels through {' → '.join(DEFAULT.labels)}"
    mend = "reinstall imgflow: pip install --force-reinstall imgflow"
    with temporary() as folder:
        here = open_store(str(folder))
        run = Run(id="doctor", municipality="doctor", pipeline=DEFAULT, created=time.time(), engine="local")
        began = time.perf_counter()
        try:
            here.write(keys.images(run.municipality) + "photograph.png", _photograph())
            save(here, run)
            LocalEngine(here, workers=1).submit(run)
        except (StoreError, BadParametersError, ImportError, OSError) as error:
            return Check("libraries", State.WRONG, f"{type(error).__name__}: {error}", mend)
        summary = read_summary(here, run.id)
        if summary is None or summary.counts.processed != 1:
            why = here.read(keys.results_jsonl(run.id)).decode().strip()
            return Check("libraries", State.WRONG, f"a photograph that is well came out as: {why}", mend)
    return Check("libraries", State.OK, f"{name} in {time.perf_counter() - began:.1f} s")


def _photograph() -> bytes:
    import numpy as np  # noqa: PLC0415 - pixels, for this check only

    from imgflow_steps.codec import encode  # noqa: PLC0415
    from imgflow_steps.contract.options import Encoding  # noqa: PLC0415

    width, height = PIXELS
    ramp = np.add.outer(np.arange(height), np.arange(width)) % 256
    return encode(np.repeat(ramp[:, :, None].astype(np.uint8), 3, axis=2), Encoding(format="png"))


def containers(opened: Store) -> Check:
    """Whether the docker command works, and has the container images of the default pipeline."""
    from imgflow_workflows.engines.docker import DockerEngine, MissingImageError  # noqa: PLC0415 - for this engine only

    try:
        DockerEngine(opened, workers=1).check(Run(id="doctor", municipality="doctor", pipeline=DEFAULT))
    except MissingImageError as error:
        return Check("containers", State.WRONG, str(error), "make containers  # builds them all")
    except UnavailableError as error:
        mend = "start Docker, such as with: sudo systemctl start docker  # or name another command in IMGFLOW_DOCKER"
        return Check("containers", State.WRONG, str(error), mend, reached=False)
    except (BadParametersError, StoreError) as error:
        mend = "export IMGFLOW_DOCKER=podman  # or install Docker; any command that takes docker's arguments will do"
        return Check("containers", State.WRONG, str(error), mend)
    return Check("containers", State.OK, "the command works and has the container images of every step")


def models() -> Check:
    """Whether infer runs here, and whether with the ONNX Runtime of the containers: another may differ in a box."""
    theirs = f"onnxruntime=={ONNX_RUNTIME}"
    here = {name: found for name in DISTRIBUTIONS if (found := _installed(name))}
    if not here:
        seen = "ONNX Runtime is not installed here, so infer cannot run"
        return Check("models", State.WARNING, seen, f"pip install {theirs}")
    seen = ", ".join(f"{name} {found}" for name, found in here.items())
    if here == {"onnxruntime": ONNX_RUNTIME}:
        return Check("models", State.OK, f"{seen}, as in the containers")
    return Check("models", State.OK, f"{seen}; boxes may differ a little from the containers', which have {theirs}")


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def workers(count: int) -> Check:
    """Whether this many processes find a core and the memory that each may take."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    each = DEFAULT.limits.memory
    fit = max(1, min(cores, memory // each))
    seen = f"{count} for {cores} cores and {memory / GB:.1f} GB; each may take {each / GB:.1f} GB"
    if count <= fit:
        return Check("workers", State.OK, seen)
    return Check("workers", State.WARNING, seen, f"--workers {fit}, or IMGFLOW_WORKERS={fit}")


def confinement() -> Check:
    """What keeps a decoder that a photograph has taken over from files, connections and programs."""
    if not reach.confined(os.environ):
        mend = f"unset {reach.CONFINE}"
        return Check("confinement", State.WARNING, f"computing processes are not confined: {reach.CONFINE}=off", mend)
    found = reach.means()
    seen = ", ".join(["computing processes: an environment without secrets", *found])
    return Check("confinement", State.OK, seen if found else f"{seen}; this kernel has neither Landlock nor seccomp")


def _nearest(path: Path) -> Path:
    """The path itself, or the nearest one above it where anything is."""
    return next(place for place in (path, *path.absolute().parents) if place.exists())
