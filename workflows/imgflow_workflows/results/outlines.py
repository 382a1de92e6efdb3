"""Pictures with an outline around each thing in them: drawn when somebody looks, never stored over a picture."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageDraw, ImageFont

from imgflow_steps import codec
from imgflow_steps.codec.grid import grid
from imgflow_steps.contract.options import DecodePlan, Encoding, Limits
from imgflow_steps.contract.sample import Rejected
from imgflow_steps.pixels.arrays import to_image, to_pixels
from imgflow_steps.records import findings, keys
from imgflow_steps.records.boxes import of_source
from imgflow_steps.records.row import Row
from imgflow_steps.store import NotFoundError, open_store
from imgflow_workflows.errors import ExitCode, ImgflowError
from imgflow_workflows.runs.seek import seek

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from imgflow_steps.contract.sample import Affine, Pixels
    from imgflow_steps.records.findings import Box
    from imgflow_steps.records.row import Published
    from imgflow_steps.store import Store
    from imgflow_workflows.runs.story import Chapter, Story

SIDE = 640  # pixels of the box that a picture is shown in
LETTERS = 17  # pixels in such a box
MARK = (255, 60, 0)  # colour of outlines
PAPER = (250, 250, 250)
SEVERAL = 4 * SIDE  # pixels of a sheet of several pictures
SHOWN = 16  # pictures that are on it
ANY = Limits(bytes=1 << 40, pixels=1 << 40)  # a run has read it, or made it


def seen(found: Mapping[str, Any], at: Affine, width: int, height: int) -> list[Box]:
    """What finders and people told of a picture, in its own pixels."""
    boxes = (box.seen(at, width, height) for some in findings.boxes(found).values() for box in some)
    return [box for box in boxes if box]


def outlined(pixels: Pixels, boxes: Sequence[Box]) -> Pixels:
    """A copy of a picture with an outline, the label and the score of each box; lines are as thick in every sheet."""
    image = to_image(pixels)
    page = image.convert("RGBA" if "A" in image.mode else "RGB")
    draw, share = ImageDraw.Draw(page), max(page.size) / SIDE
    line, font = max(1, round(2 * share)), ImageFont.load_default(max(1, round(LETTERS * share)))
    for box in boxes:
        words, above = f"{box.label} {box.score:.2f}", "lb" if box.y > 2 * LETTERS * share else "la"
        draw.text((box.x, box.y), words, MARK, font, above, stroke_width=line, stroke_fill=PAPER)
        draw.rectangle((box.x, box.y, box.x + box.w, box.y + box.h), outline=MARK, width=line)
    return to_pixels(page)


def of_story(store: Store, story: Story) -> Image.Image:
    """The newest result of an image with outlines, several pieces on one sheet; nothing that a run covers is shown.

    The photograph itself is taken where no run covers anything in it, and its newest run published no pictures. Raises
    ImgflowError where there is nothing to show, StoreError.
    """
    try:
        for chapter in story.showable:
            if chapter.row and chapter.row.outputs and (pictures := _pictures(store, story, chapter)):
                if len(pictures) == 1:
                    return to_image(pictures[0])
                return grid(pictures[:SHOWN], SEVERAL, SIDE // 64, PAPER)
    except Rejected as error:
        raise ImgflowError(f"{story.image} cannot be shown: {error.message}", code=ExitCode.FAILED) from error
    what = "no picture of it in which something is covered" if story.covered else "no picture of it"
    raise ImgflowError(f"there is {what} in the store", code=ExitCode.FAILED)


def of_result(store: Store, run_id: str, image: str, piece: str, picture: Image.Image) -> Image.Image:
    """A copy of a picture that a run made of an image, with outlines; as it is where the run tells nothing of it."""
    file = store.stat(keys.results_jsonl(run_id))
    lines = seek(store, file, image) if file else []
    row = Row.model_validate_json(lines[0]) if lines else None
    told = next((out for out in row.outputs if out.piece == piece), None) if row else None
    if told is None:
        return picture
    return to_image(outlined(to_pixels(picture), seen(told.found, told.at, told.width, told.height)))


def _pictures(store: Store, story: Story, chapter: Chapter) -> list[Pixels]:
    """What a run made of the image, outlined; none where its pictures are gone, or others by now."""
    assert chapter.row is not None  # noqa: S101 - narrows the type: asked before
    published = [out for out in chapter.row.outputs if out.key]
    if published:
        made = [one for out in published if (one := _made(store, out)) is not None]
        return made if len(made) == len(published) else []
    if story.covered:
        return []
    run = chapter.record.run
    source = open_store(run.source) if run.source else store
    pixels = _decoded(source.read(run.prefix + story.image, of_source(chapter.row.version)))
    told = (findings.boxes({name: value}).get(name, []) for _, name, value in findings.once(chapter.row.outputs))
    return [outlined(pixels, [box for some in told for box in some])]


def _made(store: Store, out: Published) -> Pixels | None:
    try:
        data = store.read(out.key)
    except NotFoundError:
        return None
    if hashlib.sha256(data).hexdigest() != out.sha256:  # boxes of one picture are none of another
        return None
    return outlined(_decoded(data), seen(out.found, out.at, out.width, out.height))


def _decoded(data: bytes) -> Pixels:
    return codec.decode(data, DecodePlan(), ANY).pixels


def write(image: Image.Image, form: str) -> bytes:
    """The picture as a file of this format."""
    return codec.encode(to_pixels(image), Encoding.model_validate({"format": form, "quality": 90}))
