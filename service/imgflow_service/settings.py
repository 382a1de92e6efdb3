"""How all processes of the service are set up: flag, then IMGFLOW_SERVE_* variable, then file, then default."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from imgflow_steps.contract.options import Limits
from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.pipeline.notation import nearest
from imgflow_steps.worker.memory import usable_cores

SHA256 = re.compile(r"[0-9a-f]{64}")
PREFIX = "IMGFLOW_SERVE_"
BROKERS = {"sentinel", "redis+socket"}  # besides redis and rediss, whose URLs are read here
SECRET = {"keys", "jobs.broker"}  # settings whose value no error shows
MIB, GIB = 1 << 20, 1 << 30
Listed = tuple[str, ...]


class Part(BaseModel):
    """Some settings: frozen, unknown names refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ServiceLimits(Limits):
    """What a single image may cost, as in a pipeline, and how many may come at a time."""

    bytes: int = Field(default=32 * MIB, ge=1, le=1000 * MIB, description="Size of one encoded image, in bytes.")
    files: int = Field(default=100, ge=1, le=1000, description="Images of one request.")

    @property
    def of_pipeline(self) -> Limits:
        """Those that a pipeline knows."""
        return Limits(**self.model_dump(exclude={"files"}))


class ApiSettings(Part):
    """Where the API listens, and how much it takes on at a time."""

    host: str = Field(default="127.0.0.1", min_length=1, description="Address to listen at.")
    port: int = Field(default=8080, ge=0, le=65_535, description="Port of HTTP; 0: any.")
    grpc_port: int = Field(default=50051, ge=0, le=65_535, description="Port of imagescaler.ImageScaler; 0: any.")
    metrics_port: int = Field(default=5001, ge=0, le=65_535, description="Port of /metrics; 0: any.")
    inflight: int = Field(default=64, ge=1, le=10_000, description="Requests with an image at a time.")
    bytes: int = Field(default=256 * MIB, ge=1, description="Bytes of bodies taken on at a time.")
    reading: int = Field(default=32 * MIB, ge=1, description="Bytes of them in memory at a time; the rest wait.")
    processors: str = Field(
        default="127.0.0.1:50061", pattern=r"^\S+$", description="Where processors are, as gRPC names them."
    )


class ProcessorSettings(Part):
    """Where a processor listens, and how much it takes on at a time."""

    host: str = Field(default="127.0.0.1", min_length=1, description="Address to listen at.")
    port: int = Field(default=50061, ge=0, le=65_535, description="Port of imgflow.v1.Processor; 0: any.")
    http_port: int = Field(default=8081, ge=0, le=65_535, description="Port of HTTP; 0: any.")
    metrics_port: int = Field(default=5001, ge=0, le=65_535, description="Port of /metrics; 0: any.")
    workers: int = Field(default=0, ge=0, le=1024, description="Computing processes; 0: one for each core.")
    waiting: int = Field(default=0, ge=0, le=10_000, description="Requests that may wait; 0: two for each worker.")
    connection_age: float = Field(
        default=30, gt=0, le=86_400, description="Seconds after which a client connects again."
    )

    @property
    def crew(self) -> int:
        """Computing processes."""
        return self.workers or usable_cores()

    @property
    def queue(self) -> int:
        """Requests that may wait."""
        return self.waiting or 2 * self.crew


class DrainSettings(Part):
    """How a process ends."""

    delay: float = Field(default=5, ge=0, le=300, description="Seconds between saying so and closing the door.")
    grace: float = Field(default=30, ge=0, le=600, description="Seconds that requests in hand have then.")


