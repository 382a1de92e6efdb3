"""The image service on a cluster: used from this machine, changed and harmed under load, and grown by it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import httpx
import pytest
from tests import photographs
from tests.cluster.conftest import CHART, TAG, VALUES, installed, ok, run

from imgflow_service.wire.imagescaler_pb2 import Image, ScaleImageRequest
from imgflow_service.wire.imagescaler_pb2_grpc import ImageScalerStub
from imgflow_steps.pipeline import apply
from imgflow_steps.pipeline.model import parse

pytestmark = pytest.mark.cluster

PARTS = ("api", "processor", "jobs")
# Small requests, for nodes that share two cores, and as many pods as the test says.
SERVICE = ",".join(
    [
        "service.enabled=true,service.jobs.enabled=true,networkPolicy.enabled=true,service.settings.drain.grace=20",
        "service.api.autoscaling.enabled=false,service.processor.autoscaling.most=2",
        "service.processor.autoscaling.calm=0,service.view.enabled=true",
        *(f"service.{part}.resources.requests.cpu=50m" for part in (*PARTS, "view")),
        *(f"service.{part}.resources.requests.memory=256Mi" for part in (*PARTS, "view")),
    ]
)
SECONDS = 240  # for whatever a test waits for
# Pods that answer requests of clients, by their label.
ANSWER = "app.kubernetes.io/name in (imgflow-api,imgflow-processor)"
PHOTO = photographs.jpeg(1, 1600, 1200)
GREY = parse({"steps": [{"scale": {"width": 1024, "height": 768}}, "grayscale"]})
# Half a second for each image, so that a job is half done for a while.
ACTIONS = {"operations": [["resize", "2400x1600"], ["split", True]], "output": "png"}
IMAGES = 16
# Fills the container's memory, which then belongs to no process: the kernel ends them all, the first one too.
HOG = "import os; fd = os.memfd_create('hog'); [os.write(fd, bytes(1 << 22)) for _ in range(1 << 10)]"
SECRETS = re.compile(r"^(AWS_|IMGFLOW_STORE|IMGFLOW_SERVE_(KEYS|JOBS|STORE))", re.MULTILINE)

CLIENT = """
apiVersion: v1
kind: Pod
metadata: {{name: client, labels: {{run: client}}}}
spec:
  terminationGracePeriodSeconds: 0
  securityContext: {{runAsNonRoot: true, runAsUser: 10001, seccompProfile: {{type: RuntimeDefault}}}}
  containers:
    - name: client
      image: localhost/imgflow-api:{tag}
      command: [sleep, "7200"]
      resources: {{requests: {{cpu: 50m, memory: 128Mi}}}}
      securityContext: {{allowPrivilegeEscalation: false, capabilities: {{drop: [ALL]}}}}
