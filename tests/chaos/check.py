"""What holds whatever happens: of a run after a fault and after a retry, and of the answers of a service.

Every function returns sentences about what does not hold; an empty list means that all does.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from imgflow_steps.records import keys
from imgflow_steps.records.summary import read_summary

if TYPE_CHECKING:
    from imgflow_steps.store import Store

MOST = 1.2  # computings for an image, all attempts together


@dataclass(frozen=True)
class Right:
    """What there is when nothing happens: images, and a SHA-256 for each picture by its name."""

    images: frozenset[str]
    pictures: Mapping[str, str]


def pictures(store: Store) -> dict[str, str]:
    """A SHA-256 for each picture of a store, by its name below its results."""
    found = [one.key for one in store.entries("results/") if "/images/" in one.key]
    return {re.sub(r".*/images/", "", key): hashlib.sha256(store.read(key)).hexdigest() for key in found}


def disturbed(store: Store, run: str, right: Right) -> list[str]:
    """Of a run that met a fault, before anybody tries again: no wrong picture, no wrong or silent verdict."""
    wrong = [f"{name} has wrong bytes" for name, sha in pictures(store).items() if right.pictures.get(name) != sha]
    summary = read_summary(store, run)
    if summary is None or store.stat(keys.results_jsonl(run)) is None:  # it did not come to its collect
        return wrong
    if not summary.counts.add_up:
        wrong.append(f"counts do not add up: {summary.counts}")
    rows = [json.loads(line) for line in store.read(keys.results_jsonl(run)).splitlines()]
    wrong += once((row["image"] for row in rows), right.images)
    for row in rows:
        if row["status"] not in {"processed", "failed"}:
            wrong.append(f"{row['image']} is {row['status']}: {row.get('message')}")
        elif row["status"] == "failed" and not row.get("message"):
            wrong.append(f"{row['image']} failed without a cause")
    return wrong


def finished(store: Store, run: str, right: Right, left: Collection[str], computed: int | None) -> list[str]:
    """Of a run after its retry: every image processed once with the right bytes, nothing left, little done twice.

    ``computed`` is how often an image was computed in all attempts, or None where a fault may cost as much as it likes.
    """
    wrong = disturbed(store, run, right)
    if (summary := read_summary(store, run)) is None:
        return [*wrong, "the retry has no summary"]
    if store.stat(keys.results_jsonl(run)) is None:
        wrong.append("the retry has no table of results")
    if summary.counts.processed != len(right.images):
        wrong.append(f"a retry does not finish: {summary.counts}")
    wrong += [f"{name} is missing" for name in sorted(right.pictures.keys() - pictures(store).keys())]
    wrong += [f"{found.key} is left" for found in store.entries(f"runs/{run}/lease")]
    wrong += [f"{path} is left" for path in left]
    if computed is not None and computed > MOST * len(right.images):
        wrong.append(f"{computed} computings of {len(right.images)} images")
    return wrong


def once(found: Any, expected: Collection[str]) -> list[str]:
    """Each of what is expected is there exactly once, and nothing else."""
    times = Counter(found)
    return [f"{name} is there {times[name]} times" for name in sorted({*times, *expected}) if times[name] != 1] + [
        f"nobody asked for {name}" for name in sorted(times.keys() - set(expected))
    ]


@dataclass(frozen=True)
class Answer:
    """What a client of the service was answered, and what would have been right."""

    name: str
    status: int
    body: bytes
    right: bytes


def answers(given: Sequence[Answer], asked: Collection[str]) -> list[str]:
    """Each request has one answer: the right picture, or a refusal that a client can read and act on."""
    wrong = once((answer.name for answer in given), asked)
    for answer in given:
        if answer.status == 200:
            wrong += [] if answer.body == answer.right else [f"{answer.name} is answered with wrong bytes"]
        elif answer.status not in {429, 502, 503, 504}:
            wrong.append(f"{answer.name} is answered {answer.status}: {answer.body[:200]!r}")
        elif not readable(answer.body):
            wrong.append(f"{answer.name} is refused with {answer.status} and no reason: {answer.body[:200]!r}")
    return wrong


def readable(body: bytes) -> bool:
    """Whether a refusal has a code for programs and a sentence for people."""
    try:
        told = json.loads(body)
    except ValueError:
        return False
    return isinstance(told, dict) and bool(told.get("code")) and len(str(told.get("detail", ""))) > 10
