"""How people write what a step shall do, and which word they may have meant. Pure functions over strings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

Forms = Mapping[str, Mapping[str, Any]]
FIELD = re.compile(r"\{(\w+)\}")


def expand(text: str, forms: Forms) -> dict[str, Any] | None:
    """The parameters that a short form sets, or None when none of ``forms`` fits.

    A form names parameters in braces: ``{width}x{height}`` makes ``640x480`` of width 640 and height 480.
    """
    for form, fixed in forms.items():
        pattern = "".join(f"(?P<{part}>.+?)" if odd else re.escape(part) for odd, part in _numbered(FIELD.split(form)))
        if match := re.fullmatch(pattern, text.strip()):
            return {**fixed, **match.groupdict()}
    return None


def besides(given: Mapping[str, Any], forms: Forms) -> dict[str, Any]:
    """What ``forms`` set besides for parameters that are given by name and are those of the form."""
    return next((dict(fixed) for form, fixed in forms.items() if {*FIELD.findall(form)} <= given.keys()), {})


def _numbered(parts: Sequence[str]) -> list[tuple[int, str]]:
    return [(i % 2, part) for i, part in enumerate(parts)]


def spelt(name: str, forms: Iterable[str]) -> list[str]:
    """The short forms as a person is shown them: ``scale:WIDTHxHEIGHT``."""
    return [f"{name}:" + FIELD.sub(lambda match: match[1].upper(), form) for form in forms]


def nearest(name: str, known: Sequence[str]) -> str:
    """A question that names the closest known word, or ""."""
    close = get_close_matches(name.casefold(), [k.casefold() for k in known], n=1)
    return next((f"did you mean {k!r}?" for k in known if close and k.casefold() == close[0]), "")
