"""imgflow doctor on this machine: what is wrong here, and with a run of the local engine."""

from __future__ import annotations

import time
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests import clusters, photographs, servers

from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.records import keys
from imgflow_steps.records.run import Run, save
from imgflow_steps.store import Store, UnavailableError
from imgflow_workflows.doctor import machine
from imgflow_workflows.engines.local import LocalEngine
from imgflow_workflows.runs import state
from imgflow_workflows.submit.default import DEFAULT

if TYPE_CHECKING:
    from tests.cli.conftest import Cli, Outcome


def states(done: Outcome) -> dict[str, str]:
    return {check["name"]: check["state"] for check in done.json["checks"]}


def seen(done: Outcome, name: str) -> str:
    [found] = [check["seen"] for check in done.json["checks"] if check["name"] == name]
    return str(found)


def causes(done: Outcome) -> list[str]:
    return [finding["cause"] for finding in done.json["findings"]]


def installed(monkeypatch: pytest.MonkeyPatch, **versions: str) -> None:
    """Only these distributions of ONNX Runtime."""

    def version(name: str) -> str:
        if name in versions:
            return versions[name]
        raise PackageNotFoundError(name)

    monkeypatch.setattr(machine, "version", version)


def test_a_machine_that_is_well_has_nothing_wrong_and_nothing_new_on_it(
    imgflow: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(monkeypatch, onnxruntime=machine.ONNX_RUNTIME)

    done = imgflow("doctor", "-o", "json")

    assert (done.code, done.json["ok"]) == (0, True)
    assert states(done) == dict.fromkeys(("store", "space", "libraries", "models", "confinement", "workers"), "ok")
    assert list(tmp_path.iterdir()) == []


def test_what_people_read_names_each_check_and_what_mends_it(imgflow: Cli) -> None:
    done = imgflow("doctor", "--workers", "1024")

    assert done.code == 0
    assert done.out.splitlines()[0].split() == ["CHECK", "STATE", "SEEN"]
    assert "workers: to fix it\n  --workers" in done.out


def test_a_store_that_cannot_be_is_wrong(imgflow: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no directory")

    done = imgflow("doctor", "--store", "./file/store", "-o", "json")

    assert (done.code, states(done)["store"]) == (1, "wrong")


def test_a_full_disk_is_told_before_a_run_finds_out(imgflow: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        free = 1_000_000

    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage)

    done = imgflow("doctor", "-o", "name")

    assert (done.code, done.out) == (1, "space\n")


def test_a_library_that_does_not_work_is_wrong(imgflow: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise ImportError("libonnxruntime.so: cannot open shared object file")

    monkeypatch.setattr(LocalEngine, "submit", broken)

    done = imgflow("doctor", "-o", "json")

    assert (done.code, states(done)["libraries"]) == (1, "wrong")
    assert "libonnxruntime.so" in seen(done, "libraries")


@pytest.mark.parametrize(
    ("versions", "words"),
    [
        ({"onnxruntime": "0.0.1"}, "onnxruntime 0.0.1; boxes may differ"),
        ({"onnxruntime": machine.ONNX_RUNTIME, "onnxruntime-gpu": machine.ONNX_RUNTIME}, "onnxruntime-gpu "),
        ({"onnxruntime-gpu": machine.ONNX_RUNTIME}, "onnxruntime-gpu "),
    ],
)
def test_another_onnx_runtime_than_that_of_the_containers_is_told(
    imgflow: Cli, monkeypatch: pytest.MonkeyPatch, versions: dict[str, str], words: str
) -> None:
    installed(monkeypatch, **versions)

    done = imgflow("doctor", "-o", "json")

    assert (done.code, states(done)["models"]) == (0, "ok")
    assert words in seen(done, "models")
    assert f"which have onnxruntime=={machine.ONNX_RUNTIME}" in seen(done, "models")


def test_without_an_onnx_runtime_doctor_warns_and_says_which_to_install(
    imgflow: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(monkeypatch)

    done = imgflow("doctor", "-o", "json")

    assert (done.code, done.json["ok"], states(done)["models"]) == (0, True, "warning")
    assert f"pip install onnxruntime=={machine.ONNX_RUNTIME}" in done.out


@pytest.mark.minio
@pytest.mark.parametrize(
    ("variable", "value", "word"),
    [
        ("AWS_SECRET_ACCESS_KEY", "wrong-and-never-shown", "SignatureDoesNotMatch"),
        ("AWS_ACCESS_KEY_ID", "nobody", "InvalidAccessKeyId"),
        ("", "", "NoSuchBucket"),
    ],
)
def test_a_store_that_refuses_is_told_by_its_own_word(
    imgflow: Cli, minio_server: servers.Server, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, word: str
) -> None:
    for name, right in minio_server.environment.items():
        monkeypatch.setenv(name, value if name == variable else right)

    done = imgflow("doctor", "--store", "s3://not-there", "-o", "json")

    assert (done.code, states(done)["store"]) == (1, "wrong")
    assert word in seen(done, "store")
    assert "never-shown" not in done.out + done.err


@pytest.mark.minio
def test_a_bucket_that_can_be_used_is_ok_and_left_empty(imgflow: Cli, minio_store: Store) -> None:
    done = imgflow("doctor", "--store", minio_store.url, "-o", "json")

    assert (done.code, states(done)["store"]) == (0, "ok")
    assert list(minio_store.entries()) == []


def test_without_a_cluster_the_first_check_says_so(imgflow: Cli) -> None:
    done = imgflow("doctor", "--engine", "argo", "-o", "json")

    assert (done.code, states(done)) == (5, {"cluster": "wrong"})


def test_where_the_cluster_does_not_tell_the_store_none_is_named(imgflow: Cli) -> None:
    done = imgflow("doctor", "--engine", "argo", "-n", "photos")

    assert done.err.splitlines()[0] == "engine argo in namespace photos, store unknown"


def test_a_context_that_the_kubeconfig_lacks_is_no_cluster_that_is_away(
    imgflow: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with clusters.api(tmp_path) as served:
        clusters.use(served.kubeconfig, monkeypatch)
        done = imgflow("doctor", "--engine", "argo", "--kube-context", "staging", "-o", "json")

    assert done.code == 1
    assert "has no context 'staging'" in seen(done, "cluster")


def a_run(store: Store, **changes: Any) -> Run:
    """A run of the municipality Demo that nothing has been done for."""
    known = {"id": "demo", "municipality": "Demo", "pipeline": DEFAULT, "created": time.time(), "engine": "local"}
    run = Run.model_validate(known | changes)
    save(store, run)
    return run


def test_a_run_that_went_well_gives_no_finding(imgflow: Cli, store: Store) -> None:
    store.write(keys.images("Demo") + "a.jpg", photographs.jpeg(1))
    assert imgflow("submit", "-m", "Demo", "--run", "well", "-q").code == 0

    done = imgflow("doctor", "well", "-o", "json")

    assert (done.code, causes(done)) == (0, [])
    assert "Nothing is wrong with it." in imgflow("doctor", "@latest").out


def test_too_many_rejected_images_are_told_by_their_codes(imgflow: Cli, demo: Store) -> None:
    assert imgflow("submit", "-m", "Demo", "--run", "bad", "--max-rejected", "0", "-q").code == 4

    done = imgflow("doctor", "bad", "-o", "json")

    assert (done.code, causes(done)) == (1, ["too-many-rejected"])
    assert [one["reason"] for one in done.json["findings"][0]["evidence"]] == ["unsupported-format: 1 image"]


@pytest.mark.parametrize(
    ("fault", "code", "cause", "mend"),
    [
        (
            BadParametersError("no model"),
            2,
            "bad-parameters",
            "imgflow submit …  # with others: this run can never work",
        ),
        (UnavailableError("disk full"), 5, "run-failed", "imgflow retry lost"),
    ],
    ids=str,
)
def test_a_run_that_gave_up_before_its_end_says_why(
    imgflow: Cli, demo: Store, monkeypatch: pytest.MonkeyPatch, fault: Exception, code: int, cause: str, mend: str
) -> None:
    def give_up(*_: Any) -> None:
        raise fault

    monkeypatch.setattr(LocalEngine, "submit", give_up)
    assert imgflow("submit", "-m", "Demo", "--run", "lost", "-q").code == code

    done = imgflow("doctor", "lost", "-o", "json")

    [found] = done.json["findings"]
    assert (done.code, found["cause"], found["mend"]) == (1, cause, [mend])
    assert found["evidence"][0]["message"] == str(fault)


def test_a_run_whose_process_is_gone_was_interrupted(imgflow: Cli, demo: Store) -> None:
    a_run(demo, created=time.time() - state.SILENCE - 3 * DEFAULT.limits.seconds)

    done = imgflow("doctor", "demo", "-o", "json")

    assert (done.code, causes(done)) == (1, ["interrupted"])
    assert done.json["findings"][0]["mend"] == ["imgflow retry demo  # resumes"]


@pytest.mark.minio
def test_a_store_that_is_gone_is_why_nothing_can_be_known_of_a_run(
    imgflow: Cli, minio_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMGFLOW_S3_ENDPOINT", "http://127.0.0.1:1")

    done = imgflow("doctor", "demo", "--store", minio_store.url, "-o", "json")

    assert (done.code, causes(done)) == (5, ["store-away"])
    assert "127.0.0.1:1" in done.json["findings"][0]["evidence"][0]["message"]
    assert imgflow("doctor", "@latest", "--store", minio_store.url).code == 5


def test_a_run_that_nobody_knows_is_no_finding(imgflow: Cli, demo: Store) -> None:
    done = imgflow("doctor", "nobody", "-o", "json")

    assert (done.code, done.json["error"]["code"]) == (2, "usage")
