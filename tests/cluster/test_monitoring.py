"""What a real Prometheus sees of real runs, and what a webhook is told of them."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from urllib.request import urlopen
from uuid import uuid4

import pytest
import yaml
from tests import photographs
from tests.charts.test_monitoring import ALERTS, ALERTS_FILE, queries
from tests.webhooks import Receiver, receiver

from imgflow_steps.records import keys

if TYPE_CHECKING:
    from tests.cluster.conftest import Place

pytestmark = [pytest.mark.cluster, pytest.mark.prometheus]

GOOD, BAD = 5, 1  # images
KEY = "a-signing-key"
# Nothing waits for long on a cluster that is well: what asks for that may find nothing.
MAY_BE_EMPTY = {"argo_workflows_pod_pending_count"}


@dataclass(frozen=True)
class Prometheus:
    url: str
    began: float  # when it had first asked the controller, in seconds since 1970

    def ask(self, path: str, **parameters: Any) -> Any:
        with urlopen(f"{self.url}/api/v1/{path}?{urlencode(parameters)}", timeout=30) as answer:
            return json.load(answer)["data"]

    def ever(self, query: str) -> list[Any]:
        """Series that the query gave at any time since the test began."""
        series: list[Any] = self.ask("query_range", query=query, start=self.began, end=time.time(), step=1)["result"]
        return series

    def until(self, true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not true():
            assert time.monotonic() < deadline
            time.sleep(0.5)


@contextmanager
def process(*command: str) -> Iterator[subprocess.Popen[str]]:
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield running
    finally:
        running.terminate()
        running.communicate()


@pytest.fixture(scope="module")
def controller() -> Iterator[str]:
    """The address of Argo's controller, for this machine."""
    with process("kubectl", "-n", "argo", "port-forward", "deploy/workflow-controller", ":9090") as forward:
        assert forward.stdout
        found = re.search(r"127\.0\.0\.1:(\d+)", forward.stdout.readline())
        assert found
        yield f"127.0.0.1:{found[1]}"