"""

Document = dict[str, Any]


def until(what: str, true: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < deadline, f"waited {SECONDS} s in vain: {what}"
        time.sleep(0.5)


def grown(jpeg: bytes, size: int) -> bytes:
    """The same picture in a larger file."""
    comment = b"\xff\xfe\xff\xff" + bytes(0xFFFD)
    return jpeg[:2] + comment * -(-(size - len(jpeg)) // len(comment)) + jpeg[2:]


@dataclass(frozen=True)
class Served:
    """A namespace with the service."""

    namespace: str
    first: tuple[Document, ...] = ()  # its pods when it was new

    def kubectl(self, *arguments: str) -> str:
        return ok("kubectl", "-n", self.namespace, *arguments)

    def pods(self, selector: str) -> list[Document]:
        """Pods that are there, also those about to go."""
        items: list[Document] = json.loads(self.kubectl("get", "pods", "-l", selector, "-o", "json"))["items"]
        return items

    def part(self, name: str) -> list[Document]:
        return self.pods(f"app.kubernetes.io/name=imgflow-{name}")

    def ready(self, part: str) -> None:
        self.kubectl("rollout", "status", f"deployment/imgflow-{part}", f"--timeout={SECONDS}s")

    def upgraded(self, **values: object) -> None:
        """`helm upgrade` with other values, until all pods are ready."""
        told = ",".join(f"{name.replace('__', '.')}={value}" for name, value in values.items())
        flags = ["--reuse-values", "--set", told, "--wait", "--timeout", f"{SECONDS}s"]
        ok("helm", "upgrade", "imgflow", str(CHART), "-n", self.namespace, *flags)

    def gone(self, before: list[Document]) -> None:
        """Wait until the last of these pods is gone, and not only replaced."""
        uids = {pod["metadata"]["uid"] for pod in before}
        until("old pods gone", lambda: not uids & {pod["metadata"]["uid"] for pod in self.pods(ANSWER)})


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The chart with the service and its jobs, and a pod beside it to ask from."""
    file = tmp_path_factory.mktemp("client") / "client.yaml"
    file.write_text(CLIENT.format(tag=TAG), encoding="utf-8")
    with installed(f"{VALUES},{SERVICE}", lambda name: ok("kubectl", "-n", name, "create", "-f", str(file))) as name:
        ok("kubectl", "-n", name, "wait", "pod/client", "--for=condition=Ready", f"--timeout={SECONDS}s")
        # The first processor is the Deployment's, the second one the HorizontalPodAutoscaler's, when it next looks.
        until("two pods of each", lambda: all(len(Served(name).part(part)) == 2 for part in ("api", "processor")))
        yield Served(name, tuple(Served(name).pods(ANSWER)))


