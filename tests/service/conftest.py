"""A whole service on loopback: processors and fronts as processes of their own, as in containers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from tests.conftest import KINDS
from tests.servers import Server
from tests.services import Served, Start, serving

NewStore = Callable[[], dict[str, str]]


@pytest.fixture(scope="session")
def start_service() -> Iterator[Start]:
    """Start a process of the service with the settings that are named; all end with the tests."""
    with serving() as start:
        yield start


@pytest.fixture(scope="session")
def processor(start_service: Start) -> Served:
    """A processor with two computing processes."""
    return start_service("processor", IMGFLOW_SERVE_PROCESSOR_WORKERS="2", IMGFLOW_SERVE_PROCESSOR_WAITING="32")


@pytest.fixture(scope="session")
def front(start_service: Start, processor: Served) -> Served:
    """An API before it, with nothing else set."""
    return start_service("api", IMGFLOW_SERVE_API_PROCESSORS=f"127.0.0.1:{processor.ports['grpc']}")


@pytest.fixture(scope="session", params=KINDS)
def new_store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> NewStore:
    """Makes stores of each kind in turn, new and empty; gives what a process of the service is told of one."""
    if request.param == "directory":
        return lambda: {"IMGFLOW_STORE": str(tmp_path_factory.mktemp("kept") / "store")}
    server: Server = request.getfixturevalue(f"{request.param}_server")
    return lambda: {**server.environment, "IMGFLOW_STORE": server.new_bucket()}