@pytest.fixture(scope="module")
def prometheus(controller: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Asks the controller every second, and looks at the rules as often."""
    folder = tmp_path_factory.mktemp("prometheus")
    rules = yaml.safe_load(ALERTS_FILE.read_text())
    rules["groups"][0]["interval"] = "1s"
    (folder / "alerts.yaml").write_text(yaml.safe_dump(rules))
    config = {
        "global": {"scrape_interval": "1s"},
        "rule_files": ["alerts.yaml"],
        "scrape_configs": [
            {
                "job_name": "argo",
                "scheme": "https",
                "tls_config": {"insecure_skip_verify": True},
                "honor_labels": True,
                "static_configs": [{"targets": [controller]}],
            }
        ],
    }
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    flags = [f"--config.file={folder / 'prometheus.yaml'}", f"--storage.tsdb.path={folder}"]
    with process("prometheus", *flags, f"--web.listen-address={address}", "--log.level=error"):
        starting = Prometheus(f"http://{address}", time.time())
        starting.until(lambda: _answers(starting))
        starting.until(lambda: bool(starting.ever("argo_workflows_is_leader")))
        yield Prometheus(starting.url, time.time())


def _answers(prometheus: Prometheus) -> bool:
    try:
        return bool(prometheus.ask("status/buildinfo"))
    except OSError:
        return False


@pytest.fixture(scope="module")
def hook(place: Place) -> Iterator[Receiver]:
    """A webhook on this machine that pods reach, and the Secret that tells them."""
    seen = "jsonpath={.items[0].status.hostIP}"
    node = place.kubectl("get", "pods", "-l", "app.kubernetes.io/name=imgflow-minio", "-o", seen)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as towards:
        towards.connect((node, 9))
        here = towards.getsockname()[0]
    with receiver(here) as taken:
        told = (f"--from-literal=IMGFLOW_NOTIFY_URL={taken.url}", f"--from-literal=IMGFLOW_NOTIFY_SECRET={KEY}")
        place.kubectl("create", "secret", "generic", "imgflow-notify", *told)
        yield taken
        place.kubectl("delete", "secret", "imgflow-notify")


@pytest.fixture(scope="module")
def runs(place: Place, prometheus: Prometheus, hook: Receiver) -> list[str]:
    """Three of one municipality: all is new; more is rejected than is allowed; nothing is to do."""
    municipality = f"Watched {uuid4().hex[:8]}"
    for i in range(GOOD):
        place.store.write(f"{keys.images(municipality)}{i}.jpg", photographs.jpeg(i))
    place.store.write(f"{keys.images(municipality)}cut.jpg", photographs.jpeg(3)[:700])
    names = []
    for flags in (["-p", "shard-size=3"], ["-p", "max-rejected=0"], []):
        names.append(place.from_template(municipality, "-p", "layout=fused", *flags))
        place.ended(names[-1])
    # Prometheus asks every second, and Argo counts a run when all of it is over.
    prometheus.until(lambda: sum(counted(prometheus, place, "runs_total", "status").values()) == len(names))
    return names


def counted(prometheus: Prometheus, place: Place, metric: str, by: str) -> dict[str, float]:
    """What the runs added to a counter, by the value of a label."""
    query = f'sum by ({by}) (argo_workflows_imgflow_{metric}{{workflow_namespace="{place.namespace}"}})'
    begun = prometheus.ask("query", query=query, time=prometheus.began)["result"]
    before = {one["metric"][by]: float(one["value"][1]) for one in begun}
    now = {one["metric"][by]: float(one["value"][1]) for one in prometheus.ask("query", query=query)["result"]}
    return {name: value - before.get(name, 0) for name, value in now.items() if value != before.get(name, 0)}


def test_runs_pods_and_images_are_counted_once_each(prometheus: Prometheus, place: Place, runs: list[str]) -> None:
    assert counted(prometheus, place, "runs_total", "status") == {"Succeeded": 2, "Failed": 1}
    assert counted(prometheus, place, "run_seconds_count", "status") == {"Succeeded": 2, "Failed": 1}
    outcomes = {"processed": GOOD, "cached": 2 * GOOD, "rejected": 3 * BAD}
    assert counted(prometheus, place, "images_total", "outcome") == outcomes
    # After the run that failed the exit handler starts a collect as well, which finds all done.
    assert counted(prometheus, place, "pods_total", "step") == {"list": 3, "fused": 2, "collect": 4}
    assert counted(prometheus, place, "pod_seconds_count", "step") == {"list": 3, "fused": 2, "collect": 4}
    assert counted(prometheus, place, "pods_total", "status") == {"Succeeded": 8, "Failed": 1}


# Those of the image service, which does not run here, have their series in tests/charts.
@pytest.mark.parametrize("query", [one for one in queries() if "argo_workflows" in one or "imgflow:" in one])
def test_every_panel_of_the_dashboard_shows_something(prometheus: Prometheus, runs: list[str], query: str) -> None:
    found = prometheus.ever(query)
    metrics = set(re.findall(r"argo_workflows_\w+", query))
    if not metrics & MAY_BE_EMPTY:
        assert [value for one in found for _, value in one["values"] if value != "NaN"], query


@pytest.mark.parametrize(
    "name", [name for name, one in ALERTS.items() if re.search("argo_workflows|imgflow:", one["expr"])]
)
def test_an_alert_asks_for_what_is_there(prometheus: Prometheus, runs: list[str], name: str) -> None:
    asked = set(re.findall(r"argo_workflows_\w+|imgflow:\w+:\w+", ALERTS[name]["expr"]))
    assert asked
    for metric in asked:
        assert prometheus.ever(metric), metric


def test_the_run_that_failed_raises_its_alert_and_no_other(
    prometheus: Prometheus, place: Place, runs: list[str]
) -> None:
    def raised() -> set[str]:
        alerts = prometheus.ask("alerts")["alerts"]
        here = [one for one in alerts if one["labels"].get("workflow_namespace") in {None, place.namespace}]
        return {one["labels"]["alertname"] for one in here if one["state"] == "firing"}

    prometheus.until(lambda: "ImgflowRunFailed" in raised())
    assert raised() == {"ImgflowRunFailed"}
    groups = prometheus.ask("rules")["groups"]
    assert {rule["health"] for group in groups for rule in group["rules"]} == {"ok"}


def test_the_webhook_is_told_of_each_run_once_and_signed(hook: Receiver, runs: list[str]) -> None:
    assert [(told["run"], told["status"]) for told in hook.notices] == [
        (runs[0], "succeeded"),
        (runs[1], "failed"),
        (runs[2], "succeeded"),
    ]
    assert hook.notices[0]["counts"] == {"listed": 6, "processed": 5, "cached": 0, "rejected": 1, "failed": 0}
    assert "1 of 6 images were rejected" in hook.notices[1]["text"]
    for body, headers in zip(hook.bodies, hook.headers, strict=True):
        expected = hmac.new(KEY.encode(), body, hashlib.sha256).hexdigest()
        assert headers["X-Imgflow-Signature"] == f"sha256={expected}"


def test_the_webhook_s_address_is_nowhere_but_in_its_secret(place: Place, hook: Receiver, runs: list[str]) -> None:
    seen = place.kubectl("get", "workflows,workflowtemplates,configmaps,pods", "-o", "yaml")
    for name in runs:
        for found in place.store.entries(keys.whole_run(name)):
            seen += place.store.read(found.key).decode(errors="replace")
    assert '"event": "notify"' in seen  # so the logs are among it
    assert "a-secret-path" not in seen
    assert KEY not in seen


def test_containers_say_what_became_of_images_for_which_run_and_shard(place: Place, runs: list[str]) -> None:
    said = [json.loads(line) for line in place.imgflow("logs", runs[0]).stdout.splitlines() if line.startswith("{")]
    [rejected] = [line for line in said if line["event"] == "rejected"]
    assert rejected.items() >= {"run": runs[0], "step": "fused", "image": "cut.jpg", "level": "info"}.items()
    assert rejected["shard"] in {0, 1}
    assert all(line["run"] == runs[0] for line in said)
