"""view: what a store holds, to look at in a browser on this machine."""

from __future__ import annotations

import socket
from importlib.util import find_spec
from ipaddress import ip_address
from typing import Annotated

import typer

from imgflow_cli.flags import MunicipalityFlag, QuietFlag, takes_settings
from imgflow_cli.outcome import say_unfinished
from imgflow_cli.output import Voice, emit
from imgflow_steps.store import Store
from imgflow_workflows.connect import where
from imgflow_workflows.errors import ImgflowError
from imgflow_workflows.settings import PLACES, Resolved
from imgflow_workflows.text import counted

NEEDED = ("duckdb", "pyarrow", "starlette", "uvicorn", "python_multipart")


@takes_settings(*PLACES)
def view(
    resolved: Resolved,
    store: Store,
    municipality: MunicipalityFlag = "",
    host: Annotated[str, typer.Option(help="Address to listen at; there is no password.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0: any.", min=0, max=65535)] = 8765,
    allow_host: Annotated[
        list[str] | None,
        typer.Option("--allow-host", metavar="NAME", help="Answer to this name of the machine, too; repeatable."),
    ] = None,
    quiet: QuietFlag = False,
) -> None:
    """Look at all images of a store in a browser: filter, sort, map, tags.

    Until Ctrl-C. It listens at this machine alone, and needs no network.
    """
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        hint = "install it with: pip install 'imgflow[serve,query]'"
        raise ImgflowError(f"imgflow view needs {', '.join(missing)}, which is not installed", hint)
    from imgflow_workflows.explorer.index import Index  # noqa: PLC0415 - an extra
    from imgflow_workflows.explorer.serving import serve  # noqa: PLC0415 - likewise

    voice = Voice(quiet=quiet)
    voice.say(where(resolved))
    index = Index(store, municipality)
    try:
        listening = _listen(host, port)
        ((images,),) = index.ask("SELECT count(*) FROM images")
        voice.say(f"{counted(images, 'image')} read in {index.seconds:.1f} s; Ctrl-C ends it")
        for record in index.newest.values():
            say_unfinished(record, resolved.command, voice)
        if not _is_own(host):
            voice.say(f"warning: whoever reaches {host} sees all images and changes tags: there is no password")
        emit(f"http://{host}:{listening.getsockname()[1]}/")
        try:
            serve(index, listening, [host, *(allow_host or [])])
        except KeyboardInterrupt:
            voice.say("ended")
    finally:
        index.close()


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port))
    except OSError as error:
        hint = "give another one with --port, or 0 for any that is free"
        raise ImgflowError(f"cannot listen at {host}:{port}: {error.strerror or error}", hint) from error


def _is_own(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
