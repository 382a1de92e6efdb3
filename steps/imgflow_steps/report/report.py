"""The report: a directory of pages, one style sheet and thumbnails; no script, nothing from elsewhere.

It is whole under ``sandbox; default-src 'none'; img-src 'self'; style-src 'self' 'unsafe-inline'``.
"""

from __future__ import annotations

import re
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from imgflow_steps.report import (
    again,
    attempts,
    covered,
    duplicates,
    forecast,
    images,
    overview,
    pages,
    sections,
    shards,
)
from imgflow_steps.report.markup import document, tag
from imgflow_steps.store import OF_ONE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from imgflow_steps.records.row import Row
    from imgflow_steps.report.account import Account
    from imgflow_steps.report.data import Facts, Group
    from imgflow_steps.report.parts import Sections
    from imgflow_steps.store import Store

STYLE = Path(__file__).with_name("style.css")
FETCHES = 16  # thumbnails fetched at the same time
LARGE = 500_000  # bytes of a picture with which the report would be slow to open
FIRST = "index.html"
MEDIA = {
    ".jsonl": "application/jsonl",
    ".csv": "text/csv; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
}

CONTENTS = {  # sections in order, and how the contents call them
    "sum": "Counts",
    "far": "Progress",
    "rejected": "Rejected",
    "failed": "Failed",
    "found": "Findings",
    "covered": "Covered",
    "sections": "Sections",
    "told": "When and where",
    "pictures": "Pictures",
    "alike": "Near-duplicates",
    "times": "Time",
    "expected": "Expected",
    "slowest": "Slowest",
    "attempts": "Attempts",
    "use": "Shards",
    "pipeline": "Pipeline",
    "again": "Run it again",
    "files": "All images",
}


def write(folder: Path, facts: Facts, verdicts: Iterable[Row]) -> None:
    """Write the whole report but its thumbnails into ``folder``."""
    (folder / STYLE.name).write_bytes(STYLE.read_bytes())
    listed = facts.summary.counts.listed
    places = pages.write(
        folder,
        facts.title,
        verdicts,
        listed=listed,
        per_page=facts.run.collect.page,
        wanted=_shown(facts),
        picture=lambda row: images.small_picture(row, facts.thumbs),
    )
    (folder / FIRST).write_bytes(index(replace(facts, places=places)))


def write_first(folder: Path, facts: Facts) -> None:
    """Write the first page alone, which then is not about pages of images."""
    (folder / STYLE.name).write_bytes(STYLE.read_bytes())
    (folder / FIRST).write_bytes(index(facts))


def _shown(facts: Facts) -> set[str]:
    """Images that the first page names: some thousand at most."""
    account = facts.account
    reasons = (*account.rejected.values(), *account.failed.values())
    rows = [*account.pairs.kept, *account.places.kept, *(row for _, row in account.slowest)]
    rows += [row for reason in reasons for row in reason.examples] + [
        row for group in facts.alike for row in group.rows
    ]
    covers = account.covered
    rows += [row for row, _ in covers.least] if covers else []
    rows += facts.parts.named if facts.parts else []
    return {row.image for row in rows} | set(covers.none if covers else ())


def index(facts: Facts) -> bytes:
    """The first page."""
    parts = {
        "sum": overview.counts(facts),
        "far": shards.so_far(facts),
        "rejected": images.rejected(facts),
        "failed": images.failed(facts),
        "found": images.findings(facts),
        "covered": covered.what_was_covered(facts),
        "sections": sections.parts(facts),
        "told": images.origins(facts),
        "pictures": images.before_after(facts),
        "alike": None if facts.unfinished else duplicates.near_duplicates(facts),
        "times": images.times(facts),
        "expected": forecast.expected(facts),
        "slowest": images.slowest(facts),
        "attempts": attempts.apart(facts),
        "use": shards.use(facts),
        "pipeline": overview.pipeline(facts),
        "again": again.repeated(facts),
        "files": None if facts.unfinished else overview.files(facts),
    }
    if not facts.summary.counts.listed:
        parts = {"empty": overview.empty(facts), "pipeline": parts["pipeline"]}
    links = [tag("a", CONTENTS[name], href=f"#{name}") for name, part in parts.items() if part and name in CONTENTS]
    return document(
        facts.title,
        tag("nav", links, class_="top", aria_label="Contents"),
        tag("main", overview.masthead(facts), list(parts.values())),
    )


def copy_thumbs(
    store: Store, account: Account, groups: Iterable[Group], parts: Sections | None, folder: Path
) -> Mapping[str, str]:
    """Copy the small pictures that the report shows into ``folder/thumbs``; gives file names by store key."""
    wanted = thumbs(account, groups, parts)
    files = {key: f"thumbs/{number:04d}{Path(key).suffix}" for number, key in enumerate(wanted)}
    return {key: files[key] for key in copy(store, files, folder)}


def thumbs(account: Account, groups: Iterable[Group] = (), parts: Sections | None = None) -> list[str]:
    """Keys of the small pictures that the report shows.

    Of near-duplicates that have none these are pictures that were made of them, unless they are large.
    """
    shown = [row for _, row in account.slowest] + (parts.pictured if parts else [])
    for reasons in (account.rejected, account.failed):
        shown += [row for reason in reasons.values() for row in reason.examples]
    small = [key for row in [*account.pairs.kept, *shown] for key in row.thumbs if key]
    small += covered.thumbs(account.covered)
    return list(dict.fromkeys([*small, *filter(None, (key for group in groups for _, key in group.shown))]))


def copy(store: Store, files: Mapping[str, str], folder: Path) -> list[str]:
    """Copy pictures into ``folder``, each under the name that it has there, by store key; gives the keys of copies."""
    (folder / "thumbs").mkdir(exist_ok=True)

    def fetch(key: str) -> bool:
        try:
            store.download(key, folder / files[key])
        except OF_ONE:  # a report does without one picture
            return False
        if (folder / files[key]).stat().st_size > LARGE:
            (folder / files[key]).unlink()
            return False
        return True

    with ThreadPoolExecutor(FETCHES) as pool:
        there = list(pool.map(fetch, files))
    return [key for key, is_there in zip(files, there, strict=True) if is_there]


def single_file(read: Callable[[str], bytes]) -> bytes:
    """The first page with its style and pictures inside, to be sent by mail or opened from a disk.

    ``read`` gives the bytes of a file of the report by its name there. Links to other pages become text.
    Text of others cannot be taken for the markup replaced here: its quotes and brackets are escaped.
    """
    page = read(FIRST).decode()
    style = read(STYLE.name).decode()
    page = page.replace(f'<link rel="stylesheet" href="{STYLE.name}">', f"<style>{style}</style>")
    page = re.sub(r'<a href="images[^"]*"[^>]*>(.*?)</a>', r"\1", page)

    def inline(match: re.Match[str]) -> str:
        media = "jpeg" if match[2] == "jpg" else match[2]
        return f'src="data:image/{media};base64,{b64encode(read(match[1])).decode()}"'

    return re.sub(r'src="(thumbs/\d+\.(jpg|png|webp))"', inline, page).encode()
