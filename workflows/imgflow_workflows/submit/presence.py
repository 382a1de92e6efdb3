"""Before a run begins: whether anything that it could process lies where it looks, and else what does."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING

from imgflow_steps.contract import foreign
from imgflow_steps.records import keys
from imgflow_steps.records.admission import EXCLUDED, HIDDEN, count, skipped_in_words, suffix_of
from imgflow_steps.records.candidates import candidates
from imgflow_steps.store import UnavailableError, open_source
from imgflow_steps.store.walk import LINK
from imgflow_workflows.errors import ImgflowError

if TYPE_CHECKING:
    from imgflow_steps.records.run import Run
    from imgflow_steps.store import Store

NAMED = 5  # neighbours that are told
WAYS = {  # what takes images that are left out for where they are and not for what they are
    HIDDEN: "--include PATTERN takes hidden files that it names, such as --include '.thumbnails/'",
    EXCLUDED: "see whether --include, --exclude or .imgflowignore say what you mean",
    LINK: "--follow-links takes what links lead to",
}
CONVERT = {".psd", ".svg", ".xcf", *foreign.SUFFIXES}


def check_images(store: Store, run: Run) -> None:
    """Look for one image. Raises ImgflowError, saying what is there, where there is none, and StoreError.

    What a pod reaches, this machine may not: on a cluster a source elsewhere that does not answer is left to ``list``.
    """
    look = candidates(store, run)
    look.by_content = False  # one is enough, and nothing else is to be read for it
    try:
        for name, _ in look.images():
            if not foreign.by_name(name):
                return
            count(look.left_out, suffix_of(name))
        if look.unreadable:
            return
        raise nothing_there(run.source or f"{store.url.rstrip('/')}/{run.prefix}", look.left_out, _beside(run.source))
    except UnavailableError:
        if run.engine == "argo" and run.source:
            return
        raise


def nothing_there(place: str, left_out: Mapping[str, int], beside: str = "") -> ImgflowError:
    """What to say of a place without images."""
    if not left_out:
        return ImgflowError(
            f"there is nothing in {place}{beside}", "give the folder or prefix that holds the photographs"
        )
    if any(word in left_out for word in CONVERT):
        hint = "convert them to JPEG, PNG or TIFF first: " + ", ".join(sorted(left_out.keys() & CONVERT))
        known = sorted(left_out.keys() & foreign.SUFFIXES)
        hint += f". What is {foreign.said(known[0][1:])}" if known else ""
    elif way := [WAYS[word] for word in WAYS if word in left_out]:
        hint = "; ".join(way)
    else:
        hint = f"images are called {' '.join(sorted(keys.IMAGE_SUFFIXES))}; --include and --exclude choose among them"
    return ImgflowError(f"nothing in {place} is an image; there are: {skipped_in_words(left_out)}", hint)


def _beside(source: str) -> str:
    """What lies beside a prefix under which nothing does."""
    if not source.startswith("s3://"):
        return ""
    bucket, _, prefix = source.removeprefix("s3://").rstrip("/").partition("/")
    outer = open_source(f"s3://{bucket}")
    if prefix and outer.stat(prefix):
        return ": that is one object; give its prefix"
    parent = f"{prefix.rpartition('/')[0]}/" if "/" in prefix else ""
    names = list(islice(outer.folders(parent), NAMED + 1))
    shown = ", ".join(f"{name}/" for name in names[:NAMED]) + (" and more" if names[NAMED:] else "")
    return f"; in s3://{bucket}/{parent} there {'is' if len(names) == 1 else 'are'} {shown or 'no folders'}"
