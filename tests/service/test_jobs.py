"""Some images and some lists of operations in, results a little later: as seed clients of image services send them."""

from __future__ import annotations

import json
import signal
import subprocess
import time
import zipfile
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from tests import photographs
from tests.servers import Proxy, Server
from tests.services import Served, Start, until

from imgflow_service.api.jobs import FOLLOWERS
from imgflow_steps.pipeline import apply
from imgflow_steps.pipeline.model import parse

if TYPE_CHECKING:
    from tests.service.conftest import NewStore

OPERATIONS = {"operations": [["resize", "200x300"], ["split", True], ["blur", "gaussian"]], "output": "png"}
Document = dict[str, Any]


@pytest.fixture(scope="session")
def keeper(start_service: Start, processor: Served, new_store: NewStore) -> Served:
    """A front with a store, of each kind in turn, and no broker, as `imgflow serve` has it."""
    return start_service("api", IMGFLOW_SERVE_API_PROCESSORS=behind(processor), **new_store())


def behind(processor: Served) -> str:
    return f"127.0.0.1:{processor.ports['grpc']}"


def posted(
    front: Served, files: list[tuple[str, bytes]], *actions: Document, wait: float = 60, **headers: str
) -> Document:
    given = [("files", (name, data, "image/jpeg")) for name, data in files]
    answer = front.client.post(
        "/process",
        params={"wait": wait} if wait else None,
        data={"actions": [json.dumps(one) for one in actions]},
        files=given,
        headers=headers,
    )
    assert answer.status_code in {200, 202}, answer.text
    told: Document = answer.json()
    return told


def fetched(front: Served, href: str) -> bytes:
    answer = front.client.get(href)
    assert answer.status_code == 200, answer.text
    return answer.content


def finished(front: Served, job: str) -> Document:
    told: Document = front.client.get(f"/v1/jobs/{job}", params={"wait": 60}).json()
    assert told["counts"]["waiting"] == 0, told
    return told


def test_every_operation_on_every_file_gives_the_bytes_of_a_run(keeper: Served) -> None:
    a, b = photographs.jpeg(1, 640, 480), photographs.jpeg(2, 300, 700)

    told = posted(keeper, [("a.jpg", a), ("b.jpg", b)], OPERATIONS)

    assert told["status"] == "done"
    assert told["counts"] == {"listed": 2, "waiting": 0, "processed": 2, "rejected": 0, "failed": 0, "cancelled": 0}
    for sent, name, file in zip((a, b), ("a", "b"), told["files"], strict=True):
        expected = [one.data for one in apply.process(sent, parse(OPERATIONS), f"{name}.jpg").pictures]
        assert [one["href"].rpartition("/")[2] for one in file["results"]] == [f"{name}-{i}.png" for i in range(4)]
        assert [fetched(keeper, one["href"]) for one in file["results"]] == expected
        assert {Image.open(BytesIO(one)).size for one in expected} == {(100, 150)}
        assert fetched(keeper, file["sent"]) == sent


def test_the_answer_comes_at_once_and_says_where_the_job_is(keeper: Served) -> None:
    files = [("files", ("a.jpg", photographs.jpeg(3, 64, 48), "image/jpeg"))]
    answer = keeper.client.post("/process", data={"actions": json.dumps(OPERATIONS)}, files=files)

    assert answer.status_code == 202
    told = answer.json()
    assert answer.headers["location"] == told["links"]["self"] == f"/v1/jobs/{told['job']}"
    assert finished(keeper, told["job"])["status"] == "done"


def test_operations_may_stand_in_any_order_and_several_actions_are_named_apart(keeper: Served) -> None:
    photo = photographs.jpeg(4, 320, 240)
    first = {"operations": [["split", True], ["resize", "50%"]], "output": "jpg"}
    second = {"operations": [["blur", "median"], ["split", False]], "output": "png"}

    told = posted(keeper, [("a.jpg", photo)], first, second)

    [file] = told["files"]
    names_of = [one["href"].rpartition("/")[2] for one in file["results"]]
    assert names_of == ["a-1-0.jpg", "a-1-1.jpg", "a-1-2.jpg", "a-1-3.jpg", "a-2-0.png"]
    assert [(one["width"], one["height"]) for one in file["results"]] == [(80, 60)] * 4 + [(320, 240)]
    expected = [
        one.data for actions in (first, second) for one in apply.process(photo, parse(actions), "a.jpg").pictures
    ]
    assert [fetched(keeper, one["href"]) for one in file["results"]] == expected


