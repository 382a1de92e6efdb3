"""What list found and how it cut the work: the documents that a run's containers share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgflow_steps.records import documents, keys
from imgflow_steps.records.row import Entry, entries

if TYPE_CHECKING:
    from imgflow_steps.store import Store
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from imgflow_steps.store import NotFoundError

if TYPE_CHECKING:
    from imgflow_steps.store import Store


class Listing(BaseModel):
    """``listing.json``: what list found and how it cut the work."""

    listed: int = 0
    todo: int = 0
    cached: int = 0  # done by other runs
    processed: int = 0  # done by an earlier attempt of this run
    rejected: int = 0  # known already
    other: int = 0  # objects that are not listed as images
    unlisted: dict[str, int] = Field(default_factory=dict)  # the same by suffix, or by why
    unreadable: list[str] = Field(default_factory=list)  # the first of the folders and files that are
    absent: int = 0  # chosen by a selection, and not there
    marked: int = 0  # images with boxes that people gave, or of which they said that there is nothing to cover
    astray: int = 0  # images in the table of boxes that are not listed
    bytes: int = 0  # of what is to do
    shards: int = 0
    shard_size: int = 0
    layout: str = "fused"
    why: str = ""
    seconds: float = 0.0
    ended: float = 0.0  # seconds since the epoch
    digest: str = ""  # as the imgflow that listed makes it: another one may have other versions of steps
    versions: dict[str, int] = Field(default_factory=dict)  # of what the digest covers, by name


def read_listing(store: Store, run: str) -> Listing | None:
    """What list found, or None before it has."""
    try:
        return documents.read(Listing, store, keys.listing_json(run))
    except NotFoundError:
        return None


def read_manifest(store: Store, run: str, shard: int) -> list[Entry]:
    """The images of one shard."""
    lines = store.read(keys.manifest(run, shard)).splitlines()
    return list(entries(lines))
