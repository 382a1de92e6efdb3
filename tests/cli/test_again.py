"""The command line in a report, typed as it stands there, repeats the run."""

from __future__ import annotations

import html
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from tests import photographs

from imgflow_steps.records import keys
from imgflow_steps.records.run import load

if TYPE_CHECKING:
    from tests.cli.conftest import Cli

    from imgflow_steps.store import Store

NAME = "l'Île d'Yeu"
PIPELINE = "steps: [{scale: {width: 16, enlarge: true}}, infer]\noutput: {format: png, quality: 3}\n"


def blocks(store: Store, run: str) -> list[list[str]]:
    """The words of each line of the report that is to be typed."""
    page = store.read(keys.report(run) + "index.html").decode()
    lines = re.findall(r'<p class="command"><code>(.*?)</code>', page)
    return [shlex.split(html.unescape(line)) for line in lines]


def test_the_command_in_a_report_gives_the_same_run_with_nothing_left_to_compute(imgflow: Cli, store: Store) -> None:
    for n in range(3):
        store.write(keys.images(NAME) + f"{n}.jpg", photographs.jpeg(n))
    Path("mine.yaml").write_text(PIPELINE)
    flags = ("--pipeline", "mine.yaml", "--set", "limits.pixels=1000000", "--exclude", "2.*", "--workers", "1")
    first = imgflow("submit", "-m", NAME, *flags, "--max-rejected", "5%", "-o", "json").json["run"]

    [_printf, _format, document, _into, file], [_imgflow, *words] = blocks(store, first)
    Path(file).write_text(document)
    done = imgflow(*words, "-o", "json")

    again = load(store, done.json["run"])
    known = load(store, first)
    assert done.json["counts"] == {"listed": 2, "processed": 0, "cached": 2, "rejected": 0, "failed": 0}
    assert (again.digest, again.list, again.collect) == (known.digest, known.list, known.collect)
    assert again.collect.max_rejected == "5%"


def test_steps_in_short_come_back_as_such(imgflow: Cli, demo: Store) -> None:
    first = imgflow("submit", "-m", "Demo", "--steps", "scale:16x16,blur:median:3", "--workers", "1", "-o", "json").json

    [[_imgflow, *words]] = blocks(demo, first["run"])

    assert words[words.index("--steps") + 1] == "scale:16x16,blur:median:3"
    assert imgflow(*words, "-o", "json").json["digest"] == first["digest"]
