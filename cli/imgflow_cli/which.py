"""Which image is meant by a name that somebody typed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgflow_cli.output import printable
from imgflow_steps.records import keys
from imgflow_workflows.errors import ImgflowError
from imgflow_workflows.runs.lookup import Match, lookup

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imgflow_steps.store import Store
    from imgflow_workflows.runs.history import Record

ENDINGS = f"names of images end in {' '.join(sorted(keys.IMAGE_SUFFIXES))}"
ImageArgument = Annotated[
    str, typer.Argument(metavar="IMAGE", help="Its key as listed, an ending of it, or the key of a result.")
]


def one_image(store: Store, known: Sequence[Record], asked: str, municipality: str) -> tuple[str, str]:
    """Municipality and key of the one image that is meant. Raises ImgflowError for none and for several."""
    return _only(lookup(store, known, asked, municipality), asked, municipality, store)


def _only(match: Match, asked: str, municipality: str, store: Store) -> tuple[str, str]:
    """The one image that is meant. Raises ImgflowError for none and for several, with their names."""
    if match.count == 1:
        return match.images[0]
    whose = f" of {municipality}" if municipality else ""
    if not match.count:
        like = "".join(f"\n  {printable(name)}" for name in match.nearest)
        hint = f"did you mean:{like}" if like else _unlisted(asked)
        raise ImgflowError(f"no image{whose} in {store.url} has the name or the ending {asked!r}", hint)
    several = len({name for name, _ in match.images}) > 1
    shown = "".join(f"\n  {printable(f'{name}: {image}' if several else image)}" for name, image in match.images)
    more = f"\n  and {match.count - len(match.images):,} more" if match.count > len(match.images) else ""
    hint = "give --municipality" if several else "give more of the name"
    raise ImgflowError(f"{match.count:,} images{whose} end with {asked!r}:{shown}{more}", hint)


def _unlisted(asked: str) -> str:
    """What to do where nothing that is listed has such a name."""
    suffix = Path(asked).suffix
    if suffix and not keys.has_image_name(f"x{suffix}"):
        return f"a file {suffix} is not an image, so `imgflow ingest` skips and counts it; {ENDINGS}"
    return "`imgflow ls municipalities` and `imgflow ls` list what exists"
