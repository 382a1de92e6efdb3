"""send: one photograph to an image service, and what it makes of it into a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from imgflow_cli.flags import QuietFlag
from imgflow_cli.output import Voice, emit
from imgflow_workflows.errors import ImgflowError
from imgflow_workflows.text import size


def send(
    photo: Annotated[
        str, typer.Argument(metavar="PHOTO", help="The photograph: a file, or a URL that the service may fetch.")
    ],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to; of several pictures each gets its name.")],
    url: Annotated[str, typer.Option(help="Where the service is; IMGFLOW_SERVICE, or this machine.")] = "",
    key: Annotated[str, typer.Option(help="Key of the service; IMGFLOW_SERVICE_KEY is not seen by others.")] = "",
    steps: Annotated[str, typer.Option(metavar="STEPS", help="Steps in short instead of the service's own.")] = "",
    width: Annotated[int | None, typer.Option(help="Width of the box, in pixels.")] = None,
    height: Annotated[int | None, typer.Option(help="Height of the box, in pixels.")] = None,
    grayscale: Annotated[
        bool | None, typer.Option("--grayscale/--colour", help="Throw the colour away, or keep it.")
    ] = None,
    form: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="jpeg, png or webp; FILE's suffix when not given.")
    ] = "",
    seconds: Annotated[float, typer.Option(help="Seconds that it may take, tries and all.")] = 60.0,
    quiet: QuietFlag = False,
) -> None:
    """Send one photograph to an image service, and write what it makes of it.

    `imgflow serve` starts a service on this machine. While it is busy or cannot be reached, the request is repeated.
    """
    from imgflow_workflows.remote import Service  # noqa: PLC0415 - loads urllib3: not for wrong usage

    if not file.parent.is_dir():
        raise ImgflowError(f"{file} cannot be written: there is no such directory")
    wishes = {
        "steps": steps or None,
        "width": width,
        "height": height,
        "grayscale": grayscale,
        "format": form or _format(file),
    }
    with Service(url, key=key, seconds=seconds) as service:
        made = service.process(photo, **wishes)
    pictures = [piece for piece in made.pictures if piece.data]
    if not pictures:
        raise ImgflowError("the steps gave no picture, only findings; nothing was written")
    for piece in pictures:
        target = file if len(pictures) == 1 else file.with_name(f"{file.stem}~{piece.name}{file.suffix}")
        try:
            target.write_bytes(piece.data)
        except OSError as error:
            raise ImgflowError(f"{target} cannot be written: {error.strerror}", "choose another FILE") from error
        emit(str(target))
        what = f"{made.source} became {piece.width}x{piece.height}, {size(len(piece.data))}"
        Voice(quiet=quiet).say(f"{what} ({made.cache})" if made.cache else what)


def _format(file: Path) -> str | None:
    """What a file's suffix asks for; None where it is what the service makes anyway, or none that it makes."""
    return {".png": "png", ".webp": "webp"}.get(file.suffix.lower())
