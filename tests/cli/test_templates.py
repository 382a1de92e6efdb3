"""-o jsonpath=… and -o custom-columns=…: parts of a document, as kubectl writes them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests import photographs

from imgflow_cli.app import COMMANDS, load
from imgflow_cli.templates import Template

if TYPE_CHECKING:
    from tests.cli.conftest import Cli

RUNS = {"items": [{"run": "a", "n": 3, "s": "done", "none": None}, {"run": "b c", "n": 5, "s": "failed"}]}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{.items[*].run}", "a b c"),
        (".items[0].run", "a"),
        ("{$.items[0].n}", "3"),
        ("{.items[-1:].run}", "b c"),
        ('{range .items[*]}{.run}{"\\t"}{.n}{"\\n"}{end}', "a\t3\nb c\t5\n"),
        ('{.items[?(@.s=="failed")].run}', "b c"),
        ("{.items[?(@.n<4)].run}", "a"),
        ("{.items[0]['run','s']}", "a done"),
        ("runs: {.items[0].run}, and {.items[1].n}", "runs: a, and 5"),
        ("{.items[0].none}{.items[0].nowhere}", ""),
        ("{.items[0]}", '{"run": "a", "n": 3, "s": "done", "none": null}'),
        ("{..n}", "3 5"),
        ("{range .items[*]}{@.n}{end}", "35"),
        ("{'{'}{.items[0].n}{'}'}", "{3}"),
    ],
)
def test_a_jsonpath_writes_what_kubectl_would(template: str, expected: str) -> None:
    assert list(Template("jsonpath", template).lines(RUNS)) == [expected]


def test_columns_are_a_row_for_each_item_or_one_of_a_single_document() -> None:
    several = Template("custom-columns", "RUN:.run,LEFT:.none,HOW:.s")

    assert list(several.lines(RUNS)) == [["RUN", "LEFT", "HOW"], ["a", "<none>", "done"], ["b c", "<none>", "failed"]]
    assert list(several.lines(RUNS["items"][1]))[1:] == [["b c", "<none>", "failed"]]


def test_lists_and_single_runs_take_both(imgflow: Cli) -> None:
    Path("photos").mkdir()
    Path("photos/a.jpg").write_bytes(photographs.jpeg(1))
    one = ("submit", "-m", "Delft", "--source", "photos", "--steps", "scale:50%", "--workers", "1", "--run", "first")
    assert imgflow(*one).code == 0

    assert imgflow("ls", "-o", "jsonpath={.items[*].run}").out == "first\n"
    assert imgflow("ls", "-o", "custom-columns=RUN:.run,DONE:.counts.processed").out.split() == [
        *("RUN", "DONE", "first", "1"),
    ]
    assert imgflow("get", "first", "--output=jsonpath={.run} {.status}").out == "first succeeded\n"
    assert imgflow("version", "-o", "jsonpath={.imgflow}").out.split() == imgflow("version", "-o", "name").out.split()


@pytest.mark.parametrize(
    "wrong",
    [
        "xml",
        "JSON",
        "jsonpath",
        "jsonpath=",
        "jsonpath=run",
        "jsonpath={.run",
        "jsonpath={range .items[*]}{.run}",
        "jsonpath={.run}{end}",
        "jsonpath={.items[}",
        "custom-columns=",
        "custom-columns=RUN",
        "custom-columns=RUN:.run,",
        "custom-columns=RUN:run",
        "go-template={{.run}}",
    ],
)
def test_an_output_that_is_unknown_or_cannot_be_read_is_refused(imgflow: Cli, wrong: str) -> None:
    done = imgflow("ls", "-o", wrong)

    assert (done.code, done.out) == (2, "")
    assert "--output" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_no_command_takes_an_unknown_output(imgflow: Cli, name: str) -> None:
    taken = [one for one in load(name).params if "--output" in one.opts and "FILE" not in (one.metavar or "")]
    if not taken:
        return

    done = imgflow(name, "--output", "xml")

    assert done.code == 2
    assert "xml" in done.err
