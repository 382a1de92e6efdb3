"""minio without its client for administrators, which would load a library of ciphers that no run uses."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

ADMIN = "minio.minioadmin"


@contextmanager
def without_admin() -> Iterator[None]:
    """While minio is imported for the first time, an empty module stands for that client.

    Whoever asks for ``minio.MinioAdmin`` afterwards gets the real one, which is loaded then.
    """
    if "minio" in sys.modules or ADMIN in sys.modules:
        yield
        return
    stand_in = ModuleType(ADMIN)
    vars(stand_in)["MinioAdmin"] = None
    sys.modules[ADMIN] = stand_in
    try:
        yield
    finally:
        if sys.modules.get(ADMIN) is stand_in:
            del sys.modules[ADMIN]
        if package := sys.modules.get("minio"):
            vars(package).pop("MinioAdmin", None)
            vars(package).pop("minioadmin", None)
            vars(package)["__getattr__"] = _late


def _late(name: str) -> Any:
    """What ``minio`` has under a name that it had not when it was imported."""
    if name == "MinioAdmin":
        return import_module(ADMIN).MinioAdmin
    raise AttributeError(f"module 'minio' has no attribute {name!r}")