class UrlSettings(Part):
    """Whether pictures may be named by URL."""

    hosts: Listed = Field(default=(), description="Hosts that are fetched from; none: URLs are refused.")
    networks: Listed = Field(
        default=(), description="Networks besides the internet, as 10.0.0.0/8, that hosts may be in."
    )
    seconds: float = Field(default=15, gt=0, le=300, description="Seconds that fetching may take.")

    @field_validator("hosts", "networks", mode="before")
    @classmethod
    def _split(cls, given: Any) -> Any:
        return (
            tuple(one.strip().lower() for one in given.split(",") if one.strip()) if isinstance(given, str) else given
        )

    @field_validator("networks")
    @classmethod
    def _check_networks(cls, networks: Listed) -> Listed:
        for one in networks:
            try:
                ip_network(one)
            except ValueError as error:
                raise ValueError(f"{error}; a network is an address and a length, such as 10.0.0.0/8") from None
        return networks


class JobsSettings(Part):
    """Where jobs wait, and for how long they are kept."""

    broker: str = Field(default="", description="URL of Redis or Valkey; empty: in the memory of the API.")
    queue: int = Field(default=10_000, ge=1, description="Images that may wait.")
    concurrency: int = Field(default=4, ge=1, le=256, description="Images of jobs that one process has in hand.")
    patience: int = Field(default=300, ge=1, description="Seconds after which what a dead worker had is another's.")
    days: int = Field(default=7, ge=1, le=36_500, description="Days for which a job is kept once it has ended.")

    @field_validator("broker")
    @classmethod
    def _check_broker(cls, broker: str) -> str:
        if broker and not _is_broker(broker):  # not shown: it may hold a password
            raise ValueError("a broker is a Redis or Valkey, such as redis://HOST:6379/0")
        return broker


class ServiceSettings(Part):
    """Every setting of the service. Variables and keys of files are derived from it."""

    width: int = Field(default=1024, ge=1, le=65_535, description="Width of the box that pictures fit into, in pixels.")
    height: int = Field(default=768, ge=1, le=65_535, description="Height of the box, in pixels.")
    mode: Literal["fit", "cover", "exact"] = Field(default="fit", description="How pictures come into the box.")
    grayscale: bool = Field(default=True, description="Throw the colour away.")
    format: Literal["jpeg", "png", "webp"] = Field(default="jpeg", description="Format of results.")
    quality: int = Field(default=85, ge=1, le=100, description="JPEG and WebP quality.")
    overrides: bool = Field(default=True, description="Whether a request may ask for other than these six.")
    timeout: float = Field(default=30, gt=0, le=3600, description="Seconds for a request; X-Timeout lowers it.")
    cache: bool = Field(default=True, description="Keep results in the store, by content.")
    cache_days: float = Field(default=30, gt=0, le=36_500, description="Days for which results are kept there.")
    cache_bytes: int = Field(
        default=16 * GIB, ge=0, description="Bytes of them, beyond which the oldest go; 0: as many as come."
    )
    store: str = Field(default="", description="Where results and jobs are kept; empty: nowhere, and no jobs.")
    keys: Mapping[str, str] = Field(
        default={}, repr=False, description="Names of API keys and their SHA-256; none: open."
    )
    rate: float = Field(
        default=0, ge=0, le=1_000_000, description="Requests a second for each key; 0: as many as come."
    )
    limits: ServiceLimits = ServiceLimits()
    api: ApiSettings = ApiSettings()
    processor: ProcessorSettings = ProcessorSettings()
    drain: DrainSettings = DrainSettings()
    url: UrlSettings = UrlSettings()
    jobs: JobsSettings = JobsSettings()

    @field_validator("keys", mode="before")
    @classmethod
    def _read_keys(cls, given: Any) -> Any:
        """A Secret holds lines, or words between commas: ``name:sha256``."""
        if not isinstance(given, str):
            return given
        keys: dict[str, str] = {}
        for one in filter(None, map(str.strip, given.replace("\n", ",").split(","))):
            name, _, digest = one.rpartition(":")
            if not name:  # not shown: it may be a key itself
                raise ValueError("a key is NAME:SHA256 of the key itself; there is one without a name")
            if name in keys:
                raise ValueError(f"{name} is there more than once; give each key a name of its own")
            keys[name] = digest
        return keys

    @field_validator("keys")
    @classmethod
    def _check_keys(cls, keys: Mapping[str, str]) -> Mapping[str, str]:
        if wrong := [name for name, digest in keys.items() if not SHA256.fullmatch(digest)]:
            raise ValueError(f"a key is NAME:SHA256 of the key itself, in 64 hex digits; {', '.join(wrong)} is not")
        return keys


