"""What README and CONTRIBUTING say is so, and what is so they say."""

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

import imgflow_steps
from imgflow_cli import app
from imgflow_steps.pipeline import parse
from imgflow_workflows.faults import MEANING
from imgflow_workflows.settings import FLAGS, Settings, flag, resolve, variable


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


@pytest.mark.parametrize(("document", "many"), [("README.md", 15), ("docs/operations.md", 5), ("docs/scale.md", 2)])
def test_every_command_that_is_told_exists_with_its_flags(root: Path, document: str, many: int) -> None:
    told = list(commands((root / document).read_text(encoding="utf-8")))

    assert len(told) > many
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


def test_every_command_is_in_the_readme(readme: str) -> None:
    assert set(app.COMMANDS) - {name for name, *_ in commands(readme)} == set()


@pytest.mark.parametrize("name", app.COMMANDS)
def test_a_command_s_help_begins_with_its_line_in_the_table(name: str) -> None:
    assert app.load(name).help.splitlines()[0] == app.COMMANDS[name].summary


@pytest.mark.parametrize("name", app.COMMANDS)
def test_every_flag_has_a_help_text(name: str) -> None:
    assert [parameter.name for parameter in app.load(name).params if not parameter.help] == []


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", ".ci/run"])
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


def test_exit_codes_are_told_as_they_are(readme: str) -> None:
    table = dict(re.findall(r"^\| (\d+) \| (.+) \|$", readme, re.MULTILINE))

    assert table == {str(int(code)): words for code, words in MEANING.items()}


def test_settings_are_told_as_they_are(readme: str) -> None:
    for name, field in Settings.model_fields.items():
        flagged = f"`{flag(name)}`" if name in FLAGS else "none"
        row = f"| `{name}` | {flagged} | `{variable(name)}` | {field.description} |"
        assert row in readme, row


def test_the_readme_s_examples_of_files_are_valid(readme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline, settings = re.findall(r"```yaml\n(.*?)```", readme, re.DOTALL)
    (tmp_path / "imgflow.yaml").write_text(settings, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))

    assert parse(yaml.safe_load(pipeline)).labels == ["scale", "grayscale", "infer"]
    for context in yaml.safe_load(settings)["contexts"]:
        assert resolve({"context": context}).context == context


def test_links_between_documents_lead_somewhere(root: Path) -> None:
    for document in [*root.glob("*.md"), *root.glob("docs/*.md")]:
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
