"""``python -m imgflow_workflows.explorer [--port N] [NAME…]``: the explorer in a container, until SIGTERM.

It shows the store of IMGFLOW_STORE, and answers to localhost, as through ``kubectl port-forward``, and to each NAME, as
through an ingress that knows who asks.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
from contextlib import closing

from imgflow_steps.contract.redaction import redacted
from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.store import StoreError, open_store
from imgflow_workflows.explorer.index import Index
from imgflow_workflows.explorer.serving import serve

PORT = 8765


def main() -> int:
    """Serve; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m imgflow_workflows.explorer", description="All images of a store.")
    parser.add_argument("--port", type=int, default=PORT, help="0: any")
    parser.add_argument("names", nargs="*", metavar="NAME", help="a name to answer to, besides localhost")
    told = parser.parse_args()
    try:
        store = os.environ.get("IMGFLOW_STORE", "")
        if not store:
            raise BadParametersError("there is no store to look at: set IMGFLOW_STORE")
        with closing(Index(open_store(store))) as index, closing(_listen(told.port)) as listening:
            sys.stdout.write(f"listening at http://localhost:{listening.getsockname()[1]}/\n")
            sys.stdout.flush()
            serve(index, listening, told.names)
    except (BadParametersError, StoreError, OSError) as error:
        sys.stderr.write(f"Error: {redacted(str(error))}\n")
        return 1
    return 0


def _listen(port: int) -> socket.socket:
    """At every address, of IPv6 as well where there is such."""
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", port))


if __name__ == "__main__":
    sys.exit(main())
