"""The real photographs of the demo, and as many images as a real municipality has, on a real cluster."""

from __future__ import annotations

import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests import photographs
from tests.local_runs import pictures

from imgflow_cli import demo
from imgflow_steps.list import List
from imgflow_steps.records import keys
from imgflow_steps.records.run import Run, save
from imgflow_steps.store import Store, open_store
from imgflow_workflows.engines.argo import ArgoEngine
from imgflow_workflows.engines.local import LocalEngine
from imgflow_workflows.ingest.folder import Folder
from imgflow_workflows.kube.port_forward import reachable
from imgflow_workflows.submit.default import DEFAULT
from imgflow_workflows.transfer.copying import ingest

if TYPE_CHECKING:
    from tests.cluster.conftest import Place

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="session")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shots")
    demo.photographs(folder)
    return folder


def submit(place: Place, run_id: str, municipality: str, **listing: object) -> Run:
    run = Run(
        id=run_id,
        municipality=municipality,
        pipeline=DEFAULT,
        list=List.model_validate(listing),
        created=time.time(),
        engine="argo",
    )
    save(place.store, run)
    ArgoEngine(place.store, namespace=place.namespace).submit(run)
    assert place.ended(run_id)["status"]["phase"] == "Succeeded", place.argo("get", run_id)
    return run


def copy(source: Path, store: Store, municipality: str) -> None:
    ingest(Folder(source), store, municipality, workers=4, tell=lambda _: None)


@pytest.fixture(scope="session")
def at_home(shots: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the local engine makes of the demo."""
    store = open_store(str(tmp_path_factory.mktemp("home")))
    copy(shots, store, "Demo")
    run = Run(id="home", municipality="Demo", pipeline=DEFAULT, created=time.time())
    save(store, run)
    LocalEngine(store, workers=2).submit(run)
    return pictures(store, "home")


@pytest.mark.parametrize("layout", ["steps", "fused"])
def test_the_demo_is_the_same_on_the_cluster_byte_for_byte(
    place: Place, shots: Path, at_home: dict[str, str], layout: str
) -> None:
    municipality = f"Demo {layout}"
    copy(shots, place.store, municipality)

    submit(place, f"demo-{layout}", municipality, layout=layout, shard_size=9)

    _, summary = place.summary(f"demo-{layout}")
    assert (summary.counts.processed, summary.counts.rejected) == (34, 2)
    assert pictures(place.store, f"demo-{layout}") == at_home


def test_a_browser_shows_the_report_as_the_argo_server_hands_it_out(place: Place, shots: Path, tmp_path: Path) -> None:
    if not (chromium := shutil.which("chromium") or shutil.which("google-chrome")):
        pytest.skip("there is no Chromium; provide it with: apt-get install chromium")
    copy(shots, place.store, "Demo seen")
    submit(place, "demo-seen", "Demo seen", layout="fused", shard_size=18)
    path = place.workflow("demo-seen")["metadata"]["annotations"]["imgflow.io/report"]
    quiet = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
    quiet += ["--disable-background-networking", "--disable-component-update", f"--user-data-dir={tmp_path}/profile"]
    picture = tmp_path / "report.png"

    with reachable("http://argo-server.argo.svc:2746") as server:
        shot = [f"--screenshot={picture}", "--window-size=1200,4000", "--virtual-time-budget=10000", server + path]
        subprocess.run([chromium, *quiet, *shot], check=True, capture_output=True, timeout=120)

    assert colours(picture) > 2000  # photographs, and not only type on paper


def colours(picture: Path) -> int:
    from PIL import Image  # noqa: PLC0415 - its own import is all this function is

    with Image.open(picture) as image:
        return len(image.convert("RGB").getcolors(1 << 24) or [])


def test_two_thousand_images_run_for_real(place: Place) -> None:
    prefix = keys.images("Tvåtusen")
    some = [photographs.jpeg(i) for i in range(20)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: place.store.write(f"{prefix}{i % 10}/{i:04d}.jpg", some[i % 20]), range(2000)))

    submit(place, "two-thousand", "Tvåtusen", nodes=2)

    _, summary = place.summary("two-thousand")
    assert summary.counts.processed == summary.counts.listed == 2000
    assert len(pictures(place.store, "two-thousand")) == 2000
