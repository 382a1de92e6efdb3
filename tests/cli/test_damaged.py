"""A document in the store that is damaged is named, with what is wrong and what to do; no answer is made of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests import photographs

from imgflow_steps.store import open_store

if TYPE_CHECKING:
    from tests.cli.conftest import Cli

RUN = ("submit", "-m", "Demo", "--run", "one", "--steps", "scale:50%", "--workers", "1")
HARM = {
    "cut": lambda text: text[: len(text) // 2],
    "page": lambda _: b"<html>login</html>\n",
    "zeros": lambda text: bytes(len(text)),
    "not utf-8": lambda text: b"\xff" + text[1:],
}
WHY = ("why", "a/000.jpg", "-m", "Demo")
READ = [
    ("run.json", ("get", "one")),
    ("run.json", ("doctor", "one")),
    ("listing.json", ("get", "one")),
    ("summary.json", ("retry", "one")),
    ("progress/*", ("watch", "one")),
    ("results.jsonl", ("fetch", "one", "out")),
    ("results.jsonl", WHY),
    ("listing.jsonl", WHY),
]
CATALOG = Path(".imgflow/datasets/Demo/catalog.parquet")


@pytest.fixture
def made(imgflow: Cli) -> None:
    folder = photographs.folder(Path("photos"), 1)
    (folder / "told.csv").write_text("image,year\na/000.jpg,1999\n")
    assert imgflow("ingest", str(folder / "told.csv"), "-m", "Demo").code == 0
    assert imgflow(*RUN).code == 0


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize(("name", "command"), READ)
def test_a_document_of_a_run_that_is_damaged_is_named(imgflow: Cli, name: str, command: tuple[str, ...]) -> None:
    [path, *_] = sorted(Path(".imgflow/runs/one").glob(name))
    text = path.read_bytes()
    for harm in HARM.values():
        path.write_bytes(harm(text))
        done = imgflow(*command)

        said = done.out + done.err
        assert done.code == 1
        assert path.name in said
        assert "restore it from a backup" in said or command[0] == "doctor"
        assert "pydantic" not in said
        assert "unexpected" not in said


@pytest.mark.usefixtures("made")
def test_a_run_that_cannot_be_read_is_not_left_out_of_the_list_in_silence(imgflow: Cli) -> None:
    Path(".imgflow/runs/one/summary.json").write_bytes(b"{")
    Path(".imgflow/runs/no-run").mkdir()

    done = imgflow("ls", "-o", "json")

    assert (done.code, done.json["items"]) == (0, [])
    assert "run one in" in done.err
    assert "runs/one/summary.json" in done.err
    assert "no-run" not in done.err


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize("name", ["run.json", "summary.json"])
def test_a_run_that_is_damaged_can_be_deleted_and_submitted_again(imgflow: Cli, name: str) -> None:
    Path(".imgflow/runs/one", name).write_bytes(b"{")

    deleted = imgflow("delete", "one", "--yes")
    again = imgflow(*RUN, "--run", "other", "-o", "json")

    assert deleted.code == 0
    assert (again.code, again.json["counts"]["cached"]) == (0, 1)
    assert imgflow("delete", "one", "--yes").code == 2


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize(
    "command",
    [
        ("query", "SELECT * FROM catalog"),
        ("plan", "-m", "Demo", "--where", "year > 1"),
        ("ingest", "photos/told.csv", "-m", "Demo"),
        ("export", "out", "-m", "Demo", "--as", "coco"),
    ],
)
def test_a_catalog_that_is_damaged_is_named_and_left_as_it_is(imgflow: Cli, command: tuple[str, ...]) -> None:
    for name in ("cut", "page", "zeros"):
        before = CATALOG.read_bytes()
        CATALOG.write_bytes(HARM[name](before))
        spoilt = CATALOG.read_bytes()
        done = imgflow(*command)

        assert done.code == 1
        assert "datasets/Demo/catalog.parquet in" in done.err
        assert "restore it from a backup, or delete it and ingest" in done.err
        assert open_store(".imgflow").read("datasets/Demo/catalog.parquet") == spoilt
        CATALOG.write_bytes(before)


@pytest.mark.usefixtures("made")
def test_a_damaged_file_of_rows_is_named_by_its_place_and_is_not_a_store_out_of_reach(imgflow: Cli) -> None:
    [path] = Path(".imgflow").glob("results/*/*/rows/*.jsonl")
    path.write_bytes(path.read_bytes()[:-20])

    for command in (("query", "FROM results"), ("submit", "-m", "Demo", "--steps", "scale:50%"), ("retry", "one")):
        done = imgflow(*command)

        assert done.code == 1
        assert path.relative_to(".imgflow").as_posix() in done.err
        assert "delete that file and submit again" in done.err
    path.unlink()
    assert imgflow("submit", "-m", "Demo", "--steps", "scale:50%").code == 0
