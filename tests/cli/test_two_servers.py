"""A run that reads photographs at one server and keeps everything else at another, told by variables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests import photographs
from tests.servers import Server

from imgflow_steps.store import open_source, open_store

if TYPE_CHECKING:
    from tests.cli.conftest import Cli


@pytest.mark.minio
def test_photographs_of_an_archive_are_processed_into_a_store_elsewhere_by_the_name_of_a_profile(
    imgflow: Cli, minio_server: Server, moto_server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    archive = minio_server.settings
    keys = f"aws_access_key_id = {archive.access_key}\naws_secret_access_key = {archive.secret_key}\n"
    Path("credentials").write_text(f"[archive]\n{keys}")
    Path("config").write_text(f"[profile archive]\nendpoint_url = {archive.endpoint}\n")
    told = {"AWS_SHARED_CREDENTIALS_FILE": "credentials", "AWS_CONFIG_FILE": "config"}
    for name, value in {**told, **moto_server.environment, "IMGFLOW_SOURCE_AWS_PROFILE": "archive"}.items():
        monkeypatch.setenv(name, value)
    source, store = minio_server.new_bucket(), moto_server.new_bucket()
    for i in range(3):
        open_source(source).write(f"{i}.jpg", photographs.jpeg(i))

    planned = imgflow("plan", "-m", "Demo", "--source", source, "--store", store)
    done = imgflow("submit", "-m", "Demo", "--source", source, "--store", store, "--workers", "1")
    verified = imgflow("verify", "@latest", "--store", store)
    why = imgflow("why", "1.jpg", "--store", store)

    assert (planned.code, done.code, verified.code, why.code) == (0, 0, 0, 0), (planned, done, verified, why)
    assert len([found for found in open_store(store).entries("results/") if "/images/" in found.key]) == 3
    assert [found.key for found in open_source(source).entries()] == ["0.jpg", "1.jpg", "2.jpg"]
