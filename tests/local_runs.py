"""A municipality made of small photographs, and runs of it on the local engine."""

from __future__ import annotations

import hashlib
import time
from typing import Any

from tests import photographs

from imgflow_steps.list import List
from imgflow_steps.pipeline.model import Pipeline, parse
from imgflow_steps.records import keys
from imgflow_steps.records.run import Run, load, save
from imgflow_steps.records.summary import Summary, read_summary
from imgflow_steps.store import Store
from imgflow_workflows.engines.local import LocalEngine

PLAIN = parse({"steps": [{"scale": {"width": 48, "height": 48}}, "grayscale"]})


def dataset(store: Store, count: int, municipality: str = "Demo") -> None:
    for i in range(count):
        store.write(keys.images(municipality) + f"{'abc'[i % 3]}/{i:03d}.jpg", photographs.jpeg(i))


def submit(store: Store, run_id: str, pipeline: Pipeline = PLAIN, **listing: Any) -> Summary:
    run = Run(id=run_id, municipality="Demo", pipeline=pipeline, list=List(**listing), created=time.time())
    save(store, run)
    LocalEngine(store, workers=2).submit(run)
    summary = read_summary(store, run_id)
    assert summary
    assert summary.counts.add_up
    return summary


def pictures(store: Store, run_id: str) -> dict[str, str]:
    run = load(store, run_id)
    prefix = keys.results(run.municipality, run.digest) + "images/"
    return {f.key.removeprefix(prefix): hashlib.sha256(store.read(f.key)).hexdigest() for f in store.entries(prefix)}
