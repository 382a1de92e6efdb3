"""How every process of the service listens, says that it does, and ends: HTTP in the event loop that gRPC runs in."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import uvicorn

from imgflow_service import settings
from imgflow_service.settings import ServiceSettings
from imgflow_service.wire import pages
from imgflow_service.wire.connections import KEEP_ALIVE, Connection
from imgflow_steps.contract.job import LIFELINE
from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.worker import log

BACKLOG = 1024


class HttpServer:
    """An ASGI application at an address, until ``stop``."""

    def __init__(self, app: Any, host: str, port: int) -> None:
        self._line = listening(host, port)
        self.port: int = self._line.getsockname()[1]
        self._app, self._leaving = app, False
        config = uvicorn.Config(
            self._serve,
            interface="asgi3",
            log_config=None,
            access_log=False,
            lifespan="off",
            http=Connection,
            loop="none",
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE,
            ws="none",
        )
        self._server = _Server(config)
        self._task = asyncio.create_task(self._server.serve(sockets=[self._line]))

    def leave(self) -> None:
        """Have each answer from now on be the last of its connection, so that clients are elsewhere when it ends."""
        self._leaving = True

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:
        async def sent(message: dict[str, Any]) -> None:
            if self._leaving and message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            await send(message)

        await self._app(scope, receive, sent)

    async def stop(self, grace: float) -> None:
        """Take no more connections, and give requests in hand their time."""
        self._server.config.timeout_graceful_shutdown = max(1, round(grace))
        self._server.should_exit = True
        await self._task


class _Server(uvicorn.Server):
    """Signals are the process's business, which has more than one server."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """See uvicorn."""
        yield


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG)


def address(host: str, port: int) -> str:
    """Both in one word, as gRPC and URLs have it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def check(host: str, ports: Mapping[str, int]) -> None:
    """Raises BadParametersError where nothing can listen at a port, with the setting that names it.

    For before anything begins: what listens in the end is more than one library, each with an error of its own.
    """
    with ExitStack() as held:
        for name, port in ports.items():
            try:
                held.enter_context(listening(host, port))
            except OSError as error:
                number = error.errno or 0
                why = os.strerror(number) if number > 0 else error.strerror  # negative is what a resolver says
                raise BadParametersError(
                    f"serve.{name}: nothing can listen at {address(host, port)}: {why};"
                    " end what does already, or give another port or host"
                ) from None


def announce(**ports: int) -> None:
    """One line of JSON on standard output, once all that listens does: which ports they are."""
    sys.stdout.write(json.dumps(ports) + "\n")
    sys.stdout.flush()


def run(serve: Callable[[ServiceSettings], None]) -> int:
    """Set up logs, load settings and serve by them until the end; gives the exit code."""
    log.set_up()
    pages.keep()
    logging.getLogger("imgflow_service").setLevel(logging.INFO)
    try:
        serve(settings.load())
    except BadParametersError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


async def asked_to_end() -> None:
    """Wait for SIGTERM or Ctrl-C, or for the end of whoever keeps standard input open where that is the lifeline."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    if os.environ.get(LIFELINE):
        loop.add_reader(0, told.set)  # nobody writes anything, so there is nothing to read but its end
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    await told.wait()
    loop.remove_reader(0)