def _is_broker(url: str) -> bool:
    parts = urlsplit(url)
    try:
        read = parts.port != 0 and re.fullmatch(r"/?|/\d+", parts.path) is not None
    except ValueError:  # a port that is not a number
        read = False
    return read if parts.scheme in {"redis", "rediss"} else parts.scheme in BROKERS


def names(model: type[BaseModel] = ServiceSettings, before: str = "") -> Iterator[str]:
    """Every setting by its name with dots, such as ``limits.bytes``."""
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from names(kind, f"{before}{name}.")
        else:
            yield before + name


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + name.replace(".", "_").upper()


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, and where each that somebody has set comes from."""

    settings: ServiceSettings
    origins: Mapping[str, str]

    def shown(self) -> Iterator[tuple[str, Any, str]]:
        """Name, value and origin of every setting; of keys only their names."""
        for name in names():
            value = _value(self.settings, name)
            text = ",".join(value) if isinstance(value, (Mapping, tuple)) else value
            yield name, text, self.origins.get(name, "default")


def loaded(
    flags: Mapping[str, Any] | None = None,
    document: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Loaded:
    """Settings from flags by dotted name, the environment, and the section ``serve`` of a file.

    The store is that of every container where nothing else is said: IMGFLOW_STORE.
    Raises BadParametersError, a line for each fault, with the place of it.
    """
    known = list(names())
    given: dict[str, tuple[str, Any]] = {}
    if store := environment.get("IMGFLOW_STORE"):
        given["store"] = ("IMGFLOW_STORE", store)
    given |= {name: (f"serve.{name} of imgflow.yaml", value) for name, value in _flat(document or {})}
    given |= {name: (variable(name), environment[variable(name)]) for name in known if variable(name) in environment}
    given |= {name: (_flag(name), value) for name, value in (flags or {}).items() if value is not None}
    if unknown := [name for name in given if name not in known]:
        where = given[unknown[0]][0]
        raise BadParametersError(f"{where}: there is no setting {unknown[0]!r}; {nearest(unknown[0], known)}")
    try:
        settings = ServiceSettings.model_validate(_nested({name: value for name, (_, value) in given.items()}))
    except ValidationError as error:
        faults = [(".".join(map(str, one["loc"])), one["msg"], one["input"]) for one in error.errors(include_url=False)]
        raise BadParametersError(
            "\n".join(
                f"{given.get(name, ('',))[0] or name}: {message.removeprefix('Value error, ')}"
                + (f" (given: {str(value)[:80]})" if name not in SECRET else "")
                for name, message, value in faults
            )
        ) from None
    return Loaded(settings, {name: origin for name, (origin, _) in given.items()})


def load(
    flags: Mapping[str, Any] | None = None,
    document: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] = os.environ,
) -> ServiceSettings:
    """The settings alone. Raises as ``loaded``."""
    return loaded(flags, document, environment).settings


def environment_of(settings: ServiceSettings) -> dict[str, str]:
    """The variables that make a child process have the same settings."""
    told: dict[str, str] = {}
    for name in names():
        value = _value(settings, name)
        if isinstance(value, Mapping):
            value = ",".join(f"{key}:{one}" for key, one in value.items())
        elif isinstance(value, tuple):
            value = ",".join(value)
        told[variable(name)] = str(value)
    return told


def _value(settings: ServiceSettings, name: str) -> Any:
    value: Any = settings
    for part in name.split("."):
        value = getattr(value, part)
    return value


def _flag(name: str) -> str:
    return "--" + name.rpartition(".")[2].replace("_", "-")


def _flat(document: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in document.items():
        if isinstance(value, Mapping) and name != "keys":
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for name, value in values.items():
        *above, last = name.split(".")
        place = nested
        for part in above:
            place = place.setdefault(part, {})
        place[last] = value
    return nested
