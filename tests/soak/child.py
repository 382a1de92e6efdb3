"""A program that does run after run, each in a store of its own below a folder, until it is ended; a line for each."""

from __future__ import annotations

import signal
import sys
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.local_runs import dataset, pictures, submit

from imgflow_steps.store import open_store

IMAGES = 24


def main() -> None:
    """Layouts take turns. Whoever ends it politely lets it close what it has."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    for number in count():
        with TemporaryDirectory(dir=sys.argv[1]) as folder:
            store = open_store(str(Path(folder) / "store"))
            dataset(store, IMAGES)
            summary = submit(store, f"run-{number}", layout=("fused", "steps")[number % 2], shard_size=8)
            right = summary.counts.processed == len(pictures(store, f"run-{number}")) == IMAGES
        sys.stdout.write(f"{'right' if right else 'wrong'}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
