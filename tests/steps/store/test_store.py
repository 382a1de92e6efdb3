"""What every store does, whatever it is kept in."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tests.conftest import KINDS_IN_SHORT
from tests.thorough import THOROUGH, examples

from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.store import ChangedError, KeyRefusedError, NotFoundError, Store, UnavailableError, open_store
from imgflow_steps.store.names import unstorable
from imgflow_steps.store.versions import PART

AWKWARD = [
    "with space.jpg",
    " .jpg",
    "a+b.jpg",
    "100%.jpg",
    "a%2Fb.jpg",
    "quote'\".jpg",
    "<xml>&amp;.jpg",
    "back\\slash?.jpg",
    "#fragment?query=1&x=2.jpg",
    "tab\tbell\x07return\r.jpg",
    "two\nlines.jpg",
    "\uffff.jpg",
    "åäö/Östra Göinge.jpg",
    "a\u030a decomposed.jpg",
    "日本/💥.jpg",
    "{{=1+1}}'; rm -rf ~ #.jpg",
    "-rf",
    "~/x",
    ".hidden/..x/...",
    "x" * 255,
    "å" * 127 + "/" + "y" * 255,
    "/".join("abcdefgh" * 10),
]

NO_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # https://www.w3.org/TR/xml/#charsets

segment = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=12)
key = st.lists(segment, min_size=1, max_size=4).map("/".join)


def fresh(store: Store) -> Store:
    """An empty store of the same kind, for each example of a property."""
    return open_store(f"{store.url}/{uuid4().hex}")


def fits(request: pytest.FixtureRequest, *names: str) -> bool:
    """Whether the server can hold these.

    moto's URL routes match no line ends; MinIO takes a backslash for a slash where it looks for "." and ".."; versitygw
    lists names in plain XML, also where it is asked to encode them, and so has a U+FFFD for what XML cannot hold.
    """
    if "[moto" in request.node.name:
        return not any("\n" in name for name in names)
    if "[versitygw" in request.node.name:
        return not any(NO_XML.search(name) for name in names)
    parts = {part for name in names for part in name.replace("\\", "/").split("/")}
    return "[minio" not in request.node.name or not parts & {".", ".."}


def listed(store: Store, prefix: str = "") -> list[str]:
    return [found.key for found in store.entries(prefix)]


def clash(names: Iterable[str]) -> bool:
    """Whether one name is a folder of another, which a directory cannot hold."""
    known = set(names)
    return any(name[:i] in known for name in known for i, c in enumerate(name) if c == "/")


def write_all(store: Store, names: Iterable[str]) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: store.write(name, name.encode()), names))


properties = settings(examples(25), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def test_what_is_written_is_read(store: Store) -> None:
    store.write("a/b.jpg", b"first", "image/jpeg")
    store.write("a/b.jpg", b"second")
    store.write("empty", b"")

    assert store.read("a/b.jpg") == b"second"
    assert store.read("empty") == b""


def test_what_is_not_there_is_none_or_a_typed_error(store: Store, tmp_path: Path) -> None:
    store.write("a/b", b"x")

    for absent in ("a", "a/c", "a/b/c", "z"):
        assert store.stat(absent) is None
        with pytest.raises(NotFoundError, match=absent):
            store.read(absent)
        with pytest.raises(NotFoundError):
            store.download(absent, tmp_path / "x")
    assert list(tmp_path.glob("*x*")) == []


def test_an_empty_store_is_empty(store: Store) -> None:
    assert listed(store) == []
    assert list(store.folders()) == []
    assert list(store.folders("runs/")) == []


def test_stat_read_and_listing_agree_on_the_version(store: Store) -> None:
    store.write("a", b"12345")
    [found] = store.entries()

    assert store.stat("a") == found
    assert found.bytes == 5
    assert '"' not in found.version
    assert store.read("a", found.version) == b"12345"


def test_another_version_than_the_one_asked_for_is_never_read(store: Store) -> None:
    store.write("a", b"old")
    [old] = store.entries()
    store.write("a", b"new!")

    with pytest.raises(ChangedError, match="'a'"):
        store.read("a", old.version)


@pytest.mark.parametrize("name", AWKWARD, ids=ascii)
def test_awkward_names_come_back_as_they_were(store: Store, request: pytest.FixtureRequest, name: str) -> None:
    if not fits(request, name):
        pytest.skip("this server does not list such a name as it is")
    store.write(name, b"x")

    assert listed(store) == [name]
    assert store.read(name) == b"x"
    [top] = list(store.folders()) or [None]
    assert top == (name.partition("/")[0] if "/" in name else None)
    store.delete([name])
    assert listed(store) == []


@pytest.mark.parametrize(
    "name", ["", "/", "/abs", "a//b", "a/", ".", "..", "a/../b", "./a", "nul\0", "\udcff", "x" * 256]
)
def test_impossible_names_are_refused_by_name(store: Store, name: str) -> None:
    for use in (store.stat, store.read, lambda key: store.write(key, b""), lambda key: store.delete([key])):
        with pytest.raises(KeyRefusedError) as refusal:
            use(name)
        assert repr(name) in str(refusal.value)


@properties
@given(names=st.sets(key, min_size=1, max_size=8))
def test_any_legal_keys_round_trip_in_the_order_of_their_bytes(
    store: Store, request: pytest.FixtureRequest, names: set[str]
) -> None:
    if "[versitygw" in request.node.name:
        names = {NO_XML.sub("x", name) for name in names}
    assume(not clash(names) and not any(map(unstorable, names)) and all(name.strip() for name in names))
    assume(fits(request, *names))
    mine = fresh(store)
    write_all(mine, names)

    assert listed(mine) == sorted(names, key=str.encode)
    assert {name: mine.read(name) for name in names} == {name: name.encode() for name in names}
    assert list(mine.folders()) == sorted({n.split("/")[0] for n in names if "/" in n}, key=lambda n: f"{n}/".encode())
    mine.delete(names)
    assert listed(mine) == []


@properties
@given(name=st.text("ab1-.", min_size=1, max_size=4), end=st.text("ab0-.", min_size=1, max_size=3))
def test_a_prefix_that_ends_in_a_slash_never_sees_its_neighbour(store: Store, name: str, end: str) -> None:
    assume(not unstorable(name) and not unstorable(name + end))
    mine = fresh(store)
    write_all(mine, [f"{name}/x", f"{name}{end}/x"])

    assert listed(mine, f"{name}/") == [f"{name}/x"]
    assert list(mine.folders(f"{name}/")) == []
    assert len(listed(mine, name)) == 2


@pytest.mark.parametrize("store", KINDS_IN_SHORT, indirect=True)
def test_folders_of_many_pages_come_once_and_in_order(store: Store) -> None:
    names = [f"{i:04d}/{j}" for i in range(1, 600) for j in "ab"]
    write_all(store, names)

    assert listed(store) == names
    assert list(store.folders()) == [f"{i:04d}" for i in range(1, 600)]
    store.delete(iter(names))
    assert listed(store) == []


def test_files_come_and_go_whole(store: Store, tmp_path: Path) -> None:
    big = tmp_path / "big.tar"
    big.write_bytes(bytes(range(256)) * (2 * PART // 256) + b"end")
    store.upload(big, "scratch/1.tar", "application/x-tar")
    copy = tmp_path / "copy.tar"
    copy.write_bytes(b"what was there before")
    store.download("scratch/1.tar", copy)

    assert copy.read_bytes() == big.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_file()) == ["big.tar", "copy.tar"]


def test_a_file_that_is_not_there_cannot_be_uploaded(store: Store, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="absent"):
        store.upload(tmp_path / "absent", "a")
    assert listed(store) == []


def test_a_download_to_where_nothing_can_be_written_says_so(store: Store, tmp_path: Path) -> None:
    store.write("a", b"x")
    with pytest.raises(UnavailableError, match="absent"):
        store.download("a", tmp_path / "absent" / "copy")


def test_deleting_what_is_not_there_is_fine(store: Store) -> None:
    store.write("a/b", b"x")
    store.delete(["nothing", "a/nothing", "a", "a/b/c"])
    assert listed(store) == ["a/b"]


def test_readers_see_the_old_or_the_new_one_never_a_mixture(store: Store) -> None:
    whole = [bytes([i]) * 200_000 for i in range(4)]
    store.write("a", whole[0])
    over = threading.Event()

    def write() -> None:
        while not over.is_set():
            for data in whole:
                store.write("a", data)

    with ThreadPoolExecutor(2) as pool:
        writers = [pool.submit(write) for _ in range(2)]
        try:
            read = {store.read("a") for _ in range(40)}
        finally:
            over.set()
        for writer in writers:
            writer.result()

    assert read <= set(whole)


def test_many_threads_share_a_store(store: Store) -> None:
    names = [f"{i % 7}/{i}" for i in range(200)]

    def turn(name: str) -> bytes:
        store.write(name, name.encode())
        data = store.read(name)
        store.delete([name])
        return data

    with ThreadPoolExecutor(24) as pool:
        assert list(pool.map(turn, names)) == [name.encode() for name in names]
    assert listed(store) == []


def test_a_store_opened_at_a_prefix_sees_nothing_else(store: Store) -> None:
    store.write("mun-1/a", b"1")
    store.write("mun-10/b", b"2")
    inner = open_store(f"{store.url}/mun-1/")

    assert listed(inner) == ["a"]
    assert inner.read("a") == b"1"
    assert listed(open_store(inner.url)) == ["a"]


def test_a_child_process_opens_the_same_store_by_its_url(store: Store) -> None:
    store.write("a", b"hello")
    code = "import sys; from imgflow_steps.store import open_store; print(open_store(sys.argv[1]).read('a').decode())"
    done = subprocess.run([sys.executable, "-c", code, store.url], capture_output=True, text=True, check=True)

    assert done.stdout == "hello\n"


def test_a_killed_writer_leaves_no_half_object(store: Store) -> None:
    store.write("a", b"before")
    code = (
        "import sys; from imgflow_steps.store import open_store\n"
        "store = open_store(sys.argv[1]); print('ready', flush=True)\n"
        "while True: store.write('a', b'x' * 30_000_000)"
    )
    for _ in range(3 if THOROUGH else 1):
        with subprocess.Popen([sys.executable, "-c", code, store.url], stdout=subprocess.PIPE) as child:
            assert child.stdout
            child.stdout.readline()
            threading.Event().wait(0.02)
            child.kill()
        assert store.read("a") in {b"before", b"x" * 30_000_000}
        assert listed(store) == ["a"]


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("", "IMGFLOW_STORE"),
        ("gs://bucket", "gs:"),
        ("http://minio:9000/bucket", "http:"),
        ("s3:bucket", "s3://bucket"),
        ("s3://", "bucket"),
        ("s3://B_", "bucket"),
        ("s3://bucket/a/../b", r"\.\."),
        ("file://host/dir", "file:///dir"),
        ("file:dir", "file:///dir"),
        ("dir\0", "NUL"),
    ],
)
def test_an_address_that_is_no_store_is_refused_with_what_would_be(url: str, word: str) -> None:
    with pytest.raises(BadParametersError, match=word):
        open_store(url)


def test_a_directory_may_be_given_in_three_ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    open_store(str(tmp_path / "my store")).write("a", b"x")

    for url in ("my store", "./my store/", (tmp_path / "my store").as_uri()):
        assert open_store(url).read("a") == b"x"
        assert open_store(url).url == str(tmp_path / "my store")


def test_opening_a_bucket_loads_no_ciphers_and_minio_stays_whole_for_others() -> None:
    code = (
        "import sys, imgflow_steps.store as s; s.open_store('s3://photographs'); "
        "print({'Crypto', 'argon2', 'minio.minioadmin'} & sys.modules.keys()); "
        "from minio import Minio, MinioAdmin; print(MinioAdmin.__module__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines() == ["set()", "minio.minioadmin"]


def test_importing_the_interface_loads_no_client() -> None:
    code = "import sys, imgflow_steps.store; print({'minio', 'urllib3', 'numpy', 'PIL'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "set()\n"


def test_a_part_of_an_object_is_read_in_its_version(store: Store) -> None:
    store.write("a", b"0123456789")
    found = store.stat("a")
    assert found

    assert store.read_range("a", 0, 3) == b"012"
    assert store.read_range("a", 8, 5, found.version) == b"89"
    store.write("a", b"changed and longer")
    with pytest.raises(ChangedError):
        store.read_range("a", 0, 3, found.version)
    with pytest.raises(NotFoundError):
        store.read_range("b", 0, 3)


def test_a_listing_says_when_each_object_came(store: Store, tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"old")
    os.utime(tmp_path / "old", (1e9, 1e9))
    store.upload(tmp_path / "old", "a")
    found = store.stat("a")
    assert found

    assert [abs(one.placed - time.time()) < 300 for one in (found, *store.entries())] == [True, True]
