"""What commands show of images in which something is covered, beside what other runs made of the same images."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from tests import leaks

from imgflow_cli.demo_faces import finder
from imgflow_steps.records import keys
from imgflow_steps.records.run import load
from imgflow_steps.store import Store

if TYPE_CHECKING:
    from tests.cli.conftest import Cli

pytestmark = pytest.mark.faces
PLAIN = ("submit", "-m", "Demo", "--workers", "1", "-q", "--steps", "scale:400x400")


@pytest.fixture
def both(imgflow: Cli, store: Store, tmp_path: Path) -> Store:
    """The municipality Demo after a run that shows the face and a run that covers it."""
    store.write(keys.images("Demo") + "plain.jpg", leaks.astronaut("JPEG"))
    store.write(keys.images("Demo") + "broken.jpg", leaks.astronaut("JPEG")[:9000])
    steps = [{"infer": {"model": str(finder(tmp_path))}}, "redact", "scale:400x400"]
    Path("covers.yaml").write_text(yaml.safe_dump({"steps": steps}))
    assert imgflow(*PLAIN, "--run", "shows").code == 0
    assert (
        imgflow("submit", "--steps", "@covers.yaml", "-m", "Demo", "--workers", "1", "-q", "--run", "covers").code == 0
    )
    return store


def test_no_command_shows_uncovered_what_a_run_has_covered_unless_it_is_asked_to(
    imgflow: Cli, both: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[bytes] = []

    def show(url: str) -> bool:
        opened.append(Path(url.removeprefix("file://")).read_bytes())
        return True

    monkeypatch.setattr(webbrowser, "open", show)
    places: list[tuple[str, bytes]] = []
    assert imgflow("why", "plain.jpg", "--open").code == 0
    assert opened
    places += [("why", content) for content in opened]

    nothing = imgflow("why", "broken.jpg", "--open")
    assert "no picture of it in which something is covered" in nothing.err

    refused = imgflow("diff", "covers", "shows", "--page", "page.html")
    assert (refused.code, "--unredacted" in refused.err) == (2, True)
    assert not Path("page.html").exists()
    assert imgflow("diff", "covers", "shows").code == 0
    assert imgflow("diff", "covers", "shows", "--page", "asked.html", "--unredacted").code == 0
    assert leaks.showing([("diff", Path("asked.html").read_bytes())], tmp_path)[0] != [], "as it was asked"

    assert imgflow("export", "out", "-m", "Demo", "--results").code == 0
    places += leaks.in_folder(Path("out"))
    for command in (["report", "covers", "-o", "whole.html"], ["ls", "-o", "json"], ["why", "plain.jpg", "-o", "json"]):
        places.append((command[0], imgflow(*command).out.encode()))
    places += [("report", Path("whole.html").read_bytes())]
    assert leaks.showing(places, tmp_path)[0] == []
    assert "originals, in which nothing is covered" in imgflow("export", "originals", "-m", "Demo").err


def test_doctor_tells_of_uncovered_pictures_and_prune_takes_them_all(imgflow: Cli, both: Store, tmp_path: Path) -> None:
    told = imgflow("doctor", "covers")
    assert told.code == 1
    assert "1 other run of these images left pictures that show what this one covers (uncovered)" in told.out
    assert "prune --unredacted -m Demo" in told.out
    assert imgflow("doctor", "shows").code == 0
    assert leaks.showing(leaks.in_store(both), tmp_path)[0] != []

    planned = imgflow("prune", "--unredacted", "-o", "json").json
    assert {item["name"] for item in planned["items"] if not item["keep"]} == {
        f"Demo/{load(both, 'shows').digest}",
        "shows",
    }
    assert imgflow("prune", "--unredacted", "--yes").code == 0
    shown, looked = leaks.showing(leaks.in_store(both), tmp_path)
    assert (shown, looked > 0) == ([], True)
    assert imgflow("doctor", "covers").code == 0


def test_where_no_pipeline_covers_anything_nothing_is_uncovered(imgflow: Cli, demo: Store) -> None:
    imgflow(*PLAIN, "--run", "shows")
    before = list(demo.entries())
    said = imgflow("prune", "--unredacted", "--yes", "-o", "wide")
    assert "no pipeline covers anything in images of Demo" in said.out
    assert list(demo.entries()) == before
    assert imgflow("prune", "--unredacted", "--what", "models").code == 2
