"""A shop of small photographs with a table, and a run of it, made once for all who only look at it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import clusters
from tests.catalogs import FIRST, fashion

import imgflow

STEPS = "scale:32x32,split:halves,infer"
LETTER = f"{FIRST + 1}.jpg"  # a photograph that is none


@pytest.fixture(autouse=True, scope="module")
def _nobody_s_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("IMGFLOW_", "AWS_")):
                patch.delenv(name)
        patch.setenv("XDG_CONFIG_HOME", str(home))
        clusters.use(home / "no-cluster", patch)
        patch.chdir(home)
        yield


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve photographs, one of them none, and the table beside them."""
    folder = tmp_path_factory.mktemp("shop")
    table = fashion(folder, 12, seed=5)
    (folder / "images" / LETTER).write_text("Dear Sir or Madam")
    return table


@pytest.fixture(scope="module")
def flow(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> imgflow.Flow:
    """The shop in a directory store. Tests only add to it."""
    flow = imgflow.connect(store=tmp_path_factory.mktemp("store"), workers=1)
    flow.ingest(shop, "Fashion")
    return flow


@pytest.fixture(scope="module")
def run(flow: imgflow.Flow) -> imgflow.Run:
    """A run of the whole shop that cut every photograph in two."""
    return flow.submit("Fashion", steps=STEPS, run="halves")
