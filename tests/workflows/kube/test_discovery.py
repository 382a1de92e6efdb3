"""What the chart tells its users about the store, through the real client before an API on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import clusters

from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.store import DeniedError, UnavailableError
from imgflow_workflows.kube import client, discovery

STORE = {"IMGFLOW_STORE": "s3://imgflow", "AWS_ENDPOINT_URL": "http://minio.city.svc:9000", "AWS_REGION": "eu-west-1"}
SECRET = {"AWS_ACCESS_KEY_ID": "imgflow", "AWS_SECRET_ACCESS_KEY": "p4ssword & ü"}


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[clusters.Api]:
    with clusters.api(tmp_path) as served:
        clusters.use(served.kubeconfig, monkeypatch)
        served.chart("city", STORE, SECRET)
        yield served


def test_users_are_told_what_pods_are_told(api: clusters.Api) -> None:
    assert discovery.store("city") == STORE
    assert discovery.credentials("city") == SECRET


def test_a_namespace_without_the_chart_is_answered_with_the_command_that_installs_it(api: clusters.Api) -> None:
    for ask in (discovery.store, discovery.credentials):
        with pytest.raises(BadParametersError, match="helm install imgflow charts/imgflow --namespace village"):
            ask("village")


def test_who_may_not_read_is_told_what_to_set_instead(api: clusters.Api) -> None:
    api.answers = {clusters.config_map("city"): 403, clusters.secret_of("city"): 403}

    with pytest.raises(DeniedError, match="may not read ConfigMap imgflow-store in namespace city; name a --store"):
        discovery.store("city")
    with pytest.raises(DeniedError, match="may not read Secret imgflow-s3 in namespace city; set AWS_ACCESS_KEY_ID"):
        discovery.credentials("city")


def test_a_cluster_that_fails_is_named_with_what_was_tried(api: clusters.Api) -> None:
    api.answers = {clusters.config_map("city"): 500}

    with pytest.raises(UnavailableError, match="reading ConfigMap imgflow-store in namespace city"):
        discovery.store("city")


def test_of_what_the_cluster_answers_only_the_message_is_told(api: clusters.Api) -> None:
    api.answers = {clusters.config_map("city"): 500}

    with pytest.raises(UnavailableError) as caught:
        discovery.store("city")

    assert str(caught.value).endswith("the cluster answers 500: no such luck")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('{"kind": "Status", "message": "not today", "code": 500}', "not today"),
        (b'{"code": 5, "message": "workflow not found"}', "workflow not found"),
        ("upstream connect error\nand more", "upstream connect error"),
        ("{}", ""),
        ("[1]", ""),
        (None, ""),
    ],
)
def test_whatever_answers_its_message_is_found(body: str | bytes | None, message: str) -> None:
    assert client.message_of(body) == message


def test_a_cluster_that_is_gone_is_named_with_what_was_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with clusters.api(tmp_path) as served:
        clusters.use(served.kubeconfig, monkeypatch)

    with pytest.raises(UnavailableError, match="reading ConfigMap imgflow-store in namespace city"):
        discovery.store("city")


def test_without_a_kubeconfig_there_is_no_cluster_to_talk_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clusters.use(tmp_path / "none", monkeypatch)

    with pytest.raises(UnavailableError, match=r"there is no kubeconfig .*/none; set KUBECONFIG"):
        discovery.store("city")


def test_a_context_that_the_kubeconfig_lacks_is_named_with_the_command_that_lists_others(api: clusters.Api) -> None:
    with pytest.raises(BadParametersError, match=r"has no context 'staging' .*kubectl config get-contexts"):
        discovery.store("city", "staging")
