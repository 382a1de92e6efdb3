"""A run and its report as a notebook shows them: everything escaped, nothing in it runs, nothing from elsewhere."""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from imgflow.sheet import strip, thumbnail
from imgflow_steps.records import keys
from imgflow_steps.report.figures import count
from imgflow_steps.report.markup import Markup, table, tag
from imgflow_steps.store import NotFoundError
from imgflow_workflows.errors import ImgflowError

if TYPE_CHECKING:
    from imgflow_steps.store import Store
    from imgflow_workflows.runs.state import RunState

THUMBNAILS = 6  # of a run's view
QUIET = "opacity:.7"
SMALL = "max-height:120px"


@dataclass(frozen=True, slots=True)
class Report:
    """A run's report, a whole page. A notebook shows it in a frame of its own, in which no script runs."""

    run: str
    page: bytes = field(repr=False)

    def save(self, path: str | PathLike[str]) -> Path:
        """Write it as one file, to be opened or sent; its path. Raises ImgflowError."""
        try:
            Path(path).write_bytes(self.page)
        except OSError as error:
            raise ImgflowError(f"{path} cannot be written: {error.strerror}", "choose another file") from error
        return Path(path)

    def _repr_html_(self) -> str:
        page = html.escape(self.page.decode())
        return f'<iframe sandbox srcdoc="{page}" style="width:100%;height:40em;border:1px solid #8888"></iframe>'


def run(store: Store, known: RunState) -> Markup:
    """Status, counts, a few pictures of its report, and where that is."""
    counts, summary = known.counts, known.progress.summary
    heads = [(name, None) for name in counts.model_dump()]
    numbers = tag("tr", [tag("td", count(number)) for number in counts.model_dump().values()])
    said = f": {summary.message}" if summary and summary.message else ""
    return tag(
        "div",
        tag("div", tag("b", known.run.id), f" of {known.run.municipality}: {known.status.value}{said}"),
        tag("div", " → ".join(known.run.pipeline.labels), style=QUIET),
        table("counts", heads, [numbers]),
        strip([thumbnail(jpeg, "", SMALL) for jpeg in _thumbnails(store, known)]),
        _report(summary.report) if summary and summary.report else None,
    )


def _thumbnails(store: Store, known: RunState) -> list[bytes]:
    """The first small pictures of its report; none while it has none."""
    found = list(islice(store.entries(keys.report(known.run.id) + "thumbs/"), THUMBNAILS))
    try:
        return [store.read(one.key) for one in found]
    except NotFoundError:  # it is being deleted
        return []


def _report(url: str) -> Markup:
    """A link where a browser may follow it, else the address alone."""
    path = tag("code", url) if url.startswith("s3://") else tag("a", url, href=Path(url).absolute().as_uri())
    return tag("div", "Report: ", path, "; ", tag("code", "run.report()"), " shows it here.", style=QUIET)
