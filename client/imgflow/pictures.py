"""Pictures of a store as Pillow images, fetched ahead of whoever looks at them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from imgflow.session import LOG, translated
from imgflow_steps.contract.options import DecodePlan, Limits
from imgflow_steps.contract.sample import Rejected
from imgflow_steps.store.threads import ahead, crew
from imgflow_workflows.errors import ExitCode, ImgflowError

if TYPE_CHECKING:
    from PIL.Image import Image

    from imgflow_steps.store import Store

FETCHES = 8  # pictures on their way at the same time
AHEAD = 16  # pictures, encoded, that wait for whoever looks
ANY = Limits(bytes=1 << 40, pixels=1 << 40)  # of what a run has made: it was within every limit then


def read(store: Store, wanted: Iterable[tuple[str, str]], limits: Limits) -> Iterator[tuple[str, Image]]:
    """Each name with the picture at its key, in order; one that cannot be decoded is left out, and said.

    Memory does not grow with their number. Whoever stops looking stops the fetching. Raises ImgflowError.
    """
    with translated(), crew(FETCHES, "pictures") as pool:
        begun = ((name, pool.submit(store.read, key)) for name, key in wanted)
        for name, data in ahead(begun, AHEAD):
            try:
                image = decoded(data.result(), limits)
            except Rejected as error:
                LOG.warning("%s cannot be shown: %s: %s", name, error.code, error.message)
            else:
                yield name, image


def open_picture(store: Store, key: str, limits: Limits) -> Image:
    """The picture at a key. Raises ImgflowError where it cannot be decoded, NotFoundError where there is none."""
    try:
        return decoded(store.read(key), limits)
    except Rejected as error:
        message = f"{key} cannot be shown: {error.code}: {error.message}"
        raise ImgflowError(message, "a run rejects it, too", ExitCode.FAILED) from error


def decoded(data: bytes, limits: Limits) -> Image:
    """An encoded picture as steps see it: upright, 8 bits, in sRGB. Raises Rejected."""
    from imgflow_steps import codec  # noqa: PLC0415 - loads Pillow
    from imgflow_steps.pixels.arrays import to_image  # noqa: PLC0415 - likewise

    return to_image(codec.decode(data, DecodePlan(), limits).pixels)
