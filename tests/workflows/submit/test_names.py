"""Names that people and cameras give: they work, or are turned away by name, on every store."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests import photographs
from tests.local_runs import PLAIN, pictures, submit

from imgflow_steps.records import keys
from imgflow_steps.records.row import Status
from imgflow_steps.records.rows import merged
from imgflow_steps.records.run import Run, load, save
from imgflow_steps.records.summary import read_summary
from imgflow_steps.store import KeyRefusedError, Store, open_store
from imgflow_workflows.engines.local import LocalEngine

NAMES = [
    "plain.jpg",
    "with space.jpg",
    'it\'s "quoted".jpg',
    "100%2Fpercent.jpg",
    "två rader\nunder varandra.jpg",
    "emoji 🦆.jpg",
    "å/ä/ö.jpg",
    "a\u030a.jpg",  # the same å, written as two characters
    "{{workflow.name}} $(id) `id` ; rm -rf #.jpg",
    "-m.jpg",
    "…/dots..inside.jpg",
    "tilde~0.jpg",
    "~.jpg",
    "back\\slash.jpg",
    "UPPER.JPG",
    "no suffix",
    "l" * 251 + ".jpg",
]


@pytest.mark.parametrize("municipality", ["Demo", "Östra Göinge", "{{=1+1}}'; rm -rf / #", "..", "-m", "å" * 40])
def test_any_municipality_has_its_own_results(store: Store, municipality: str) -> None:
    store.write(keys.images(municipality) + "one.jpg", photographs.jpeg(1))
    store.write(keys.images(municipality + "0") + "two.jpg", photographs.jpeg(2))

    run = Run(id="named", municipality=municipality, pipeline=PLAIN)
    save(store, run)
    LocalEngine(store, workers=1).submit(run)
    summary = read_summary(store, "named")

    assert summary
    assert (summary.counts.listed, summary.counts.processed) == (1, 1)
    assert list(pictures(store, "named")) == ["one.jpg.jpg"]


@pytest.mark.parametrize(
    "kind",
    ["directory_store", pytest.param("minio_store", marks=pytest.mark.minio)],  # moto knows no newline in a key
)
def test_legal_names_work_and_never_share_a_result(request: pytest.FixtureRequest, kind: str) -> None:
    store: Store = request.getfixturevalue(kind)
    for number, name in enumerate(NAMES):
        store.write(keys.images("Demo") + name, photographs.jpeg(number))

    summary = submit(store, "names")
    with merged(store, load(store, "names").rows) as rows:
        verdicts = {row.image: (row.status, row.code) for row in rows}

    assert verdicts == dict.fromkeys(NAMES, (Status.PROCESSED, ""))
    assert summary.counts.processed == len(set(pictures(store, "names").values())) == len(NAMES)


@pytest.mark.parametrize("name", ["../../escape.jpg", "a//b.jpg", "/absolute.jpg", "nul\0.jpg", "m" * 256 + ".jpg"])
def test_names_that_not_every_store_can_hold_are_refused_by_name(store: Store, name: str) -> None:
    with pytest.raises(KeyRefusedError, match="datasets/Demo/images/"):
        store.write(keys.images("Demo") + name, b"x")


def test_a_file_whose_name_is_no_unicode_is_rejected_by_name(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    folder = tmp_path / keys.images("Demo")
    folder.mkdir(parents=True)
    Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.jpg")).write_bytes(photographs.jpeg(1))
    (folder / "zebra.jpg").write_bytes(photographs.jpeg(2))

    first = submit(store, "first")
    second = submit(store, "second")
    with merged(store, load(store, "first").rows) as rows:
        codes = {row.image: row.code for row in rows}

    assert (first.counts.processed, first.counts.rejected) == (1, 1)
    assert (second.counts.cached, second.counts.rejected) == (1, 1)
    assert codes == {"caf\\udce9.jpg": "unsupported-key", "zebra.jpg": ""}
