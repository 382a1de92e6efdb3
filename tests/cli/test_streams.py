"""Standard streams that are closed, full, gone or of another encoding, and machines that lack something."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests import photographs
from tests.terminals import IMGFLOW, in_terminal

from imgflow_steps.records import keys
from imgflow_steps.store import Store
from imgflow_workflows.engines.local import LocalEngine

if TYPE_CHECKING:
    from tests.cli.conftest import Cli

SUBMIT = "submit -m Demo --source photos --workers 1 --steps scale:50% --run mine"
LISTED = "query 'select * from range(20000)' -o csv"
ESCAPES = "\x1b]0;owned\x07\x1b[2J\x9b2J\u202egpj"


@dataclass(frozen=True)
class Ended:
    """How a command of a shell ended."""

    code: int
    out: str
    err: str


def shell(command: str, around: str = "{}", **environment: str) -> Ended:
    """Run imgflow as a shell would, redirected as ``around`` says."""
    script = around.format(f"{shlex.join(IMGFLOW)} {command}")
    env = {**os.environ, "PYTHONFAULTHANDLER": "1", **environment}
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=False, env=env, timeout=100)
    encoding = "latin-1" if environment.get("PYTHONIOENCODING") == "latin-1" else "utf-8"
    return Ended(done.returncode, done.stdout.decode(encoding), done.stderr.decode(encoding))


def ended(store: Store) -> str:
    """The status in the summary of the run "mine"."""
    return str(json.loads(store.read("runs/mine/summary.json"))["status"])


@pytest.mark.parametrize(
    ("command", "around", "why"),
    [
        ("steps", "{} >/dev/full", "No space left"),
        ("ls -o json", "{} >&-", "it is closed"),
        ("--help", "{} >/dev/full", "No space left"),
        (LISTED, "{} >/dev/full", "No space left"),
        pytest.param("query 'select 1' -o parquet", "{} >&-", "it is closed", marks=pytest.mark.thorough),
        pytest.param("query 'select 1' -o parquet", "{} >/dev/full", "No space left", marks=pytest.mark.thorough),
    ],
)
def test_a_command_that_only_prints_fails_with_one_error_where_nothing_can_be_printed(
    store: Store, command: str, around: str, why: str
) -> None:
    done = shell(command, around)

    assert done.code == 1
    assert done.err.startswith(f"Error: standard output cannot be written: {why}")
    assert len(done.err.splitlines()) == 2
    assert ("free some space" in done.err) == (why == "No space left")


@pytest.mark.parametrize(
    "around",
    ["{} >/dev/full", "{} >&-", "{} 2>&-", "{} 2>/dev/full", "{} >&- 2>&- <&-", "set -o pipefail; {} 2>&1 | true"],
)
def test_a_command_that_works_goes_on_whoever_reads_it_and_its_exit_code_tells_of_the_work(
    store: Store, around: str
) -> None:
    photographs.folder(Path("photos"), 2)

    done = shell(f"{SUBMIT} -o json", around)

    assert done.code == 0
    assert ended(store) == "succeeded"
    assert "Traceback" not in done.err
    assert ("Warning: standard output cannot be written" in done.err) == (around in {"{} >/dev/full", "{} >&-"})


def test_work_that_fails_is_told_by_the_exit_code_though_nobody_reads(store: Store) -> None:
    Path("photos").mkdir()
    Path("photos/a.jpg").write_bytes(b"Dear Sir or Madam")

    done = shell(f"{SUBMIT} --max-rejected 0", "{} >/dev/full 2>&1")

    assert done.code == 4


def test_an_error_that_cannot_be_the_json_document_is_said_on_standard_error(store: Store) -> None:
    done = shell("get nothing -o json", "{} >/dev/full")

    assert done.code == 2
    assert "nothing" in done.err


@pytest.mark.parametrize("command", ["query \"select 'ESC'\" -o csv", "get ESC"])
def test_a_terminal_gets_no_escape_of_anybody(store: Store, command: str) -> None:
    words = [word.replace("ESC", ESCAPES) for word in shlex.split(command)]

    shown, _ = in_terminal(*words)

    assert "\\x1b]0;owned\\x07\\x1b[2J\\x9b2J\\u202egpj" in shown
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(shown)


def test_a_file_gets_a_query_s_data_as_they_are(store: Store) -> None:
    done = shell("query \"select 'https://me:word@host' as a, chr(27) || chr(9) as b\" -o csv")

    assert done.out == "a,b\nhttps://me:word@host,\x1b\t\n"


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "latin-1"},
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"},
    ],
)
def test_what_an_encoding_lacks_is_spelt_out(store: Store, environment: dict[str, str]) -> None:
    store.write(keys.images("Łódź") + "a.jpg", b"")

    done = shell("ls municipalities", **environment)

    assert (done.code, done.out) == (0, "MUNICIPALITY\n\\u0141\\xf3d\\u017a\n".replace(*_latin(environment)))


def _latin(environment: dict[str, str]) -> tuple[str, str]:
    return ("\\xf3", "ó") if environment.get("PYTHONIOENCODING") == "latin-1" else ("", "")


def test_a_folder_whose_name_is_no_text_is_one_clear_error(imgflow: Cli, store: Store) -> None:
    folder = os.fsdecode(b"caf\xe9")
    photographs.folder(Path(folder), 1)

    for command in (("submit", "-m", "Demo", "--source", folder), ("process", folder, "out")):
        done = imgflow(*command)
        assert done.code == 2
        assert "not UTF-8" in done.err
        assert "\\udce9" in done.err
    assert "not UTF-8" in imgflow("ls", "--store", folder).err


def test_a_user_without_a_home_needs_none(imgflow: Cli, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", _nobody)

    assert imgflow("config").code == 0
    done = imgflow("ls", "--store", "~/photos")
    assert (done.code, "no such home directory" in done.err) == (2, True)


def _nobody(uid: int) -> None:
    raise KeyError(uid)


@pytest.mark.parametrize(
    "command", ["ls", "submit -m Demo --source {photos} --store {store} --workers 1", "process {photos} out", "doctor"]
)
def test_a_folder_that_is_gone_is_one_clear_error(tmp_path: Path, store: Store, command: str) -> None:
    photographs.folder(tmp_path / "photos", 1)
    there = command.format(photos=tmp_path / "photos", store=store.url)

    done = shell(there, "mkdir gone; cd gone; rmdir ../gone; {}")

    assert done.code == 2
    assert "Error: the folder in which this was started is gone\ncd to one that is there" in done.err
    assert "Traceback" not in done.err


def test_what_is_asked_elsewhere_is_answered_from_a_folder_that_is_gone(store: Store) -> None:
    store.write(keys.images("Utrecht") + "a.jpg", b"")

    done = shell(f"ls municipalities --store {store.url}", "mkdir gone; cd gone; rmdir ../gone; {}")

    assert (done.code, done.out) == (0, "MUNICIPALITY\nUtrecht\n")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "no more memory"),
        (RuntimeError("can't start new thread"), "no more memory or threads"),
        (ImportError("READ THIS\n\nnumpy.so: failed to map segment from shared object\n"), "no more memory"),
        (ImportError("libx.so: cannot allocate memory in static TLS block"), "no more memory"),
        (OSError(12, "Cannot allocate memory"), "no more memory or processes"),
        (OSError(24, "Too many open files"), "no more open files"),
        (PermissionError(13, "Permission denied", "there/a.jpg"), "there/a.jpg: Permission denied"),
    ],
)
def test_what_the_machine_refuses_is_said_in_words_with_what_to_do(
    imgflow: Cli, demo: Store, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    def refused(*_: object) -> None:
        raise error

    monkeypatch.setattr(LocalEngine, "submit", refused)

    done = imgflow("submit", "-m", "Demo", "-q")

    assert done.code == 1
    assert said in done.err.splitlines()[0]
    assert len(done.err.splitlines()) == 2


@pytest.mark.thorough
@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not keep to this limit")
def test_too_little_memory_rejects_no_image(store: Store) -> None:
    photographs.folder(Path("photos"), 2)

    done = shell(SUBMIT, "ulimit -v 150000; {}")

    assert done.code != 0
    assert "unexpected" not in done.err
    assert " 0 rejected" in done.out or not done.out


def test_a_command_does_not_look_through_what_is_installed_for_plugins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    about = tmp_path / "nosy-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: nosy\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[pydantic]\nnosy = nosy:plugin\n")
    (tmp_path / "nosy.py").write_text("print('looked at')\nplugin = None\n")
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([*os.environ.get("PYTHONPATH", "").split(os.pathsep), str(tmp_path)])
    )
    monkeypatch.delenv("PYDANTIC_DISABLE_PLUGINS", raising=False)

    assert shell("ls -q").out == ""
