"""A report in sections: by folder, by a column of the catalog, by what files tell."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.catalogs import fashion

from imgflow_steps.records import keys

if TYPE_CHECKING:
    from tests.cli.conftest import Cli, Outcome

    from imgflow_steps.store import Store

QUICK = ("submit", "-m", "Fashion", "--steps", "scale:16x16,infer", "--workers", "1", "-o", "json")


@pytest.fixture
def shop(imgflow: Cli, store: Store) -> Store:
    fashion(Path("shop"), 20)
    assert imgflow("ingest", "shop/styles.csv", "-m", "Fashion").code == 0
    store.write(keys.images("Fashion") + "letter.jpg", b"Dear Sir or Madam")
    return store


def table(store: Store, done: Outcome) -> dict[str, int]:
    """Images by section, as the report says it."""
    page = store.read(keys.report(done.json["run"]) + "index.html").decode()
    rows = re.findall(r'href="#section-\d+"><bdi class="name">([^<]*)</bdi></a></th><td class="figure">(\d+)<', page)
    return {name: int(n) for name, n in rows}


def test_a_column_of_the_catalog_makes_sections_of_all_images(imgflow: Cli, shop: Store) -> None:
    done = imgflow(*QUICK, "--set", "collect.sections=season")

    told = imgflow("query", "SELECT season, count(*) AS n FROM catalog GROUP BY season", "-o", "json").json
    assert table(shop, done) == {row["season"]: row["n"] for row in told} | {"without season": 1}


def test_a_retry_keeps_the_column_though_the_catalog_is_gone(imgflow: Cli, shop: Store) -> None:
    done = imgflow(*QUICK, "--set", "collect.sections=season")
    before = table(shop, done)
    shop.delete([keys.catalog("Fashion")])

    assert imgflow("retry", done.json["run"], "--rejected").code == 0

    assert table(shop, done) == before


@pytest.mark.parametrize("column", ["seasn", "1", "'x'", "1; DROP TABLE catalog", 'se"ason'])
def test_a_column_that_is_not_there_is_refused_before_anything_is_computed(
    imgflow: Cli, shop: Store, column: str
) -> None:
    done = imgflow(*QUICK, "--set", f"collect.sections={column}")

    assert done.code == 2
    assert f"collect.sections={column}: " in done.json["error"]["message"]
    assert not list(shop.folders("results/"))


def test_without_a_catalog_the_error_says_how_to_get_one(imgflow: Cli, demo: Store) -> None:
    done = imgflow("plan", "-m", "Demo", "--set", "collect.sections=season")

    assert done.code == 2
    assert "Demo has no catalog; `imgflow ingest` of a table makes one" in done.err


def test_photographs_of_a_source_have_no_column(imgflow: Cli, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    done = imgflow("plan", "-m", "Demo", "--source", "photos", "--set", "collect.sections=season")

    assert done.code == 2
    assert "ingest them, or choose folder" in done.err
