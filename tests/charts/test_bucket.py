"""The bucket and its lifecycle rule, as the chart's hook makes them."""

from __future__ import annotations

import subprocess
import sys

import pytest
from minio.commonconfig import ENABLED, Filter
from minio.lifecycleconfig import Expiration, LifecycleConfig, Rule
from tests.servers import Server  # noqa: TC002 - fixtures are annotated at run time

from imgflow_steps.bucket import RULE, prepare_store
from imgflow_steps.contract import BadParametersError, Exit
from imgflow_steps.store.settings import Settings

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
    found = Settings.from_environment(server.environment).client().get_bucket_lifecycle("imgflow-first")
    assert found
    [rule] = found.rules
    assert rule.rule_filter
    assert rule.expiration
    assert (rule.rule_id, rule.rule_filter.prefix, rule.expiration.days) == (RULE, "scratch/", 5)


def test_rules_that_others_made_stay(server: Server) -> None:
    client = Settings.from_environment(server.environment).client()
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


def test_the_hook_says_what_is_wrong_and_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMGFLOW_STORE", "")
    done = subprocess.run([sys.executable, "-m", "imgflow_steps.bucket"], capture_output=True, text=True, check=False)
    assert done.returncode == Exit.BAD_PARAMETERS
    assert "IMGFLOW_STORE" in done.stderr
    assert "Traceback" not in done.stderr
