"""What a process that decodes photographs of strangers can get at: no more than its work needs.

It begins with an environment of its own, without a secret, and gives up what the kernel lets it give up before it sees
the first byte: files (Landlock), connections and programs (Landlock, and a filter of system calls). Where a kernel has
no such means the rest stays in force.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from urllib.parse import urlsplit

from imgflow_steps.store import PATIENCE, walk
from imgflow_steps.store.variables import BUNDLES, VARIABLES
from imgflow_steps.worker import landlock, privileges, refused

# Variables that a computing process is given, and what the names of others begin with.
KEPT: tuple[str, ...] = ("PATH", "HOME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TEMP", "TMP", "VIRTUAL_ENV")
KEPT += ("PYDANTIC_DISABLE_PLUGINS", "LD_LIBRARY_PATH", "LD_PRELOAD")
FAMILIES = ("LC_", "PYTHON", "OPENBLAS_", "OPENCV_", "OMP_", "MKL_", "ORT_", "GLIBC_", "MALLOC_", "COVERAGE_", "DYLD_")
# And what it is told once it runs, where its store is S3: its first environment is to be read by others of this user.
TOLD: tuple[str, ...] = (*chain(*VARIABLES.values()), *BUNDLES, PATIENCE)

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

    ``anywhere``: photographs may be links to any file that is not secret. ``keep``: descriptors that they are given.
    """

    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    anywhere: bool = False
    keep: tuple[int, ...] = ()

    @classmethod
    def of(cls, *stores: str) -> Reach:
        """For a run whose results go to the first store and whose photographs are there or in the second."""
        folders = [url for url in stores if url and not url.startswith("s3://")]
        here = cls(read=tuple(folders), anywhere=bool(folders))
        if any(url.startswith("s3://") for url in stores):
            bundles = tuple(filter(None, map(os.environ.get, BUNDLES)))
            here = replace(here, ports=(_port(os.environ), DNS), read=(*here.read, *bundles))
        if stores[0] in folders:
            here = replace(here, write=tuple(_written(Path(stores[0]))))
        return here

    def also(self, folder: Path) -> Reach:
        """The same, with scratch of its own, and what whoever starts it has laid down beside that for it to read."""
        return replace(self, read=(*self.read, tempfile.gettempdir()), write=(*self.write, os.fspath(folder)))

    def reading(self, path: str) -> Reach:
        """The same, and a file that another program has brought; "" is none."""
        return replace(self, read=(*self.read, path)) if path else self

    def variables(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Variables for a process that runs already."""
        if not confined(environment):
            return dict(environment)
        return {name: environment[name] for name in TOLD if name in environment} if self.ports else {}

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


def _port(environment: Mapping[str, str]) -> int:
    address = environment.get("IMGFLOW_S3_ENDPOINT") or environment.get("AWS_ENDPOINT_URL") or "https:"
    parts = urlsplit(address.strip())
    try:
        return parts.port or (80 if parts.scheme == "http" else 443)
    except ValueError:
        return 443
