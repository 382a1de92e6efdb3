"""What `docker run` is told for a container: what it may see, reach and know."""

from __future__ import annotations

import os
from pathlib import Path

import certifi
import pytest

from imgflow_steps.contract.job import Job
from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.pipeline.model import parse
from imgflow_steps.records.run import Run
from imgflow_steps.worker.reach import Reach
from imgflow_workflows.engines.docker import run_arguments

PLAIN = parse({"steps": [{"scale": {"width": 48, "height": 48}}, "grayscale"]})


def flags(store: str, source: str = "") -> list[str]:
    run = Run(id="a-run", municipality="Demo", pipeline=PLAIN, source=source, created=1.0)
    told = Reach.of(store, run.source).introducer(os.environ)()
    return run_arguments(Job(step="scale", run=run.id, position=1), run, store, "a-name", told)


def test_no_secret_shows_among_the_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "who")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush-hush")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://localhost:9000")
    given = flags("s3://bucket/prefix")
    assert {"--env=AWS_SECRET_ACCESS_KEY", "--env=IMGFLOW_S3_ENDPOINT", "--network=host"} <= {*given}
    assert "hush-hush" not in " ".join(given)
    assert not any(flag.startswith("--user") for flag in given)


def test_a_container_gets_keys_and_authorities_and_no_profile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "credentials").write_text("[city]\naws_access_key_id = who\naws_secret_access_key = hush-hush\n")
    (tmp_path / "ca.pem").write_bytes(Path(certifi.where()).read_bytes())
    for name, value in {"SHARED_CREDENTIALS_FILE": f"{tmp_path}/credentials", "PROFILE": "city"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("IMGFLOW_SOURCE_S3_ENDPOINT", "http://archive:9000")
    monkeypatch.setenv("AWS_CA_BUNDLE", f"{tmp_path}/ca.pem")
    monkeypatch.setenv("IMGFLOW_CONFINE", "off")
    given = flags("s3://ours", source="s3://theirs")
    assert {"--env=AWS_SECRET_ACCESS_KEY", "--env=IMGFLOW_SOURCE_S3_ENDPOINT"} <= {*given}
    assert f"--volume={tmp_path}/ca.pem:{tmp_path}/ca.pem:ro" in given
    assert not {"--env=AWS_PROFILE", "--env=PATH"} & {*given}


def test_a_directory_is_all_that_a_container_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush-hush")
    given = flags("/photos/store")
    assert {"--network=none", "--read-only", "--pull=never", "--volume=/photos/store:/photos/store"} <= {*given}
    assert f"--user={os.getuid()}:{os.getgid()}" in given
    names = [flag.removeprefix("--env=").partition("=")[0] for flag in given if flag.startswith("--env")]
    assert names == ["IMGFLOW_LIFELINE", "IMGFLOW_MACHINE"]


def test_photographs_elsewhere_can_be_read_but_not_changed() -> None:
    given = flags("/photos/store", source="file:///photos/my%20pictures")
    assert "--volume=/photos/my pictures:/photos/my pictures:ro" in given
    assert "--network=host" in flags("/photos/store", source="s3://theirs")


def test_a_directory_that_cannot_be_mounted_is_refused() -> None:
    with pytest.raises(BadParametersError, match=r"/a:b.*no ':'"):
        flags("/a:b")


@pytest.mark.parametrize(("step", "position", "given"), [("infer", 1, True), ("fused", 0, True), ("collect", 0, False)])
def test_only_a_container_with_a_step_that_asks_for_a_card_gets_cards(step: str, position: int, given: bool) -> None:
    run = Run(id="a-run", municipality="Demo", pipeline=parse({"steps": [{"infer": {"device": "cuda"}}]}), created=1.0)

    told = run_arguments(Job(step=step, run=run.id, position=position), run, "/store", "a-name", {})

    assert ("--gpus=all" in told) == given
