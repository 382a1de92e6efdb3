"""What the explorer is measured beside gives the same answers as it does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
from bench.explorer import ASKED, Asked

from bench import explorer as module
from imgflow_steps.store import open_store
from imgflow_workflows.explorer.app import Explorer
from imgflow_workflows.explorer.index import Index

IMAGES = 4000


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Explorer, Path]]:
    root = tmp_path_factory.mktemp("explorer")
    store = open_store(str(root))
    folder = root / module.fill(store, IMAGES)
    index = Index(store)
    yield Explorer(index), folder
    index.close()


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: asked.name)
def test_all_contenders_find_the_same_images(filled: tuple[Explorer, Path], asked: Asked) -> None:
    explorer, folder = filled
    text = explorer.overview(asked.choice).decode()
    total = int(re.sub(r"\D", "", re.findall(r"<strong>([^<]*)</strong>", text)[0]))
    shown = [unescape(name) for name in re.findall(r'class="tile" title="([^"]*)"', text)]

    assert shown
    with module.table(folder) as base:
        assert module.select(base, asked.where, asked.by) == (total, shown)
    assert module.page([*module.rows(folder)], asked)[:2] == (total, shown)