@pytest.mark.parametrize(
    ("size", "expected"), [("200x300", (200, 300)), ("50%", (160, 120)), ("300x", (300, 225)), ("x120", (160, 120))]
)
def test_resize_is_exact_with_two_sides_and_keeps_proportions_with_one(
    keeper: Served, size: str, expected: tuple[int, int]
) -> None:
    told = posted(
        keeper, [("a.jpg", photographs.jpeg(5, 320, 240))], {"operations": [["resize", size]], "output": "jpg"}
    )
    [result] = told["files"][0]["results"]
    assert (result["width"], result["height"]) == expected


def test_what_is_no_picture_is_a_row_of_its_own_and_counts_add_up(keeper: Served) -> None:
    files = [("a.jpg", photographs.jpeg(6, 64, 48)), ("b.jpg", b"no picture"), ("c.jpg", photographs.jpeg(7)[:600])]

    told = posted(keeper, [*files, ("d.jpg", b"")], OPERATIONS)

    assert [file["status"] for file in told["files"]] == ["processed", "rejected", "rejected", "rejected"]
    assert [told["files"][at]["code"] for at in (1, 3)] == ["unsupported-format", "empty"]
    counts = told["counts"]
    assert counts["listed"] == sum(count for name, count in counts.items() if name != "listed") == 4
    assert told["status"] == "done"


def test_all_faults_of_all_operations_are_told_with_their_places(keeper: Served) -> None:
    wrong = {"operations": [["blur", "gaussian|updownsampling|bilateral|median"], ["splitt", True]], "output": "jpg"}
    answer = keeper.client.post(
        "/process", data={"actions": json.dumps(wrong)}, files=[("files", ("a.jpg", b"x", "image/jpeg"))]
    )
    assert answer.status_code == 400
    told = answer.json()
    assert told["code"] == "bad-pipeline"
    assert [fault["place"] for fault in told["faults"]] == ["operations.0.blur.kind", "operations.1"]
    assert "'gaussian', 'updownsampling', 'bilateral' or 'median'" in told["detail"]


@pytest.mark.parametrize(
    ("data", "files", "said"),
    [
        ({}, [("files", ("a.jpg", b"x"))], "no actions"),
        ({"actions": "{}"}, [], "multipart"),
        ({"actions": "{"}, [("files", ("a.jpg", b"x"))], "not JSON"),
        ({"actions": '{"output": "png", "output": "jpg"}'}, [("files", ("a.jpg", b"x"))], "'output' is given twice"),
        ({"actions": json.dumps(OPERATIONS)}, [("file", ("a.jpg", b"x"))], "send it as files"),
    ],
    ids=str,
)
def test_a_form_that_lacks_something_is_told_what(keeper: Served, data: Any, files: Any, said: str) -> None:
    answer = keeper.client.post("/process", data=data, files=files)
    assert answer.status_code == 400
    assert said in answer.json()["detail"]


def test_a_field_for_files_that_was_left_empty_is_no_file(keeper: Served) -> None:
    field = b'--x\r\nContent-Disposition: form-data; name="%s"'
    actions = field % b"actions" + b"\r\n\r\n" + json.dumps(OPERATIONS).encode() + b"\r\n"
    empty = field % b"files" + b'; filename=""\r\nContent-Type: application/octet-stream\r\n\r\n\r\n'
    form = {"content-type": "multipart/form-data; boundary=x"}

    answer = keeper.client.post("/process", content=actions + empty + b"--x--\r\n", headers=form)

    assert answer.status_code == 400
    assert "no files" in answer.json()["detail"]


def test_the_same_idempotency_key_is_the_same_job_and_another_request_is_refused(keeper: Served) -> None:
    files = [("a.jpg", photographs.jpeg(8, 64, 48))]
    first = posted(keeper, files, OPERATIONS, **{"Idempotency-Key": "once"})
    again = posted(keeper, files, OPERATIONS, **{"Idempotency-Key": "once"})
    assert first["job"] == again["job"]
    assert posted(keeper, files, OPERATIONS)["job"] != first["job"]

    answer = keeper.client.post(
        "/process",
        data={"actions": json.dumps(OPERATIONS)},
        files=[("files", ("b.jpg", b"x"))],
        headers={"Idempotency-Key": "once"},
    )
    assert answer.status_code == 400
    assert "Idempotency-Key" in answer.json()["detail"]


def test_static_has_a_page_for_people_and_a_document_for_programs(keeper: Served) -> None:
    hostile = "<script>alert(1)</script>.jpg"
    told = posted(keeper, [("a.jpg", photographs.jpeg(9, 64, 48)), (hostile, photographs.jpeg(10, 64, 48))], OPERATIONS)

    index = keeper.client.get("/static/")
    assert index.headers["content-type"].startswith("text/html")
    assert told["links"]["results"] in index.text
    page = keeper.client.get(told["links"]["results"])
    assert "<script" not in page.text
    assert page.text.count("<img") == 2 + 8
    listed = keeper.client.get("/static/", headers={"Accept": "application/json"}).json()["jobs"]
    assert told["job"] in [one["job"] for one in listed]
    for result in told["files"][1]["results"]:
        assert Image.open(BytesIO(fetched(keeper, result["href"]))).format == "PNG"
    for missing in (f"/static/{told['job']}/nothing.png", "/static/0/a.png", f"/static/{told['job']}/..%2fjob.json"):
        assert keeper.client.get(missing).status_code == 404


