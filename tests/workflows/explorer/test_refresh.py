"""A store that is read again while somebody looks: what comes to light, what goes on, and what a fault costs."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests import local_runs
from tests.services import SECONDS
from tests.workflows.explorer.test_explorer import serving, shown

from imgflow_steps.store import SilentError, Store, open_store
from imgflow_workflows.explorer.index import Index


def test_a_store_that_goes_away_while_it_is_read_again_changes_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_: Store) -> Iterator[Any]:
        raise SilentError("it does not answer")

    with closing(Index(store)) as index:
        before = index._table
        monkeypatch.setattr("imgflow_workflows.explorer.index.records", away)
        with pytest.raises(SilentError):
            index.refresh()

        assert index._table is before, "or the one before would never be closed"


def test_a_question_goes_on_while_the_store_is_read_again(tmp_path: Path) -> None:
    index = Index(open_store(str(tmp_path)))
    with ThreadPoolExecutor(1) as later:
        asked = later.submit(
            index.ask, "SELECT count(*) FROM range(15000) a, range(15000) b WHERE a.range + b.range = 1"
        )
        for _ in range(3):
            index.refresh()

        assert asked.result() == [(2,)]
    index.close()


def test_what_was_done_since_is_read_with_a_refresh(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    index = Index(store)
    with serving(index) as address, httpx.Client(base_url=address, trust_env=False, timeout=SECONDS) as page:
        before = page.get("/").text
        local_runs.dataset(store, 2)
        local_runs.submit(store, "one")
        after = page.get("/?refresh=1").text
    index.close()

    assert "Nothing fits" in before
    assert len(shown(after)) == 2
