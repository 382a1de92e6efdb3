"""What a process that decodes photographs of strangers can get at: no more than its work needs.

It begins with an environment of its own, without a secret, and gives up what the kernel lets it give up before it sees
the first byte: files (Landlock), connections and programs (Landlock, and a filter of system calls). Where a kernel has
no such means the rest stays in force.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from imgflow_steps.infer import CUDA
from imgflow_steps.store import PATIENCE, walk
from imgflow_steps.store.leftovers import MACHINE
from imgflow_steps.store.variables import PROXIES, has_source, of_source
from imgflow_steps.worker import landlock, privileges, refused

if TYPE_CHECKING:
    from imgflow_steps.store.settings import S3Settings

# Variables that a computing process is given, and what the names of others begin with.
KEPT: tuple[str, ...] = ("PATH", "HOME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TEMP", "TMP", "VIRTUAL_ENV", MACHINE)
KEPT += ("PYDANTIC_DISABLE_PLUGINS", "LD_LIBRARY_PATH", "LD_PRELOAD")
FAMILIES = ("LC_", "PYTHON", "OPENBLAS_", "OPENCV_", "OMP_", "MKL_", "ORT_", "GLIBC_", "MALLOC_", "COVERAGE_", "DYLD_")
# And what it is told once it runs, where its store is S3: its first environment is to be read by others of this user.
# Beside where the server is, and keys: what S3Settings.variables holds.
TOLD: tuple[str, ...] = (*PROXIES, PATIENCE)

OF_ETC = ("ld.so.cache", "localtime", "ssl", "pki", "ca-certificates", "hosts", "resolv.conf", "nsswitch.conf")
PARTS: tuple[str, ...] = ("/usr", "/lib", "/lib64", "/proc", "/sys", "/dev/null", "/dev/zero", "/dev/urandom")
PARTS += tuple(f"/etc/{name}" for name in (*OF_ETC, "host.conf", "gai.conf", "mime.types"))
SECRET: tuple[str, ...] = ("/run", "/var/run", "/root", "/home", "/var/lib", "/var/backups", "/var/spool", "/boot")
SECRET += tuple(f"/etc/{name}" for name in ("shadow", "shadow-", "gshadow", "gshadow-", "ssh", "kubernetes", "rancher"))
DNS = 53
CONFINE = "IMGFLOW_CONFINE"  # "off": computing processes keep all that whoever starts them has


@dataclass(frozen=True, slots=True)
class Reach:
    """What computing processes may read and write beside what all of them read, and whether they speak to a store.

    ``buckets``: whether the store, and whether the source of photographs, is one of S3.
    ``anywhere``: photographs may be links to any file that is not secret. ``keep``: descriptors that they are given.
    """

    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    buckets: tuple[bool, bool] = (False, False)
    anywhere: bool = False
    keep: tuple[int, ...] = ()

    @classmethod
    def of(cls, *stores: str) -> Reach:
        """For a run whose results go to the first store and whose photographs are there or in the second."""
        folders = [url for url in stores if url and not url.startswith("s3://")]
        here = cls(read=tuple(folders), anywhere=bool(folders))
        buckets = stores[0].startswith("s3://"), any(url.startswith("s3://") for url in stores[1:])
        if any(buckets):
            servers = _servers(buckets, os.environ)
            bundles = tuple(server.ca_bundle for server in servers if server.ca_bundle)
            ports = dict.fromkeys((*(server.port for server in servers), DNS))
            here = replace(here, ports=tuple(ports), buckets=buckets, read=(*here.read, *bundles))
        if stores[0] in folders:
            here = replace(here, write=tuple(_written(Path(stores[0]))))
        return here

    def also(self, folder: Path) -> Reach:
        """The same, with scratch of its own, and what whoever starts it has laid down beside that for it to read."""
        return replace(self, read=(*self.read, tempfile.gettempdir()), write=(*self.write, os.fspath(folder)))

    def of_container(self, container: str) -> Reach:
        """The same, and the machine's graphics cards for the container of steps that need them."""
        return replace(self, write=(*self.write, *_cards())) if container == CUDA else self

    def reading(self, path: str) -> Reach:
        """The same, and a file that another program has brought; "" is none."""
        return replace(self, read=(*self.read, path)) if path else self

    def teller(self, environment: Mapping[str, str]) -> Callable[[], dict[str, str]]:
        """What gives variables for a computing process that runs already; it raises StoreError."""
        return self.introducer(environment) if confined(environment) else lambda: dict(environment)

    def introducer(self, environment: Mapping[str, str]) -> Callable[[], dict[str, str]]:
        """What gives variables that name the S3 servers, with the keys of that moment, and no file of a profile.

        It raises StoreError where nobody gives keys.
        """
        roles = _roles(self.buckets, environment)
        servers = _servers(self.buckets, environment)  # kept, with what they know of keys that are lent
        plain = {name: environment[name] for name in TOLD if name in environment} if servers else {}

        def variables() -> dict[str, str]:
            told = dict(plain)
            for server, source in zip(servers, roles, strict=True):
                told |= {of_source(name) if source else name: value for name, value in server.variables.items()}
            return told

        return variables

    def confine(self) -> None:
        """Give up for good, in this process, all that is not named here."""
        privileges.drop()
        landlock.restrict((*_readable(self.anywhere), *self.read), (*self.write, "/dev/null"), self.ports)
        refused.refuse(refused.WEB if self.ports else ())


