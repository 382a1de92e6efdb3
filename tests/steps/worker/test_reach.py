"""What a process that decodes photographs of strangers could steal: looked at from outside, and tried from inside."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import certifi
import pytest
from tests import photographs

from imgflow_steps.records import keys
from imgflow_steps.store import Store, StoreError, open_store
from imgflow_steps.worker import landlock, reach, refused
from imgflow_steps.worker.processes import Processes
from imgflow_steps.worker.reach import Reach

SECRET = "a-secret-that-nobody-may-read"

has_landlock = pytest.mark.skipif(not landlock.version(), reason="this kernel has no Landlock (Linux 5.13 or newer)")
has_seccomp = pytest.mark.skipif(not refused.is_available(), reason="no filter of system calls for this machine")


def own_number() -> int:
    return os.getpid()


def opened(path: str, mode: str) -> str:
    try:
        with Path(path).open(mode) as file:
            return str(file.read()) if mode == "rb" else "written"
    except OSError as error:
        return type(error).__name__


def stored(url: str, key: str) -> int:
    return len(open_store(url).read(key))


def wrote(url: str, key: str) -> str:
    try:
        open_store(url).write(key, b"taken over")
    except StoreError as error:
        return type(error).__name__
    return "written"


def connected(address: tuple[str, int]) -> str:
    try:
        with socket.create_connection(address, timeout=10):
            return "connected"
    except OSError as error:
        return type(error).__name__


def started(*command: str) -> str:
    try:
        return str(subprocess.run(command, check=True, capture_output=True).returncode)
    except OSError as error:
        return type(error).__name__


def variable(name: str) -> str | None:
    return os.environ.get(name)


class Computing:
    """One computing process."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self.pid = self.does(own_number)

    def does(self, work: Callable[..., Any], *args: Any) -> Any:
        return self._processes.schedule(work, False, *args).result()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = open_store(str(tmp_path / "store"))
    store.write(keys.images("Demo") + "a.jpg", photographs.jpeg(1))
    return store


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "IMGFLOW_NOTIFY_SECRET", "GITHUB_TOKEN"):
        monkeypatch.setenv(name, SECRET)


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


@pytest.fixture
def of_a_directory(store: Store, scratch: Path) -> Iterator[Computing]:
    with Processes(1, 2 << 30, "imgflow_steps.worker.loop", Reach.of(store.url).also(scratch)) as processes:
        yield Computing(processes)


def test_its_environment_and_memory_hold_no_secret_where_the_store_is_a_directory(of_a_directory: Computing) -> None:
    began_with = Path(f"/proc/{of_a_directory.pid}/environ").read_text()

    assert "PATH=" in began_with
    assert SECRET not in began_with
    assert of_a_directory.does(variable, "AWS_SECRET_ACCESS_KEY") is None


def test_what_it_begins_with_is_clean_where_the_store_is_s3_and_only_the_stores_key_comes_later(tmp_path: Path) -> None:
    with Processes(1, 2 << 30, "imgflow_steps.worker.loop", Reach.of("s3://bucket").also(tmp_path)) as processes:
        computing = Computing(processes)

        assert SECRET not in Path(f"/proc/{computing.pid}/environ").read_text()
        assert computing.does(variable, "AWS_SECRET_ACCESS_KEY") == SECRET
        assert computing.does(variable, "IMGFLOW_NOTIFY_SECRET") is None
        assert computing.does(variable, "GITHUB_TOKEN") is None


@pytest.mark.parametrize("variable_of_it", ["AWS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_where_the_store_is_s3_it_trusts_whom_the_machine_trusts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable_of_it: str
) -> None:
    bundle = tmp_path / ".private" / "ca.pem"
    bundle.parent.mkdir()
    bundle.write_bytes(Path(certifi.where()).read_bytes())
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    monkeypatch.setenv(variable_of_it, str(bundle))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "elsewhere"))
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / "elsewhere").mkdir()
    with Processes(
        1, 2 << 30, "imgflow_steps.worker.loop", Reach.of("s3://bucket").also(tmp_path / "elsewhere")
    ) as processes:
        computing = Computing(processes)

        assert computing.does(variable, "AWS_CA_BUNDLE") == str(bundle)
        assert computing.does(opened, str(bundle), "rb") == str(bundle.read_bytes())


def test_where_the_store_is_s3_it_reads_the_shard_that_was_brought_to_this_machine(tmp_path: Path) -> None:
    (tmp_path / "in.tar").write_text("shard")
    (tmp_path / "own").mkdir()
    with Processes(
        1, 2 << 30, "imgflow_steps.worker.loop", Reach.of("s3://bucket").also(tmp_path / "own")
    ) as processes:
        assert Computing(processes).does(opened, str(tmp_path / "in.tar"), "rb") == "b'shard'"


