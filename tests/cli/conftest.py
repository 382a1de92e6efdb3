"""A command line in an empty directory, without a user's settings."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests import clusters, photographs, servers

from imgflow_cli.__main__ import main
from imgflow_steps.records import keys
from imgflow_steps.store import Store, open_store


@dataclass(frozen=True)
class Outcome:
    """How a command ended, and what it wrote where."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Cli = Callable[..., Outcome]
IN_CITY = ("--engine", "argo", "--namespace", "city")  # where the fixture ``api`` has the chart


@pytest.fixture(autouse=True)
def _nobody_s_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("IMGFLOW_", "AWS_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    clusters.use(tmp_path / "home/no-cluster", monkeypatch)
    monkeypatch.setattr("imgflow_steps.store.asking._Retry.sleep", lambda *_: None)  # for a store that is away
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def imgflow(capfd: pytest.CaptureFixture[str]) -> Cli:
    def run(*arguments: str) -> Outcome:
        capfd.readouterr()
        code = main(arguments)
        out, err = capfd.readouterr()
        return Outcome(code, out, err)

    return run


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """The default store of the directory that commands run in."""
    return open_store(str(tmp_path / ".imgflow"))


@pytest.fixture
def demo(store: Store) -> Store:
    """The store with the municipality Demo: three photographs and a text file called .jpg."""
    for i in range(3):
        store.write(keys.images("Demo") + f"{i}.jpg", photographs.jpeg(i))
    store.write(keys.images("Demo") + "letter.jpg", b"Dear Sir or Madam")
    return store


@pytest.fixture
def api(tmp_path: Path, moto_server: servers.Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[clusters.Api]:
    """A cluster whose namespace city has the chart, with Demo in its store."""
    url, variables = moto_server.new_bucket(), moto_server.environment
    endpoint = variables.pop("IMGFLOW_S3_ENDPOINT")
    region = variables.pop("AWS_REGION")
    told = {"IMGFLOW_STORE": url, "AWS_ENDPOINT_URL": endpoint, "AWS_REGION": region}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**told, **variables}.items():
            patch.setenv(name, value)
        open_store(url).write(keys.images("Demo") + "a.jpg", photographs.jpeg(0))
    with clusters.api(tmp_path) as served:
        clusters.use(served.kubeconfig, monkeypatch)
        served.chart("city", told, variables)
        yield served
