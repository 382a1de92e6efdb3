"""Words that people give to images: a column ``tags`` of the catalog, separated by commas."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgflow_steps.contract.step import BadParametersError
from imgflow_workflows.catalog.database import database
from imgflow_workflows.catalog.keep import keep

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from imgflow_steps.store import Store

LONGEST = 500  # characters of all tags of an image


def tidy(text: str) -> str:
    """Tags in order, each once, in one line. Raises BadParametersError where they are too long."""
    words = [" ".join(word.split()) for word in text.split(",")]
    kept = ", ".join(dict.fromkeys(word for word in words if word.isprintable() and word))
    if len(kept) > LONGEST:
        raise BadParametersError(f"the tags of an image have at most {LONGEST} characters; these have {len(kept)}")
    return kept


def write(store: Store, municipality: str, tags: Mapping[str, str]) -> None:
    """Put the tags of some images of a municipality into its catalog. Raises StoreError."""
    with database() as (base, folder):
        base.execute("CREATE TABLE told (image VARCHAR, tags VARCHAR)")
        base.executemany("INSERT INTO told VALUES (?, ?)", [list(pair) for pair in tags.items()])
        keep(base, folder, store, municipality)


def added(before: Iterable[tuple[str, str | None]], more: str) -> dict[str, str]:
    """Images with their tags and more."""
    return {image: tidy(f"{tags or ''},{more}") for image, tags in before}