def test_events_tell_of_a_job_until_it_is_done(keeper: Served) -> None:
    told = posted(keeper, [(f"{i}.jpg", photographs.jpeg(i, 640, 480)) for i in range(6)], OPERATIONS, wait=0)
    with keeper.client.stream("GET", told["links"]["events"]) as answer:
        text = "".join(answer.iter_text())
    events = [block.split("\n") for block in text.strip().split("\n\n")]
    assert events[-1][0] == "event: done"
    assert json.loads(events[-1][1].removeprefix("data: "))["counts"]["processed"] == 6


def test_only_so_many_clients_follow_jobs_at_a_time(start_service: Start, tmp_path: Path) -> None:
    front = start_service("api", IMGFLOW_SERVE_API_PROCESSORS="127.0.0.1:1", IMGFLOW_STORE=str(tmp_path))
    told = posted(front, [("a.jpg", photographs.jpeg(1, 64, 48))], OPERATIONS, wait=0)
    job, events = told["links"]["self"], told["links"]["events"]

    with ExitStack() as following:
        streams = [following.enter_context(front.client.stream("GET", events)).iter_bytes() for _ in range(FOLLOWERS)]
        for stream in streams:
            next(stream)
        refused = front.client.get(events)
        began = time.monotonic()
        waited = front.client.get(job, params={"wait": 20})
        seconds = time.monotonic() - began

    assert (refused.status_code, refused.json()["code"]) == (503, "busy")
    assert (waited.status_code, waited.json()["status"]) == (200, told["status"])
    assert seconds < 15, "who finds no place is answered at once"
    until(lambda: follows(front, events))  # places are given back


def follows(front: Served, events: str) -> bool:
    with front.client.stream("GET", events) as answer:
        return answer.status_code == 200


def test_all_pictures_come_as_one_archive(keeper: Served) -> None:
    told = posted(
        keeper, [("a.jpg", photographs.jpeg(11, 64, 48)), ("a.png", photographs.jpeg(12, 64, 48))], OPERATIONS
    )
    with zipfile.ZipFile(BytesIO(fetched(keeper, told["links"]["zip"]))) as archive:
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == sorted(
            [f"a-{i}.png" for i in range(4)] + [f"a~2-{i}.png" for i in range(4)]
        )


def test_jobs_come_in_pages_the_newest_first(keeper: Served) -> None:
    mine = [posted(keeper, [("a.jpg", photographs.jpeg(13, 64, 48))], OPERATIONS)["job"] for _ in range(3)]
    first = keeper.client.get("/v1/jobs", params={"limit": 2}).json()
    second = keeper.client.get(first["next"]).json()
    assert [one["job"] for one in first["jobs"]] == mine[:0:-1]
    assert second["jobs"][0]["job"] == mine[0]


@pytest.mark.parametrize(("path", "name"), [("/v1/jobs?limti=2", "limti"), ("/v1/jobs/none?limit=2", "limit")])
def test_a_parameter_that_jobs_do_not_know_is_refused_by_name(keeper: Served, path: str, name: str) -> None:
    told = posted(keeper, [("a.jpg", photographs.jpeg(16, 64, 48))], OPERATIONS)
    answer = keeper.client.get(path.replace("none", told["job"]))
    assert (answer.status_code, answer.json()["code"]) == (400, "bad-request")
    assert repr(name) in answer.json()["detail"]


def test_a_service_without_a_store_says_that_it_has_no_jobs(front: Served) -> None:
    assert front.client.get("/v1/jobs").status_code == 404
    assert "IMGFLOW_STORE" in front.client.get("/static/").json()["detail"]


def test_jobs_that_an_end_left_open_are_done_after_the_next_start(
    start_service: Start, processor: Served, new_store: NewStore
) -> None:
    nowhere = {"IMGFLOW_SERVE_API_PROCESSORS": "127.0.0.1:1", **new_store()}
    first = start_service("api", **nowhere, IMGFLOW_SERVE_DRAIN_GRACE="0")
    told = posted(
        first, [("a.jpg", photographs.jpeg(14, 64, 48)), ("b.jpg", photographs.jpeg(15, 64, 48))], OPERATIONS, wait=0
    )
    first.end(signal.SIGKILL)

    second = start_service("api", **{**nowhere, "IMGFLOW_SERVE_API_PROCESSORS": behind(processor)})

    assert finished(second, told["job"])["counts"]["processed"] == 2