def test_it_has_inherited_no_connection_and_no_file_of_whoever_started_it(store: Store, scratch: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, (scratch / "private").open("w") as private:
        os.set_inheritable(listening.fileno(), True)  # as libraries leave them
        os.set_inheritable(private.fileno(), True)
        with Processes(1, 2 << 30, "imgflow_steps.worker.loop", Reach.of(store.url)) as processes:
            pid = Computing(processes).pid
            held = [str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir()]

    assert not [name for name in held if name.startswith("socket:") or name.endswith("private")]


@has_seccomp
def test_it_connects_to_nobody_and_starts_no_program(of_a_directory: Computing) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        assert of_a_directory.does(connected, listening.getsockname()) == "PermissionError"
    assert of_a_directory.does(started, "/bin/true") == "PermissionError"
    assert "Seccomp:\t2" in Path(f"/proc/{of_a_directory.pid}/status").read_text()
    assert "NoNewPrivs:\t1" in Path(f"/proc/{of_a_directory.pid}/status").read_text()


@has_landlock
def test_of_a_store_on_s3_it_reaches_the_stores_port_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if landlock.version() < 4:
        pytest.skip("this kernel's Landlock knows no ports (Linux 6.7 or newer)")
    with socket.create_server(("127.0.0.1", 0)) as there, socket.create_server(("127.0.0.1", 0)) as elsewhere:
        monkeypatch.setenv("IMGFLOW_S3_ENDPOINT", f"http://127.0.0.1:{there.getsockname()[1]}")
        with Processes(1, 2 << 30, "imgflow_steps.worker.loop", Reach.of("s3://bucket").also(tmp_path)) as processes:
            computing = Computing(processes)

            assert computing.does(connected, there.getsockname()) == "connected"
            assert computing.does(connected, elsewhere.getsockname()) == "PermissionError"


@has_landlock
def test_it_reads_photographs_and_writes_results_but_never_photographs(
    of_a_directory: Computing, store: Store, scratch: Path, tmp_path: Path
) -> None:
    photograph = keys.images("Demo") + "a.jpg"

    assert of_a_directory.does(stored, store.url, photograph) == len(photographs.jpeg(1))
    assert of_a_directory.does(wrote, store.url, "results/Demo/0123456789abcdef/images/a.jpg") == "written"
    assert of_a_directory.does(opened, str(scratch / "own"), "w") == "written"
    assert of_a_directory.does(wrote, store.url, photograph) == "DeniedError"
    assert of_a_directory.does(opened, str(tmp_path / "elsewhere"), "w") == "PermissionError"
    assert store.read(photograph) == photographs.jpeg(1)


@has_landlock
def test_it_reads_neither_keys_in_a_home_directory_nor_what_other_processes_have(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    for name in (".aws/credentials", "Pictures/a.jpg"):
        (home / name).parent.mkdir(parents=True)
        (home / name).write_text("some")
    monkeypatch.setenv("HOME", str(home))
    with Processes(1, 2 << 30, "imgflow_steps.worker.loop", Reach.of(store.url)) as processes:
        computing = Computing(processes)

        assert computing.does(opened, str(home / ".aws/credentials"), "rb") == "PermissionError"
        assert computing.does(opened, str(home / "Pictures/a.jpg"), "rb") == "b'some'"
        assert computing.does(opened, f"/proc/{os.getpid()}/environ", "rb") == "PermissionError"
        assert computing.does(opened, f"/proc/{os.getpid()}/mem", "rb") == "PermissionError"


def test_whoever_looks_for_the_cause_of_trouble_can_switch_it_off(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(reach.CONFINE, "off")
    with Processes(1, 2 << 30, "imgflow_steps.worker.loop", Reach.of(store.url)) as processes:
        computing = Computing(processes)

        assert computing.does(variable, "GITHUB_TOKEN") == SECRET
        assert computing.does(opened, str(tmp_path / "anywhere"), "w") == "written"


def test_a_path_that_is_not_secret_is_covered_and_one_that_is_is_not(tmp_path: Path) -> None:
    for name in ("a/b/secret", "a/b/open", "a/c", "d"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "a/b/secret")

    covered = landlock.around([tmp_path / "a/b/secret"], tmp_path)

    assert covered == [str(tmp_path / name) for name in ("a/b/open", "a/c", "d")]
    assert landlock.around([], tmp_path) == [str(tmp_path)]


def test_processes_without_a_store_are_told_what_they_need_where_there_is_no_client_of_one() -> None:
    without = "import sys; sys.modules['minio'] = None; "
    tell = without + "from imgflow_steps.worker.reach import Reach; print(Reach().teller({})())"
    assert subprocess.run([sys.executable, "-c", tell], capture_output=True, text=True, check=True).stdout == "{}\n"
