"""The image service as the chart sets it up: no secret where it does not belong, and no request lost on the way."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml
from tests.charts.conftest import ARGO, CHART, Helm, Render

from imgflow_service import settings as service_settings

Document = dict[str, Any]
PARTS = ("api", "processor", "jobs")
# What the chart says itself, or keeps in a Secret.
OF_THE_CHART = {
    *("store", "keys", "jobs.broker", "api.processors", "processor.host", "processor.port", "processor.http_port"),
    *("processor.metrics_port", "api.host", "api.port", "api.grpc_port", "api.metrics_port"),
}


def named(objects: list[Document], kind: str, name: str) -> Document:
    [found] = [one for one in objects if one["kind"] == kind and one["metadata"]["name"] == name]
    return found


def container(objects: list[Document], part: str) -> Document:
    [only] = named(objects, "Deployment", f"imgflow-{part}")["spec"]["template"]["spec"]["containers"]
    return dict(only)


def told(objects: list[Document], part: str) -> set[str]:
    """Names of all Secrets and ConfigMaps that a part of the service sees."""
    one = container(objects, part)
    whole = {next(iter(source.values()))["name"] for source in one["envFrom"]}
    single = {next(iter(each["valueFrom"].values()))["name"] for each in one["env"] if "valueFrom" in each}
    return whole | single


def test_without_being_asked_for_there_is_no_service(render: Render) -> None:
    names = {one["metadata"]["name"] for one in render()}
    assert not names & {"imgflow-api", "imgflow-processor", "imgflow-jobs", "imgflow-service", "imgflow-valkey"}


def test_a_processor_knows_neither_the_store_nor_a_key_and_no_broker(render: Render) -> None:
    objects = render("service")
    assert told(objects, "processor") == {"imgflow-service"}
    assert told(objects, "jobs") == {"imgflow-service", "imgflow-store", "imgflow-s3", "imgflow-broker"}
    assert told(objects, "api") == told(objects, "jobs") | {"imgflow-service-keys"}
    shared = named(objects, "ConfigMap", "imgflow-service")["data"]
    assert not [name for name in shared if "KEY" in name or "BROKER" in name or "STORE" in name]


def test_the_bucket_is_there_before_the_api_is_asked_whether_it_is_ready(render: Render) -> None:
    pod = named(render("service"), "Deployment", "imgflow-api")["spec"]["template"]["spec"]
    [first] = pod["initContainers"]
    assert first["command"] == ["python", "-m", "imgflow_steps.store.bucket"]
    assert first["resources"]["limits"].keys() >= {"cpu", "memory"}
    assert first["securityContext"]["readOnlyRootFilesystem"] is True
    assert (
        "initContainers" not in named(render("service"), "Deployment", "imgflow-processor")["spec"]["template"]["spec"]
    )
    unmade = render("service", "--set", "store.makeBucket=false")
    assert "initContainers" not in named(unmade, "Deployment", "imgflow-api")["spec"]["template"]["spec"]


def test_keys_stand_in_their_secret_and_one_that_is_there_is_used(render: Render) -> None:
    objects = render("service")
    keys = named(objects, "Secret", "imgflow-service-keys")["stringData"]["keys"]
    read = service_settings.load(environment={"IMGFLOW_SERVE_KEYS": keys}).keys
    assert list(read) == ["a-team"]
    other = render("service-plain")
    assert "keys-of-teams" in told(other, "api")
    assert not [one for one in other if one["metadata"]["name"] == "imgflow-service-keys"]


def test_the_service_understands_what_it_is_told(render: Render) -> None:
    data = named(render("service"), "ConfigMap", "imgflow-service")["data"]
    settings = service_settings.load(environment=data)
    assert (settings.width, settings.grayscale, settings.limits.bytes) == (800, False, 64 << 20)
    assert settings.url.hosts == ("images.example.org", "www.example.org")
    assert settings.api.host == settings.processor.host == "0.0.0.0"
    assert settings.api.processors == "dns:///imgflow-processor-headless.there.svc:50061"
    assert {name.partition("_PORT")[0] for name in data} == set(data), "ports stay what the Services say"


def test_ports_are_those_that_the_service_listens_at(render: Render) -> None:
    objects, settings = render("service"), service_settings.load(environment={})
    api = {one["name"]: one["containerPort"] for one in container(objects, "api")["ports"]}
    assert api == {"http": settings.api.port, "grpc": settings.api.grpc_port, "metrics": settings.api.metrics_port}
    processor = {one["name"]: one["containerPort"] for one in container(objects, "processor")["ports"]}
    own = settings.processor
    assert processor == {"grpc": own.port, "http": own.http_port, "metrics": own.metrics_port}


def test_the_schema_knows_every_setting_but_those_of_the_chart() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())["properties"]["service"]["properties"]["settings"]
    known = set()
    for name, rule in schema["properties"].items():
        known |= {f"{name}.{inner}" for inner in rule["properties"]} if "properties" in rule else {name}
    assert known == set(service_settings.names()) - OF_THE_CHART


def test_api_asks_every_processor_by_its_own_address_once_it_is_ready(render: Render) -> None:
    headless = named(render("service"), "Service", "imgflow-processor-headless")["spec"]
    assert headless["clusterIP"] == "None"
    assert headless["publishNotReadyAddresses"] is False
    assert headless["ports"][0]["port"] == 50061


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("situation", ["service", "service-plain"])
def test_new_pods_come_before_old_ones_go_and_old_ones_finish(render: Render, situation: str, part: str) -> None:
    spec = named(render(situation), "Deployment", f"imgflow-{part}")["spec"]
    assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    pod = spec["template"]["spec"]
    drain = service_settings.load(environment={}).drain
    assert pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"] == ["sleep", "5"]
    assert pod["terminationGracePeriodSeconds"] >= 5 + drain.delay + drain.grace
    assert {"startupProbe", "readinessProbe", "livenessProbe"} <= pod["containers"][0].keys()
    assert pod["topologySpreadConstraints"][0]["topologyKey"] == "kubernetes.io/hostname"
    assert named(render(situation), "PodDisruptionBudget", f"imgflow-{part}")["spec"]["maxUnavailable"] == 1


def test_a_longer_drain_makes_kubernetes_wait_longer(render: Render) -> None:
    objects = render("service", "--set", "service.settings.drain.grace=90,service.settings.drain.delay=2.5")
    pod = named(objects, "Deployment", "imgflow-api")["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] >= 5 + 2.5 + 90


def test_other_settings_and_other_keys_are_other_pods(render: Render) -> None:
    def mark(*flags: str) -> str:
        template = named(render("service", *flags), "Deployment", "imgflow-api")["spec"]["template"]
        return str(template["metadata"]["annotations"]["imgflow.io/settings"])

    marks = [mark(), mark("--set", "service.settings.width=801"), mark("--set", "service.keys.hashes.b=" + 64 * "a")]
    assert len(set(marks)) == 3
    assert mark() == mark("--set", "service.api.replicas=3")


def test_two_of_each_and_more_by_the_cpu_that_they_asked_for(render: Render) -> None:
    objects = render("service")
    for part in ("api", "processor"):
        scaler = named(objects, "HorizontalPodAutoscaler", f"imgflow-{part}")["spec"]
        assert scaler["minReplicas"] == 2
        assert scaler["maxReplicas"] == 10
        assert scaler["metrics"][0]["resource"]["target"] == {"type": "Utilization", "averageUtilization": 70}
        assert scaler["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == 300
        assert "replicas" not in named(objects, "Deployment", f"imgflow-{part}")["spec"], "an upgrade resets none"
    waiting = named(objects, "HorizontalPodAutoscaler", "imgflow-processor")["spec"]["metrics"][1]["pods"]
    assert waiting == {
        "metric": {"name": "imgflow_processor_waiting"},
        "target": {"type": "AverageValue", "averageValue": "2"},
    }


def test_where_nothing_scales_the_values_say_how_many(render: Render) -> None:
    objects = render("service-plain")
    assert not [one for one in objects if one["kind"] == "HorizontalPodAutoscaler"]
    for part, replicas in (("api", 3), ("processor", 6), ("jobs", 3)):
        assert named(objects, "Deployment", f"imgflow-{part}")["spec"]["replicas"] == replicas


def test_policies_let_a_processor_reach_nobody_and_be_asked_by_api_and_jobs(render: Render) -> None:
    objects = render("service")
    policy = named(objects, "NetworkPolicy", "imgflow-processor")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["egress"] == []
    asked = [one["podSelector"]["matchLabels"]["app.kubernetes.io/name"] for one in policy["ingress"][0]["from"]]
    assert asked == ["imgflow-api", "imgflow-jobs"]
    broker = named(objects, "NetworkPolicy", "imgflow-valkey")["spec"]
    assert broker["egress"] == []
    assert len(broker["ingress"]) == 1


def test_every_part_is_told_where_spans_go_and_reaches_that_port_alone(render: Render) -> None:
    endpoint = "service.tracing.OTEL_EXPORTER_OTLP_ENDPOINT=http://collector.there:4318"
    objects = render("service", "--set", endpoint)
    collector = {"ports": [{"port": 4318, "protocol": "TCP"}]}
    dns = {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}

    shared = named(objects, "ConfigMap", "imgflow-service")["data"]
    assert shared["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://collector.there:4318"
    assert named(objects, "NetworkPolicy", "imgflow-processor")["spec"]["egress"] == [dns, collector]
    for part in ("api", "jobs"):
        assert collector in named(objects, "NetworkPolicy", f"imgflow-{part}")["spec"]["egress"]
        assert collector not in named(render("service"), "NetworkPolicy", f"imgflow-{part}")["spec"]["egress"]


def test_the_api_reaches_the_web_only_where_hosts_are_named(render: Render) -> None:
    web = {"ports": [{"port": 80, "protocol": "TCP"}, {"port": 443, "protocol": "TCP"}]}
    assert web in named(render("service"), "NetworkPolicy", "imgflow-api")["spec"]["egress"]
    assert web not in named(render("service"), "NetworkPolicy", "imgflow-jobs")["spec"]["egress"]
    closed = render("service-plain", "--set", "networkPolicy.enabled=true")
    assert web not in named(closed, "NetworkPolicy", "imgflow-api")["spec"]["egress"]


def test_a_broker_has_a_password_that_only_its_secret_holds_and_another_s_is_not_made(render: Render) -> None:
    objects = render("service")
    secret = named(objects, "Secret", "imgflow-broker")["stringData"]
    assert len(secret["password"]) == 40
    assert secret["url"] == f"redis://:{secret['password']}@imgflow-valkey.there.svc:6379/0"
    assert secret["password"] not in json.dumps([one for one in objects if one["kind"] != "Secret"])
    other = render("service-plain")
    assert "our-redis" in told(other, "jobs")
    assert not [one for one in other if one["metadata"]["name"] in {"imgflow-broker", "imgflow-valkey"}]


def test_without_jobs_there_is_no_broker(render: Render) -> None:
    objects = render("service", "--set", "service.jobs.enabled=false")
    assert "imgflow-broker" not in told(objects, "api")
    assert not {one["metadata"]["name"] for one in objects} & {"imgflow-valkey", "imgflow-broker", "imgflow-jobs"}


VIEW = ["--set", "service.view.enabled=true"]


def test_the_page_of_all_images_is_there_where_it_is_asked_for_and_knows_the_store_alone(render: Render) -> None:
    assert "imgflow-view" not in {one["metadata"]["name"] for one in render("service")}
    objects = render("service", *VIEW)
    assert told(objects, "view") == {"imgflow-service", "imgflow-store", "imgflow-s3"}
    assert named(objects, "Deployment", "imgflow-view")["spec"]["replicas"] == 1
    page = container(objects, "view")
    assert page["command"] == ["python", "-m", "imgflow_workflows.explorer"]
    assert page["image"].partition(":")[0].endswith("view")
    assert page["securityContext"]["readOnlyRootFilesystem"] is True
    [host] = page["readinessProbe"]["httpGet"]["httpHeaders"]
    assert host == {"name": "Host", "value": "localhost"}, "it answers to no other name"


def test_the_page_of_all_images_is_asked_from_outside_only_by_a_name_that_it_is_told(render: Render) -> None:
    def ingress(objects: list[Document]) -> object:
        return named(objects, "NetworkPolicy", "imgflow-view")["spec"]["ingress"]

    named_ = render("service", *VIEW, "--set", "service.view.hosts={photos.example.org,photos}")
    assert ingress(render("service", *VIEW)) == []
    assert ingress(named_) == [{"ports": [{"port": "http", "protocol": "TCP"}]}]
    assert container(named_, "view")["command"][3:] == ["photos.example.org", "photos"]


def test_the_way_in_from_outside_leads_to_the_api(render: Render) -> None:
    ingress = named(render("service"), "Ingress", "imgflow-api")["spec"]
    assert ingress["tls"] == [{"hosts": ["pictures.example.org"], "secretName": "pictures-tls"}]
    [path] = ingress["rules"][0]["http"]["paths"]
    assert path["backend"]["service"] == {"name": "imgflow-api", "port": {"name": "http"}}


def test_prometheus_asks_every_pod_of_the_service(render: Render) -> None:
    objects = render("service")
    [rule] = named(objects, "PodMonitor", "imgflow-service")["spec"]["selector"]["matchExpressions"]
    for part in PARTS:
        labels = named(objects, "Deployment", f"imgflow-{part}")["spec"]["template"]["metadata"]["labels"]
        assert labels[rule["key"]] in rule["values"]
        assert "metrics" in {port["name"] for port in container(objects, part)["ports"]}


@pytest.mark.parametrize(
    "wrong",
    [
        *("service.setting.width=1", "service.settings.widht=1", "service.settings.limits.byte=1"),
        *("service.keys.hashes.a=not-a-hash", "service.settings.keys=a:b", "service.processor.autoscaling.max=3"),
        *("service.view.replicas=2", "service.view.hosts={a b}", "service.broker.persistence.type=hostPath"),
        *("service.api.replicas=0", "service.tracing.ENDPOINT=x"),
    ],
)
def test_values_of_the_service_that_mean_nothing_are_refused_by_name(helm: Helm, wrong: str) -> None:
    done = helm("template", str(CHART), "--api-versions", ARGO, "--set", wrong)
    assert done.returncode
    assert any(part in done.stderr for part in wrong.partition("=")[0].split(".")[-2:])


def test_the_values_name_the_parts_that_there_are() -> None:
    service = yaml.safe_load((CHART / "values.yaml").read_text())["service"]
    assert service["enabled"] is False
    assert {*PARTS, "view", "broker", "ingress", "keys", "settings", "tracing", "enabled"} == service.keys()
    assert service["processor"]["replicas"] >= 2
    assert service["api"]["replicas"] >= 2


DOCUMENT = CHART.parents[1] / "docs/service.md"


def test_the_document_s_commands_are_understood_by_the_chart(helm: Helm) -> None:
    text = DOCUMENT.read_text(encoding="utf-8").replace("\\\n", " ")
    told = re.findall(r"^helm .*? (--set \S+)$", text, re.MULTILINE)
    assert len(told) == 3
    for flags in told:
        done = helm("template", str(CHART), "-n", "imgflow", "--api-versions", ARGO, *told[0].split(), *flags.split())
        assert not done.returncode, done.stderr
    objects = list(yaml.safe_load_all(helm("template", str(CHART), "--api-versions", ARGO, *told[0].split()).stdout))
    forwarded = re.findall(r"port-forward service/(\S+) ([\d ]+)", text)
    assert len(forwarded) == 2
    for service, ports in forwarded:
        known = {str(one["port"]) for one in named(objects, "Service", service)["spec"]["ports"]}
        assert set(ports.split()) <= known


def test_the_document_s_table_names_values_that_there_are() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    told = re.findall(r"`(service\.[a-zA-Z.]+)`", DOCUMENT.read_text(encoding="utf-8"))
    assert len(told) > 8
    for name in told:
        place = values
        for part in name.split("."):
            assert part in place, name
            place = place[part]