@contextmanager
def forwarded(service: Served, target: str, port: int) -> Iterator[str]:
    """`kubectl port-forward`, as docs/service.md has it; the address here."""
    command = ["kubectl", "-n", service.namespace, "port-forward", target, f":{port}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout
        found = re.search(r"127\.0\.0\.1:(\d+)", process.stdout.readline())
        assert found
        try:
            yield f"127.0.0.1:{found[1]}"
        finally:
            process.terminate()


@contextmanager
def load(service: Served, jpeg: bytes, *clients: str, pause: float = 0.0) -> Iterator[dict[str, int]]:
    """Clients in a pod ask for this picture all the time; afterwards it is known how often what was answered."""
    folder = f"/tmp/{uuid4().hex}"

    def within(command: str, data: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        told = ["kubectl", "-n", service.namespace, "exec", "-i", "client", "--", "sh", "-c", command]
        return subprocess.run(told, input=data, capture_output=True, check=False, timeout=SECONDS)

    def put(name: str, data: bytes) -> None:
        done = within(f"mkdir -p {folder} && cat > {folder}/{name}", data)
        assert done.returncode == 0, done.stderr

    put("photo.jpg", jpeg)
    put("load.py", (Path(__file__).parent / "load.py").read_bytes())
    asked = " ".join(["python", f"{folder}/load.py", folder, "imgflow-api", str(pause), *clients])
    within(f"nohup {asked} </dev/null >{folder}/said 2>&1 &")
    until("load", lambda: within(f"test -e {folder}/begun").returncode == 0)
    seen: dict[str, int] = {}
    yield seen
    put("ended", b"")
    until("load has ended", lambda: within(f"test -e {folder}/seen.json").returncode == 0)
    seen.update(json.loads(within(f"cat {folder}/seen.json").stdout))


def spread(part: str, pods: Sequence[Document]) -> bool:
    """Whether a part has two pods that the scheduler keeps apart where it can: it weighs other things as well."""
    mine = [pod["spec"] for pod in pods if pod["metadata"]["name"].startswith(f"imgflow-{part}-")]
    [rule] = {json.dumps(pod["topologySpreadConstraints"], sort_keys=True) for pod in mine}
    [among] = json.loads(rule)
    return len(mine) == 2 and (among["maxSkew"], among["topologyKey"]) == (1, "kubernetes.io/hostname")


def nothing_failed(seen: dict[str, int], *clients: str, least: int = 10) -> None:
    """Every answer of every client was a picture."""
    assert seen.keys() == {f"{client} 200" for client in clients}, seen
    assert min(seen.values()) >= least, seen


def test_a_picture_through_a_forwarded_port_is_what_a_run_makes_of_it(service: Served, tmp_path: Path) -> None:
    [expected] = [picture.data for picture in apply.process(PHOTO, GREY).pictures]
    (tmp_path / "in.jpg").write_bytes(PHOTO)
    with forwarded(service, "service/imgflow-api", 8080) as api:
        answer = httpx.post(f"http://{api}/", content=PHOTO, timeout=60)
        sent = [str(tmp_path / "in.jpg"), str(tmp_path / "out.jpg")]
        done = run(sys.executable, "-m", "imgflow_cli", "send", *sent, "--url", f"http://{api}")
    with forwarded(service, "service/imgflow-processor", 8081) as processor:
        small = httpx.post(f"http://{processor}/process?width=1024&height=768&grayscale=true", content=PHOTO)
    with (
        forwarded(service, "service/imgflow-api", 50051) as api,
        grpc.insecure_channel(api, [("grpc.max_receive_message_length", -1)]) as channel,
    ):
        scale = ImageScalerStub(channel).ScaleImage  # type: ignore[no-untyped-call]
        over = scale(ScaleImageRequest(image=Image(content=PHOTO)), timeout=60).content

    assert done.returncode == 0, done.stderr
    assert answer.headers["X-Imgflow-Processor"].startswith("imgflow-processor-")
    assert [answer.content, small.content, over, (tmp_path / "out.jpg").read_bytes()] == [expected] * 4


def test_all_images_of_the_store_are_looked_at_through_a_forwarded_port(service: Served) -> None:
    service.ready("view")
    with forwarded(service, "service/imgflow-view", 8765) as page:
        looked = httpx.get(f"http://{page}/", timeout=60)
        other = httpx.get(f"http://{page}/", headers={"Host": "photos.example.org"}, timeout=60)

    assert (looked.status_code, other.status_code) == (200, 400)
    assert (
        f"in {service.kubectl('get', 'configmap', 'imgflow-store', '-o', 'jsonpath={.data.IMGFLOW_STORE}')}"
        in looked.text
    )


def test_pods_of_a_part_are_kept_apart_and_one_of_them_may_be_away(service: Served) -> None:
    def budget() -> tuple[int, int, int]:
        status = json.loads(service.kubectl("get", "pdb", f"imgflow-{part}", "-o", "json"))["status"]
        return status["disruptionsAllowed"], status["desiredHealthy"], status["expectedPods"]

    for part in ("api", "processor"):
        assert spread(part, service.first)
        until(f"one pod of {part} may go", lambda: budget() == (1, 1, 2))


def test_a_processor_has_no_store_no_broker_and_no_key_and_may_ask_kubernetes_nothing(service: Served) -> None:
    within = service.kubectl("exec", "deployment/imgflow-processor", "--", "env")
    assert not SECRETS.search(within)
    assert SECRETS.search(service.kubectl("exec", "deployment/imgflow-api", "-c", "api", "--", "env"))
    listing = "import os; print(os.path.exists('/var/run/secrets'), os.access('/', os.W_OK), os.getuid())"
    for part in PARTS:
        said = service.kubectl("exec", f"deployment/imgflow-{part}", "-c", part, "--", "python", "-c", listing)
        assert said.split() == ["False", "False", "10001"]


def test_an_upgrade_replaces_every_pod_under_load_and_no_request_fails(service: Served) -> None:
    clients = ("new", "kept", "grpc")
    before = service.pods(ANSWER)
    with load(service, PHOTO, *clients, pause=0.2) as seen:
        service.upgraded(service__settings__quality=80 + int(time.time()) % 10)
        service.gone(before)
    nothing_failed(seen, *clients)
    assert all(spread(part, service.pods(ANSWER)) for part in ("api", "processor"))


def test_a_node_is_drained_under_load_and_no_request_fails(service: Served) -> None:
    if len(json.loads(ok("kubectl", "get", "nodes", "-o", "json"))["items"]) < 2:
        pytest.skip("there is one node alone, and nowhere to go from it")
    clients = ("new", "kept", "grpc")
    node = service.part("processor")[0]["spec"]["nodeName"]
    drained = [pod for pod in service.pods(ANSWER) if pod["spec"]["nodeName"] == node]
    with load(service, PHOTO, *clients, pause=0.2) as seen:
        try:
            selected = ["--pod-selector", ANSWER, "--delete-emptydir-data", f"--timeout={SECONDS}s"]
            ok("kubectl", "drain", node, *selected)
            service.gone(drained)
            for part in ("api", "processor"):
                service.ready(part)
        finally:
            ok("kubectl", "uncordon", node)
    nothing_failed(seen, *clients)


def kill(service: Served, pod: str) -> None:
    """All processes of a processor at once, as SIGKILL ends them; back when it is ready again."""

    def restarts() -> int:
        [there] = [one for one in service.part("processor") if one["metadata"]["name"] == pod]
        return sum(one["restartCount"] for one in there["status"]["containerStatuses"])

    before = restarts()
    run("kubectl", "-n", service.namespace, "exec", pod, "--", "python", "-c", HOG)
    until(f"{pod} was killed", lambda: restarts() > before)
    service.kubectl("wait", f"pod/{pod}", "--for=condition=Ready", f"--timeout={SECONDS}s")


def test_a_processor_is_killed_under_load_with_large_bodies_and_no_request_fails(service: Served) -> None:
    clients = ("new", "kept", "grpc")
    with load(service, grown(PHOTO, 2_500_000), *clients) as seen:
        kill(service, service.part("processor")[0]["metadata"]["name"])
    nothing_failed(seen, *clients)


@pytest.mark.parametrize("harm", ["its server is restarted", "its pod and all that waited is gone"])
def test_jobs_outlive_their_broker(service: Served, harm: str) -> None:
    photos = [photographs.jpeg(i, 1200, 800) for i in range(IMAGES)]
    files = [("files", (f"{i}.jpg", photo, "image/jpeg")) for i, photo in enumerate(photos)]
    broker = [pod["metadata"] for pod in service.part("valkey")]
    with forwarded(service, "service/imgflow-api", 8080) as api, httpx.Client(base_url=f"http://{api}") as client:
        told = client.post("/process", data={"actions": json.dumps(ACTIONS)}, files=files, timeout=60).json()
        where = told["links"]["self"]
        until("a part of it done", lambda: client.get(where).json()["counts"]["processed"])
        if "gone" in harm:
            service.kubectl("delete", "pod", broker[0]["name"])
        else:
            end = "REDISCLI_AUTH=$PASSWORD valkey-cli shutdown nosave"
            run("kubectl", "-n", service.namespace, "exec", broker[0]["name"], "--", "sh", "-c", end)
        during = client.get(where).json()["counts"]
        until("all of it done", lambda: not client.get(where).json()["counts"]["waiting"])
        done = client.get(where).json()
        made = [client.get(one["href"]).content for one in done["files"][-1]["results"]]

    assert during["waiting"], "everything was done when the fault came"
    assert done["counts"]["processed"] == IMAGES, done
    assert made == [picture.data for picture in apply.process(photos[-1], parse(ACTIONS)).pictures]


def test_processors_are_added_under_load_and_given_back_after_it(service: Served) -> None:
    def replicas() -> int:
        there = json.loads(service.kubectl("get", "deployment", "imgflow-processor", "-o", "json"))
        return (
            int(there["spec"]["replicas"]) if there["status"].get("readyReplicas") == there["spec"]["replicas"] else 0
        )

    def most(count: int) -> None:
        told = json.dumps({"spec": {"maxReplicas": count}})
        service.kubectl("patch", "horizontalpodautoscaler", "imgflow-processor", "-p", told)

    assert replicas() == 2
    clients = ("new",) * 4
    most(4)
    try:
        with load(service, PHOTO, *clients) as seen:
            until("four processors", lambda: replicas() == 4)
        until("two processors", lambda: replicas() == 2)
    finally:
        most(2)
    nothing_failed(seen, "new")
