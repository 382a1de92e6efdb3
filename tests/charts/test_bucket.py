"""The bucket and its lifecycle rule, as the chart's hook makes them."""

from __future__ import annotations

import os
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pytest
from minio.commonconfig import ENABLED, Filter
from minio.lifecycleconfig import Expiration, LifecycleConfig, Rule
from tests.servers import Server, free_port, minio

from imgflow_steps.contract.job import Exit
from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.store.bucket import RULE, prepare_store
from imgflow_steps.store.client import open_client
from imgflow_steps.store.settings import S3Settings

KINDS = ["moto_server", pytest.param("minio_server", marks=pytest.mark.minio)]


@pytest.fixture(params=KINDS)
def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Server:
    chosen: Server = request.getfixturevalue(request.param)
    for name, value in chosen.environment.items():
        monkeypatch.setenv(name, value)
    return chosen


def test_a_bucket_is_made_once_and_scratch_expires(server: Server) -> None:
    for days in (3, 5):
        prepare_store("s3://imgflow-first", days)
    found = open_client(S3Settings.from_environment(server.environment)).get_bucket_lifecycle("imgflow-first")
    assert found
    [rule] = found.rules
    assert rule.rule_filter
    assert rule.expiration
    assert (rule.rule_id, rule.rule_filter.prefix, rule.expiration.days) == (RULE, "scratch/", 5)


def test_rules_that_others_made_stay(server: Server) -> None:
    client = open_client(S3Settings.from_environment(server.environment))
    client.make_bucket("imgflow-shared")
    theirs = Rule(ENABLED, rule_filter=Filter(prefix="tmp/"), rule_id="theirs", expiration=Expiration(days=1))
    client.set_bucket_lifecycle("imgflow-shared", LifecycleConfig([theirs]))
    prepare_store("s3://imgflow-shared/below/here/", 3)
    found = client.get_bucket_lifecycle("imgflow-shared")
    assert found
    prefixes = {rule.rule_id: rule.rule_filter.prefix for rule in found.rules if rule.rule_filter}
    assert prefixes == {"theirs": "tmp/", RULE: "below/here/scratch/"}


def test_a_directory_has_no_bucket() -> None:
    with pytest.raises(BadParametersError, match="only a store in S3 has a bucket"):
        prepare_store("./somewhere", 3)


@pytest.mark.minio
def test_a_server_with_the_credentials_of_before_is_started_anew_with_those_of_now_and_keeps_what_it_has(
    tmp_path: Path,
) -> None:
    """What a kubelet does with a container that ends is done here: start it again, with what the Secret says then."""
    port, passwords = free_port(), ("imgflow-before", "imgflow-afterwards")
    environment = {
        "IMGFLOW_STORE": "s3://kept",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "imgflow",
        "AWS_SECRET_ACCESS_KEY": passwords[1],
        "IMGFLOW_BEFORE_ACCESS_KEY_ID": "imgflow",
        "IMGFLOW_BEFORE_SECRET_ACCESS_KEY": passwords[0],
    }
    with minio(tmp_path / "data", port=port, password=passwords[0]) as before:
        open_client(before.settings).make_bucket("kept")
        client = open_client(before.settings)
        client.put_object("kept", "photograph", BytesIO(b"all of it"), 9)
        hook = subprocess.Popen([sys.executable, "-m", "imgflow_steps.store.bucket"], env={**os.environ, **environment})
        assert before.process.wait(60) == 0
    with minio(tmp_path / "data", port=port, password=passwords[1]) as now:
        assert hook.wait(60) == Exit.DONE
        assert open_client(now.settings).get_object("kept", "photograph").data == b"all of it"


def test_the_hook_says_what_is_wrong_and_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMGFLOW_STORE", "")
    done = subprocess.run(
        [sys.executable, "-m", "imgflow_steps.store.bucket"], capture_output=True, text=True, check=False
    )
    assert done.returncode == Exit.BAD_PARAMETERS
    assert "IMGFLOW_STORE" in done.stderr
    assert "Traceback" not in done.stderr
