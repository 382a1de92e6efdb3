"""What must never be read by anybody: secrets, taken out of every text that leaves the process.

Every way out asks here: the streams of the command line, the log of containers, and the messages that go to the store.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from urllib.parse import quote, quote_plus

HIDDEN = "***"
SECRETS = (
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "IMGFLOW_SOURCE_AWS_SECRET_ACCESS_KEY",
    "IMGFLOW_SOURCE_AWS_SESSION_TOKEN",
    "IMGFLOW_NOTIFY_URL",
    "IMGFLOW_NOTIFY_SECRET",
)  # variables
SHORTEST = 8  # characters; a shorter value stands in too many words, and S3 servers take none as a secret
# user:password@, user@ and :password@ of any address, also behind a slash too many, which in file:// begins a path.
# A secret key may hold slashes; host:9000/a@b.jpg holds a port.
_USER = re.compile(r"(?<=://)(?:(?<!file://)/+)?(?:[^\s/@:\"<>`]*:(?!\d{1,5}/)[^\s\"<>`]*|[^\s/@\"<>`]+)@")

_told: set[str] = set()


def conceal(*values: str) -> None:
    """Take these values, too, out of all that is said from now on: secrets that are not in the environment."""
    _told.update(value for value in values if value)


def redacted(text: str) -> str:
    """The text without the values of secrets, in whatever spelling, and without what an address says of its user."""
    if not text:
        return text
    for secret in _spellings(*(os.environ.get(name, "") for name in SECRETS), *sorted(_told)):
        if secret in text:
            text = text.replace(secret, HIDDEN)
    return _USER.sub(f"{HIDDEN}@", text) if "://" in text else text


def conceal_users(texts: Iterable[str]) -> None:
    """Take users and passwords of all addresses in these texts, too, out of all that is said from now on."""
    for text in texts:
        for found in _USER.finditer(text):
            user = found[0].lstrip("/").removesuffix("@")
            conceal(user, user.partition(":")[2])


def has_user(address: str) -> bool:
    """Whether an address names a user or a password."""
    return bool(_USER.search(address))


@lru_cache(maxsize=8)
def _spellings(*values: str) -> tuple[str, ...]:
    """Every form in which a secret may be found in a text, longest first."""
    found = {form for value in values for piece in _pieces(value) for form in _forms(piece)}
    secret = (form for form in found if len(form.rpartition("://")[2]) >= SHORTEST)  # https:// alone is none
    return tuple(sorted(secret, key=lambda form: (-len(form), form)))


def _pieces(value: str) -> Iterator[str]:
    """The value, and each of its lines: a header or a text of lines may show one of them only."""
    yield from (value, value.strip(), *(line.strip() for line in value.splitlines()))


def _forms(value: str) -> Iterator[str]:
    """As it is, and as Python, JSON, an address or a terminal write it."""
    yield from (value, repr(value)[1:-1], json.dumps(value)[1:-1], value.encode("unicode_escape", "replace").decode())
    raw = value.encode(errors="surrogateescape")
    yield from (quote(raw, safe=""), quote(raw), quote_plus(raw), repr(raw)[2:-1])
