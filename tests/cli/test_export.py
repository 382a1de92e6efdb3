"""export: what was chosen comes out with what is told of it, once, and can come in again."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest
from tests import photographs
from tests.catalogs import fashion
from tests.servers import Proxy

from imgflow_steps.records import keys
from imgflow_steps.store import Store, open_store

if TYPE_CHECKING:
    from tests import servers
    from tests.cli.conftest import Cli

WOMEN = ("--where", "gender = 'Women'")


@pytest.fixture
def shop(imgflow: Cli, store: Store) -> Store:
    fashion(Path("shop"), 20)
    assert imgflow("ingest", "shop/styles.csv", "-m", "Fashion").code == 0
    return store


def pictures(folder: str) -> dict[str, str]:
    files = [path for path in Path(folder).rglob("*.jpg") if path.is_file()]
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_images_that_fit_come_out_with_their_rows(imgflow: Cli, shop: Store) -> None:
    done = imgflow("export", "out", "-m", "Fashion", *WOMEN, "-o", "json")

    rows = pq.read_table("out/catalog.parquet").to_pylist()
    assert done.code == 0
    assert 0 < done.json["copied"] < 20
    assert {row["gender"] for row in rows} == {"Women"}
    assert sorted(pictures("out")) == [row["image"] for row in rows]
    assert pictures("out").items() <= pictures("shop/images").items()


def test_what_lies_there_already_is_not_copied_again(imgflow: Cli, shop: Store) -> None:
    imgflow("export", "out", "-m", "Fashion")
    gone = next(Path("out").glob("*.jpg"))
    gone.unlink()

    again = imgflow("export", "out", "-m", "Fashion", "-o", "json").json

    assert (again["copied"], again["present"]) == (1, 19)
    assert pictures("out") == pictures("shop/images")


def test_results_come_out_with_their_rows(imgflow: Cli, shop: Store) -> None:
    imgflow("submit", "-m", "Fashion", "--steps", "scale:16x16,split:halves", "--workers", "1")

    done = imgflow("export", "out", "-m", "Fashion", *WOMEN, "--results", "-o", "json")

    rows = pq.read_table("out/results.parquet").to_pylist()
    assert done.json["copied"] == len(rows) == 2 * pq.read_table("out/catalog.parquet").num_rows
    assert {row["output_key"]: row["output_sha256"] for row in rows} == pictures("out")
    assert "next:" not in done.err  # the catalog tells of images, and these have other names


def test_what_was_exported_comes_in_again(imgflow: Cli, shop: Store) -> None:
    done = imgflow("export", "out", "-m", "Fashion", *WOMEN)

    assert done.err.endswith("next: imgflow ingest out/catalog.parquet --municipality NAME\n")
    assert imgflow("ingest", "out/catalog.parquet", "-m", "Women").code == 0

    sql = "SELECT count(*) AS n FROM catalog a JOIN catalog b USING (image, id, season) WHERE a.municipality = 'Women'"
    told = imgflow("query", f"{sql} AND b.municipality = 'Fashion'", "-o", "json").json
    assert told == [{"n": len(pictures("out"))}]


def test_a_bucket_gets_the_same_as_a_folder(
    imgflow: Cli, shop: Store, moto_server: servers.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in moto_server.environment.items():
        monkeypatch.setenv(name, value)
    url = moto_server.new_bucket()

    first = imgflow("export", f"{url}/prefix", "-m", "Fashion", *WOMEN, "-o", "json").json
    again = imgflow("export", f"{url}/prefix", "-m", "Fashion", *WOMEN, "-o", "json").json
    back = imgflow("--store", url, "export", "back", "-m", "prefix")

    names = [found.key for found in open_store(f"{url}/prefix").entries()]
    assert len(names) == first["copied"] + 1
    assert "catalog.parquet" in names
    assert (again["copied"], again["present"]) == (0, first["copied"])
    assert back.code == 2


def test_an_image_that_never_comes_whole_is_named_and_the_others_come_out(
    imgflow: Cli, moto_server: servers.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = Proxy(moto_server)
    for name, value in moto_server.behind(proxy).environment.items():
        monkeypatch.setenv(name, value)
    url = moto_server.new_bucket()
    for i in range(3):
        open_store(url).write(keys.images("Demo") + f"{i}.jpg", photographs.jpeg(i))
    proxy.rule = lambda method, path: "flip" if method == "GET" and path.endswith("/1.jpg") else ""

    done = imgflow("--store", url, "export", "out", "-m", "Demo")
    proxy.close()

    assert done.code == 1
    assert "1.jpg: unreadable: " in done.err
    assert "another MD5" in done.err
    assert set(pictures("out")) == {"0.jpg", "2.jpg"}


def test_photographs_without_a_catalog_come_out_too(imgflow: Cli, demo: Store) -> None:
    done = imgflow("export", "out", "-m", "Demo", "--sample", "2")

    assert done.code == 0
    assert done.err.endswith("next: imgflow ingest out --municipality NAME\n")
    assert len(pictures("out")) == 2
    assert not Path("out/catalog.parquet").exists()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("out", "-m", "Fashion", "--where", "sesaon = 1"), '"season"'),
        (("out", "-m", "Fashion", "--results"), "no results yet"),
        (("out", "-m", "Fasion"), "did you mean 'Fashion'"),
        ((".imgflow/datasets/x", "-m", "Fashion"), "part of the store itself"),
    ],
)
def test_what_cannot_be_exported_gives_one_error_and_writes_nothing(
    imgflow: Cli, shop: Store, arguments: tuple[str, ...], error: str
) -> None:
    before = list(shop.entries())

    done = imgflow("export", *arguments)

    assert done.code == 2
    assert error in done.err
    assert not Path("out").exists()
    assert list(shop.entries()) == before
    assert shop.stat(keys.catalog("Fashion"))
