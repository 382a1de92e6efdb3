"""Where a process of the service cannot listen it says so in a sentence, and ends."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import closing

import pytest
from tests.services import FREE, SECONDS, Start


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("api", "api.port"),
        ("api", "api.grpc_port"),
        ("api", "api.metrics_port"),
        ("processor", "processor.port"),
        ("processor", "processor.http_port"),
        ("processor", "processor.metrics_port"),
    ],
)
def test_a_port_that_is_taken_is_named_with_its_setting_and_without_a_traceback(part: str, name: str) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        variable = f"IMGFLOW_SERVE_{name.upper().replace('.', '_')}"
        told = {**os.environ, **FREE, "IMGFLOW_SERVE_PROCESSOR_WORKERS": "1", variable: str(port)}
        command = [sys.executable, "-m", f"imgflow_service.{part}"]
        ended = subprocess.run(command, env=told, capture_output=True, text=True, timeout=SECONDS, check=False)

    assert (ended.returncode, ended.stdout) == (2, "")
    said = ended.stderr.splitlines()
    assert [line for line in said if not line.startswith("{")] == [said[-1]]
    assert said[-1].startswith(f"serve.{name}: nothing can listen at 127.0.0.1:{port}: ")


def test_the_service_listens_at_addresses_of_ipv6_too(start_service: Start) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no ::1")

    served = start_service("api", IMGFLOW_SERVE_API_HOST="::1", IMGFLOW_SERVE_API_PROCESSORS="127.0.0.1:1")

    for port in served.ports.values():
        socket.create_connection(("::1", port), SECONDS).close()
