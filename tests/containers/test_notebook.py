"""The notebook's container, which compose.yaml starts beside a MinIO."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.containers.test_containers import tool

from imgflow_steps.store import open_store

if TYPE_CHECKING:
    from tests.servers import Server

pytestmark = [pytest.mark.containers, pytest.mark.notebook]

IMAGE = "localhost/imgflow-notebook:dev"


@pytest.mark.minio
def test_the_example_goes_through_on_a_bucket_that_the_container_has_made(
    minio_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {
        **minio_server.environment,
        "AWS_ENDPOINT_URL": minio_server.settings.endpoint,
        "IMGFLOW_STORE": "s3://shop",
    }
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    flags = ("--rm", "--pull=never", "--network=host", *(f"--env={name}" for name in told))

    for command in (("python", "-m", "imgflow_steps.store.bucket"), ("jupyter", "execute", "notebook.ipynb")):
        done = tool("run", *flags, IMAGE, *command)
        assert done.returncode == 0, done.stderr

    summary = json.loads(open_store("s3://shop").read("runs/summer/summary.json"))
    assert summary["status"] == "succeeded"


def test_it_starts_jupyterlab_as_an_ordinary_user_with_the_example_in_a_folder_of_its_own() -> None:
    done = tool("run", "--rm", "--pull=never", "--network=none", IMAGE, "jupyter", "lab", "--version")
    assert done.returncode == 0, done.stderr
    [found] = json.loads(tool("image", "inspect", IMAGE).stdout)
    assert found["Config"]["Cmd"][:3] == ["python", "-m", "jupyterlab"]
    assert "--LabApp.default_url=/lab/tree/notebook.ipynb" in found["Config"]["Cmd"]

    listed = tool("run", "--rm", "--pull=never", "--network=none", IMAGE, "sh", "-c", "id -u && touch x && ls")

    assert listed.stdout.split() == ["10001", "notebook.ipynb", "x"]
