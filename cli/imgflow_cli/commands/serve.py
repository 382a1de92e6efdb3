"""serve: the image service on this machine, with one command."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated

import typer

from imgflow_cli.flags import QuietFlag, takes_settings
from imgflow_cli.output import Voice, emit
from imgflow_workflows.errors import ExitCode, ImgflowError
from imgflow_workflows.settings import Resolved

NEEDED = ("celery", "fastapi", "grpc", "uvicorn", "prometheus_client")


@takes_settings("store", "workers", ask=False)
def serve(
    resolved: Resolved,
    host: Annotated[str | None, typer.Option(help="Address to listen at; 0.0.0.0 is every one.")] = None,
    port: Annotated[int | None, typer.Option(help="Port of HTTP; 0: any.")] = None,
    grpc_port: Annotated[int | None, typer.Option(help="Port of imagescaler.ImageScaler; 0: any.")] = None,
    width: Annotated[int | None, typer.Option(help="Width of the box that pictures fit into, in pixels.")] = None,
    height: Annotated[int | None, typer.Option(help="Height of the box, in pixels.")] = None,
    grayscale: Annotated[bool | None, typer.Option("--grayscale/--colour", help="Throw the colour away.")] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option("--allow-host", metavar="HOST", help="Fetch URLs of this host; repeatable.")
    ] = None,
    quiet: QuietFlag = False,
) -> None:
    """Serve pictures over HTTP and gRPC on this machine.

    Until Ctrl-C. `imgflow send in.jpg out.jpg` sends one. `imgflow config` shows all settings; each is a variable
    IMGFLOW_SERVE_* and a key below `serve:` in imgflow.yaml as well.
    """
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        hint = "install it with: pip install 'imgflow[serve]'"
        raise ImgflowError(f"the service needs {', '.join(missing)}, which is not installed", hint)
    from imgflow_service import settings, together  # noqa: PLC0415 - only where the extra is installed
    from imgflow_service.wire.listening import address  # noqa: PLC0415 - likewise

    flags = {
        "api.host": host,
        "api.port": port,
        "api.grpc_port": grpc_port,
        "width": width,
        "height": height,
        "grayscale": grayscale,
        "url.hosts": ",".join(allow_host) if allow_host else None,
        "store": resolved.settings.store,
        "processor.workers": resolved.settings.workers,
        "api.metrics_port": 0,
        "drain.delay": 0,
    }
    chosen = settings.load(flags, resolved.serve)
    voice = Voice(quiet=quiet)
    try:
        with together.together(chosen) as running:
            url = f"http://{address(chosen.api.host, running.http)}"
            emit(url)
            grpc = address(chosen.api.host, running.grpc)
            voice.say(f"imagescaler.ImageScaler at {grpc}; results are kept in {chosen.store}")
            voice.say(f"imgflow send in.jpg out.jpg --url {url}; Ctrl-C ends it")
            try:
                running.watch()
            except KeyboardInterrupt:
                voice.say("finishing what is in hand")
    except together.EndedError as error:
        raise ImgflowError(str(error), "", ExitCode.FAILED) from None