def confined(environment: Mapping[str, str]) -> bool:
    """Whether computing processes are to be confined: nobody has said otherwise, to look for the cause of trouble."""
    return environment.get(CONFINE, "").lower() != "off"


def means() -> list[str]:
    """What confines computing processes here beside their own environment, in words."""
    newest = landlock.version()
    named = [f"files by Landlock {newest}" if newest else "", "calls by seccomp" if refused.is_available() else ""]
    return [one for one in named if one]


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """What a computing process begins with: nothing that says who this is, or lets it in somewhere."""
    if not confined(given):
        return dict(given)
    return {name: value for name, value in given.items() if name in KEPT or name.startswith(FAMILIES)}


def _written(root: Path) -> list[str]:
    """Where a computing process writes in a directory: results, and what is not finished. Never photographs."""
    folders = [root / "results", root / walk.HIDDEN]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    return [os.fspath(folder) for folder in folders]


def _readable(anywhere: bool) -> list[str]:
    modules = [path for path in (*sys.path, sys.prefix, sys.base_prefix) if path and not _home().is_relative_to(path)]
    if not anywhere:
        return [*PARTS, *modules]
    return [*PARTS, *modules, *landlock.around([Path(path) for path in SECRET] + _hidden()), *_visible()]


def _cards() -> list[str]:
    """The device files of NVIDIA's driver; nothing where there is no card."""
    return sorted(map(os.fspath, Path("/dev").glob("nvidia*")))


def _home() -> Path:
    return Path(os.environ.get("HOME") or "/")


def _hidden() -> list[Path]:
    """The home directory, wherever it is: keys of all programs lie there, in hidden files."""
    home = _home()
    return [] if home == Path("/") else [home]


def _visible() -> list[str]:
    """What lies in the home directory and is not hidden."""
    try:
        inside = [path for home in _hidden() for path in home.iterdir()]
        return [os.fspath(path) for path in inside if not path.name.startswith(".") and not path.is_symlink()]
    except OSError:
        return []


def _roles(buckets: tuple[bool, bool], environment: Mapping[str, str]) -> list[bool]:
    """For each server of S3 that is asked, whether it is that of the source alone."""
    own = buckets[1] and has_source(environment)
    return [*([False] if buckets[0] or (buckets[1] and not own) else []), *([True] if own else [])]


def _servers(buckets: tuple[bool, bool], environment: Mapping[str, str]) -> list[S3Settings]:
    if not any(buckets):
        return []
    from imgflow_steps.store.settings import S3Settings  # noqa: PLC0415 - loads minio, which no processor's container has

    return [S3Settings.from_environment(environment, source=source) for source in _roles(buckets, environment)]
