"""One page of a listing, when it is one: what it holds goes on from the page before, and says where the next begins."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from minio.datatypes import parse_list_objects

from imgflow_steps.store import UnavailableError
from imgflow_steps.store.asking import StrangeError

if TYPE_CHECKING:
    from minio.datatypes import Object
    from urllib3 import BaseHTTPResponse

TRUNCATED = re.compile(rb"<(?:\w+:)?IsTruncated>\s*(true|false)\s*</")
TOKEN = re.compile(rb"<(?:\w+:)?NextContinuationToken>[^<]")
COUNT = re.compile(rb"<(?:\w+:)?KeyCount>\s*(\d+)\s*</")
EMPTY = 30  # pages without anything, one after another, that still count as a listing that goes on


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a listing, and what names the next one; "" at the last."""

    objects: list[Object]
    names: list[str]
    token: str


def listed(one: Callable[[str, str], Page], what: str) -> Iterator[Object]:
    """All pages of a listing: ``one`` gives that of a token, which comes after a name.

    Raises UnavailableError, which says ``what`` was listed, when they do not go on.
    """
    last, token, empty = "", "", 0
    seen: set[str] = set()
    while True:
        found = one(token, last)
        yield from found.objects
        if not found.token:
            return
        last, token = max([last, *found.names]), found.token
        empty = 0 if found.names else empty + 1
        if token in seen or empty == EMPTY:
            raise UnavailableError(
                f"{what}: its listing never ends: "
                f"{'the same page is named as the next one twice' if token in seen else f'{EMPTY} empty pages'}; "
                "see whether a proxy stands before it, or use another server"
            )
        seen.add(token)


def page(answer: BaseHTTPResponse, prefix: str, last: str) -> Page:
    """Read a page that has to come after the name ``last``.

    Raises StrangeError when it cannot be that page, ValueError and ParseError when it cannot be read.
    """
    body = answer.data
    objects, truncated, token, _ = parse_list_objects(answer)
    names = [one.object_name or "" for one in objects]
    said, count = TRUNCATED.search(body), COUNT.search(body)
    if not said:
        raise StrangeError("its listing does not say whether it ends here")
    if truncated and not (token and TOKEN.search(body)):
        raise StrangeError("its listing is truncated, but has no NextContinuationToken")
    if count and int(count[1]) != len(names):
        raise StrangeError(f"its listing says that it holds {int(count[1])} keys, and holds {len(names)}")
    for name in names:
        if not name.startswith(prefix):
            raise StrangeError(f"its listing holds {name!r}, which does not begin with {prefix!r}")
    _in_order(objects, last)
    return Page(objects, names, token if truncated and token else "")


def _in_order(objects: list[Object], last: str) -> None:
    """Names of objects follow each other, and so do names of folders, which come behind them: as S3 lists."""
    before = {False: last, True: last}
    for one in objects:
        name, folder = one.object_name or "", one.last_modified is None
        if name <= before[folder]:  # strings of code points sort as their UTF-8
            raise StrangeError(
                f"its listing is not in order: {name!r} after {before[folder]!r}; where that is how this "
                "server lists, use another one"
            )
        before[folder] = name
