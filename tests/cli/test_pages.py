"""The commands of the pages are run, one after another as they stand there; those that need a cluster are read."""

from __future__ import annotations

import io
import re
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests import photographs

from imgflow_cli.app import COMMANDS, load

if TYPE_CHECKING:
    from tests.cli.conftest import Cli

ROOT = Path(__file__).parents[2]
ELSEWHERE = re.compile(
    r"--engine argo|s3://|--cron|imgflow (logs|stop|serve|send|completion)|\bRUN\b|--open|-- ?help"
)  # need a cluster, a bucket, a service or a browser
BEFORE = {  # what a reader of the page has done already
    "docs/runs.md": [
        "imgflow ingest districts.csv -m Utrecht --path photo",
        "imgflow submit -m Utrecht --run RUN-A --steps scale:50%",
        "imgflow submit -m Utrecht --run RUN-B --steps scale:50%,grayscale",
    ],
    "docs/tables.md": [
        "imgflow ingest styles.csv -m Fashion --path path",
        "imgflow submit -m Fashion --steps scale:50%,infer",
    ],
    "docs/pipelines.md": ["imgflow ingest photos -m Utrecht"],
}
PAGES = [
    pytest.param(page, fewest, id=page, marks=[] if page == "docs/pipelines.md" else [pytest.mark.thorough])
    for page, fewest in {
        "README.md": 1,
        "docs/tutorial.md": 12,
        "docs/ingest.md": 4,
        "docs/runs.md": 17,
        "docs/tables.md": 8,
        "docs/pipelines.md": 4,
    }.items()
]


def lines(page: str) -> list[str]:
    """The lines of a page's shell blocks that begin imgflow, alone or behind a pipe."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
    every = [line.split("  #")[0].strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [line for line in every if re.match(r"(find .* \| )?imgflow ", line)]


@pytest.fixture
def town(tmp_path: Path) -> None:
    """A folder as the pages have it: photographs, a table, pipelines."""
    for folder, names in {"photos": ["0042.jpg", "b.jpg"], "photos/Hafen": ["cup.jpg"], "images": ["7.jpg"]}.items():
        (tmp_path / folder).mkdir()
        for number, name in enumerate(names):
            (tmp_path / folder / name).write_bytes(photographs.jpeg(len(folder) + number))
    (tmp_path / "photo.jpg").write_bytes(photographs.jpeg(3))
    (tmp_path / "styles.csv").write_text("path,season,gender\nimages/7.jpg,Summer,Women\n", encoding="utf-8")
    (tmp_path / "districts.csv").write_text("photo,district\nphotos/0042.jpg,Noord\nphotos/Hafen/cup.jpg,Oost\n")
    (tmp_path / "pipeline.yaml").write_text("steps: [{scale: 50%}, grayscale]\n", encoding="utf-8")
    (tmp_path / "steps.json").write_text('[["resize", "20x30"], ["split", true], ["blur", "median"]]', encoding="utf-8")


@pytest.mark.parametrize(("page", "fewest"), PAGES)
@pytest.mark.usefixtures("town")
def test_the_commands_of_a_page_do_what_it_says(
    imgflow: Cli, monkeypatch: pytest.MonkeyPatch, page: str, fewest: int
) -> None:
    monkeypatch.setenv("IMGFLOW_WORKERS", "1")
    if page == "docs/tutorial.md":
        Path("photos/not a photograph.jpg").write_bytes(b"Dear Sir or Madam")
    run = 0
    for line in [*BEFORE.get(page, []), *lines(page)]:
        before, _, command = line.rpartition(" | ")
        words = shlex.split(re.sub(r" > \S+$", "", command))[1:]
        if ELSEWHERE.search(line):
            assert [word for word in words if word in COMMANDS], line
            if words[0] in COMMANDS and "RUN" not in line:
                assert load(words[0]).make_context(words[0], words[1:]), line
            continue
        if before:
            listed = subprocess.run(before, shell=True, capture_output=True, check=True).stdout
            monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(listed)))
        done = imgflow(*words)
        assert done.code == 0, f"{page}: {line}\n{done.err}"
        assert "unexpected" not in done.err
        run += 1

    assert run - len(BEFORE.get(page, [])) >= fewest
