"""A command line in an empty directory, without a user's settings."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests import clusters, photographs

from imgflow_cli.__main__ import main
from imgflow_steps import keys
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


@pytest.fixture(autouse=True)
def _nobody_s_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("IMGFLOW_", "AWS_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    clusters.use(tmp_path / "home/no-cluster", monkeypatch)
    monkeypatch.setattr("imgflow_steps.store.settings._Retry.sleep", lambda *_: None)  # for a store that is away
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