def test_a_job_that_is_damaged_keeps_neither_the_service_nor_another_job_from_beginning(
    start_service: Start, processor: Served, tmp_path: Path
) -> None:
    nowhere = {"IMGFLOW_SERVE_API_PROCESSORS": "127.0.0.1:1", "IMGFLOW_STORE": str(tmp_path)}
    first = start_service("api", **nowhere, IMGFLOW_SERVE_DRAIN_GRACE="0")
    photo = photographs.jpeg(14, 64, 48)
    damaged, whole = (posted(first, [("a.jpg", photo)], OPERATIONS, wait=0) for _ in range(2))
    first.end(signal.SIGKILL)
    (tmp_path / "jobs" / damaged["job"] / "job.json").write_bytes(b"{")

    second = start_service("api", **{**nowhere, "IMGFLOW_SERVE_API_PROCESSORS": behind(processor)})

    assert finished(second, whole["job"])["counts"]["processed"] == 1


def test_a_store_that_is_away_at_the_start_costs_no_picture_without_a_job_and_jobs_are_told_to_come_again(
    start_service: Start, processor: Served, moto_server: Server
) -> None:
    proxy = Proxy(moto_server)
    told = {**moto_server.behind(proxy).environment, "IMGFLOW_STORE": moto_server.new_bucket()}
    proxy.rule = lambda *_: "503"
    try:
        front = start_service("api", IMGFLOW_SERVE_API_PROCESSORS=behind(processor), **told)
        answer = front.client.post("/v1/images", content=photographs.jpeg(14, 64, 48))
        refused = front.client.get("/v1/jobs")
        front.end(signal.SIGKILL)
    finally:
        proxy.close()

    assert answer.status_code == 200, answer.text
    assert (refused.status_code, refused.json()["code"]) == (503, "busy")
    assert int(refused.headers["retry-after"]) >= 1


def test_a_store_that_refuses_for_a_while_costs_no_image_of_a_job(
    start_service: Start, processor: Served, moto_server: Server
) -> None:
    proxy = Proxy(moto_server)
    told = {**moto_server.behind(proxy).environment, "IMGFLOW_STORE": moto_server.new_bucket()}
    front = start_service("api", IMGFLOW_SERVE_API_PROCESSORS=behind(processor), **told)
    refused: list[str] = []

    def rule(method: str, path: str) -> str:
        """The first requests for results and rows are refused, more of them than a client tries again by itself."""
        if method == "PUT" and ("/results/" in path or "/rows/" in path) and len(refused) < 20:
            refused.append(path)
            return "503"
        return ""

    proxy.rule = rule
    try:
        files = [(f"{i}.jpg", photographs.jpeg(i, 64, 48)) for i in range(3)]
        job = posted(front, files, OPERATIONS, wait=0)["job"]
        done = finished(front, job)
    finally:
        front.end(signal.SIGKILL)
        proxy.close()

    assert len(refused) == 20
    assert front.logged("again")
    assert done["counts"]["processed"] == 3
    assert len({one["href"] for file in done["files"] for one in file["results"]}) == 12


def test_a_job_that_is_cancelled_does_not_begin_and_its_counts_add_up(
    start_service: Start, new_store: NewStore
) -> None:
    nowhere = {"IMGFLOW_SERVE_API_PROCESSORS": "127.0.0.1:1", **new_store()}
    nowhere |= {"IMGFLOW_SERVE_TIMEOUT": "1", "IMGFLOW_SERVE_JOBS_CONCURRENCY": "1"}
    front = start_service("api", **nowhere, IMGFLOW_SERVE_DRAIN_GRACE="0")
    files = [(f"{i}.jpg", photographs.jpeg(i, 64, 48)) for i in range(4)]
    told = posted(front, files, OPERATIONS, wait=0)
    answer = front.client.delete(told["links"]["self"])
    assert answer.status_code == 200
    done = finished(front, told["job"])
    assert done["counts"]["cancelled"] + done["counts"]["failed"] == 4
    assert done["counts"]["cancelled"] >= 3


def test_the_command_of_the_documentation_makes_a_job(keeper: Served, tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs/service.md").read_text()
    [command] = [block for block in text.split("```") if "/process\n" in block and block.startswith("sh\ncurl")]
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(photographs.jpeg(1, 640, 480))
    told = (
        command.removeprefix("sh\n")
        .replace("http://127.0.0.1:8080", keeper.url())
        .replace("curl ", "curl -sS --noproxy '*' ", 1)
    )
    done = subprocess.run(["bash", "-ec", told], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert finished(keeper, json.loads(done.stdout)["job"])["counts"]["processed"] == 2
