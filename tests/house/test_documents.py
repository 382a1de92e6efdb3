"""What the pages say is so, and what is so they say."""

from __future__ import annotations

import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import pytest
import yaml
from docs import build, write_reference
from docs import picture as take
from PIL import Image

import imgflow_steps
from imgflow_cli import app
from imgflow_cli.commands.info import markdown
from imgflow_steps.pipeline.model import parse
from imgflow_steps.pipeline.registry import STEPS
from imgflow_steps.records.keys import IMAGE_SUFFIXES
from imgflow_workflows.errors import MEANING
from imgflow_workflows.settings import FLAGS, Settings, flag, resolve, variable

ROOT = Path(__file__).parents[2]
WRITTEN = sorted(  # by hand; those below docs/reference are made of declarations
    str(path.relative_to(ROOT))
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "bench/README.md"]
    if path.name != "CHANGELOG.md"
)
PAGES = [*WRITTEN, "docs/reference/commands.md"]
FEWEST = {
    "README.md": 5,
    "docs/runs.md": 20,
    "docs/operations.md": 5,
    "docs/tutorial.md": 12,
    "docs/reference/commands.md": 25,
}


def commands(text: str) -> Iterator[list[str]]:
    """Every ``imgflow`` command line in a document: lines of shell blocks, and code in running text.

    Without what follows a ``|``, ``>`` or ``&&``.
    """
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    lines = [line.split("  #")[0] for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    for line in [*lines, *re.findall(r"`([^`\n]+)`", text)]:
        words = shlex.split(line, comments=True)
        if words[:1] == ["imgflow"] and len(words) > 1 and words[1] not in {"…", "COMMAND"}:
            yield list(takewhile(lambda word: word not in {"|", ">", "&&"}, words[1:]))


def flags(command: str) -> set[str]:
    return {option for parameter in app.load(command).params for option in parameter.opts}


@pytest.mark.parametrize("document", PAGES)
def test_every_command_that_a_page_names_exists_with_its_flags(root: Path, document: str) -> None:
    told = list(commands((root / document).read_text(encoding="utf-8")))

    assert len(told) >= FEWEST.get(document, 0)
    anywhere = {option: parameter.is_flag for parameter in app.group().params for option in parameter.opts}
    anywhere["--help"] = True
    for line in told:
        name, *words = line
        while name.startswith("-") and words:
            assert name in anywhere, f"{document}: imgflow has no {name}"
            name, *words = words if anywhere[name] else words[1:]
        if name in anywhere:
            continue
        assert name in app.COMMANDS, f"{document}: there is no `imgflow {name}`"
        unknown = {word.split("=")[0] for word in words if word.startswith("-")} - flags(name)
        assert not unknown, f"{document}: imgflow {name} has no {unknown}"


def test_every_command_is_on_a_page_that_says_what_it_is_for(root: Path) -> None:
    told = {name for page in WRITTEN for name, *_ in commands((root / page).read_text(encoding="utf-8"))}

    assert set(app.COMMANDS) - told == set()


@pytest.mark.parametrize("name", app.COMMANDS)
def test_a_command_s_help_begins_with_its_line_in_the_table(name: str) -> None:
    assert app.load(name).help.splitlines()[0] == app.COMMANDS[name].summary


@pytest.mark.parametrize("name", app.COMMANDS)
def test_every_flag_has_a_help_text(name: str) -> None:
    assert [parameter.name for parameter in app.load(name).params if not parameter.help] == []


@pytest.mark.parametrize(
    "document", ["README.md", "CONTRIBUTING.md", "docs/tutorial.md", "docs/cluster.md", "bench/README.md", ".ci/run"]
)
def test_every_make_target_that_is_told_exists(root: Path, document: str) -> None:
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z0-9-]+):", makefile, re.MULTILINE))
    text = (root / document).read_text(encoding="utf-8")
    told = re.findall(r"(?:^|`)make((?: [a-z0-9-]+)+)", text, re.MULTILINE)

    assert told
    assert {target for line in told for target in line.split()} - targets == set()


def test_make_alone_prints_every_target_that_has_a_word_of_help(root: Path) -> None:
    makefile = (root / "Makefile").read_text(encoding="utf-8")

    shown = subprocess.run(["make", "-s"], cwd=root, capture_output=True, text=True, check=True).stdout

    for target in re.findall(r"^([a-z0-9-]+):.*##", makefile, re.MULTILINE):
        assert f"make {target} " in shown


def test_the_reference_is_what_the_declarations_say(root: Path) -> None:
    folder = root / "docs/reference"
    committed = {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in folder.rglob("*")
        if path.is_file()
    }

    assert write_reference.pages() == committed, "run `make reference`, and commit what it writes"


