"""The explorer's pages at a socket, until Ctrl-C or SIGTERM."""

from __future__ import annotations

from typing import TYPE_CHECKING

import uvicorn

from imgflow_workflows.explorer.app import create

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from imgflow_workflows.explorer.index import Index


def serve(index: Index, listening: socket.socket, names: Sequence[str]) -> None:
    """Answer there. ``names`` are those by which it may be asked, besides those of this machine itself."""
    config = uvicorn.Config(create(index, names), log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=[listening])