def test_the_reference_has_every_command_step_setting_exit_code_and_metric(root: Path) -> None:
    page = {path.stem: path.read_text(encoding="utf-8") for path in (root / "docs/reference").glob("*.md")}

    assert set(re.findall(r"^### imgflow (\S+)$", page["commands"], re.MULTILINE)) == set(app.COMMANDS)
    for name in app.COMMANDS:
        [part] = re.findall(rf"^### imgflow {name}$(.*?)(?=^##|\Z)", page["commands"], re.MULTILINE | re.DOTALL)
        assert {flag for flag in flags(name) if flag.startswith("--")} <= set(re.findall(r"--[a-z-]+", part))
    assert markdown(list(STEPS.values())) in page["steps"]
    assert re.findall(r"^\| (\d+) \| (.+?) \|", page["exit-codes"], re.MULTILINE) == [
        (str(int(code)), words) for code, words in MEANING.items()
    ]
    for name, field in Settings.model_fields.items():
        flagged = f"`{flag(name)}`" if name in FLAGS else "none"
        assert f"| `{name}` | {flagged} | `{variable(name)}` | {field.description} |" in page["settings"]
    dashboard = (root / "charts/imgflow/files/dashboard.json").read_text(encoding="utf-8")
    shown = {re.sub("_(bucket|sum|count)$", "", name) for name in re.findall(r"argo_workflows_imgflow_\w+", dashboard)}
    assert shown <= set(re.findall(r"argo_workflows_imgflow_\w+", page["metrics"]))


def test_examples_of_files_are_valid(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [pipeline] = re.findall(r"```yaml\n(.*?)```", (root / "docs/pipelines.md").read_text(encoding="utf-8"), re.DOTALL)
    [settings] = re.findall(
        r"```yaml\n(.*?)```", (root / "docs/reference/settings.md").read_text(encoding="utf-8"), re.DOTALL
    )
    (tmp_path / "imgflow.yaml").write_text(settings, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))

    assert parse(yaml.safe_load(pipeline)).labels == ["scale", "grayscale", "infer"]
    for context in yaml.safe_load(settings)["contexts"]:
        assert resolve({"context": context}).context == context


def test_links_between_documents_lead_somewhere(root: Path) -> None:
    for document in [*root.glob("*.md"), *root.glob("docs/**/*.md"), *root.glob("bench/**/*.md")]:
        text = document.read_text(encoding="utf-8")
        for target, heading in re.findall(r"\]\(([^)#:]+)(?:#([^)]+))?\)", text):
            there = document.parent / target
            assert there.exists(), f"{document.name} → {target}"
            if heading:
                headings = re.findall(r"^#+ (.+)$", there.read_text(encoding="utf-8"), re.MULTILINE)
                anchors = {re.sub(r"[^a-z0-9 -]", "", one.lower()).replace(" ", "-") for one in headings}
                assert heading in anchors, f"{document.name} → {target}#{heading}"


def test_what_measures_the_figures_that_are_told_is_there(root: Path) -> None:
    told = re.findall(r"python (bench/\S+\.py)", (root / "docs/scale.md").read_text(encoding="utf-8"))

    assert told
    assert [path for path in told if not (root / path).is_file()] == []


def test_versions_agree(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    [newest, *_] = re.findall(r"^## \[([^]]+)\]", (root / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)

    assert project["project"]["version"] == imgflow_steps.__version__ == newest


def test_a_page_names_every_suffix_of_an_image(root: Path) -> None:
    [named] = re.findall(r"image's name ends in `([^`]+)`", (root / "docs/ingest.md").read_text(encoding="utf-8"))

    assert set(named.split()) == IMAGE_SUFFIXES


@pytest.mark.thorough
def test_the_site_has_every_page_and_asks_no_server_for_anything(root: Path, tmp_path: Path) -> None:
    build.build(tmp_path / "site", tmp_path / "pages")

    pages = {
        path.relative_to(tmp_path / "site").with_suffix(".md").as_posix()
        for path in (tmp_path / "site").rglob("*.html")
    }
    assert {"docs/tutorial.md", "docs/reference/commands.md", "bench/README.md"} <= pages | {"bench/README.md"}
    assert {page for page in WRITTEN if not page.endswith("README.md")} <= pages
    for page in (tmp_path / "site").rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert not re.findall(
            r"<(?:script|img|iframe)[^>]+src=.?https?:|<link[^>]+rel=.?stylesheet[^>]+https?:", text
        ), page


@pytest.mark.thorough
def test_a_link_that_leads_nowhere_ends_the_build_of_the_site(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text("# Start\n\n[gone](docs/gone.md)\n", encoding="utf-8")
    (tmp_path / "docs/mkdocs.yml").write_bytes((root / "docs/mkdocs.yml").read_bytes())
    monkeypatch.setattr(build, "ROOT", tmp_path)

    with pytest.raises(SystemExit, match=r"docs/gone\.md"):
        build.build(tmp_path / "site", tmp_path / "pages")


def test_the_picture_is_small_and_shows_what_it_is_taken_of(root: Path) -> None:
    path = root / "docs/pictures/first-look.png"

    assert path.stat().st_size < 150_000
    with Image.open(path) as picture:
        assert picture.size == take.SIZE
