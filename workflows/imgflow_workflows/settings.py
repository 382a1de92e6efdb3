"""Where runs run, set once: flag, then IMGFLOW_* variable, then named context, then file, then default."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from imgflow_steps.contract.redaction import conceal_users
from imgflow_steps.pipeline.notation import nearest
from imgflow_steps.store.variables import VARIABLES
from imgflow_workflows.errors import ImgflowError

FILE = "imgflow.yaml"
DEFAULT = "default"  # the origin of what nobody has set
ENDPOINT, REGION = "AWS_ENDPOINT_URL", "AWS_REGION"  # what every S3 client reads
CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
OTHERS = {name: VARIABLES[name] for name in ("endpoint", "region")}  # read first


class Settings(BaseModel):
    """Every setting there is. Flags, variables, keys of the file and ``imgflow config`` are derived from it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    engine: Literal["local", "docker", "argo"] = Field(
        default="local", description="Where steps run: processes here, containers here, or a cluster."
    )
    store: str = Field(
        default="./.imgflow",
        min_length=1,
        description="Where everything is stored: a directory or s3://bucket[/prefix].",
    )
    namespace: str = Field(default="imgflow", min_length=1, description="Kubernetes namespace of the argo engine.")
    kube_context: str = Field(default="", description="Context of the kubeconfig; empty is its current one.")
    workers: int = Field(
        default=os.cpu_count() or 1, ge=1, le=1024, description="Processes or containers at the same time, here."
    )
    nodes: int = Field(default=1, ge=1, le=100_000, description="Nodes to keep busy: at least two shards for each.")
    layout: Literal["auto", "steps", "fused"] = Field(
        default="auto", description="steps: a container per step and shard; fused: all steps in one; auto: chooses."
    )
    shard_size: int = Field(default=0, ge=0, le=1_000_000, description="Images per shard; 0 chooses.")
    endpoint: str = Field(default="", description="S3 endpoint; AWS_ENDPOINT_URL is used first.")
    region: str = Field(default="", description="S3 region; AWS_REGION is used first.")


PLACES = ("engine", "store", "namespace", "kube_context")  # settings that say where things lie
FLAGS = tuple(name for name in Settings.model_fields if name not in OTHERS)  # of an S3 server no command line speaks


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return f"IMGFLOW_{name.upper()}"


def flag(name: str) -> str:
    """The flag of a setting."""
    return f"--{name.replace('_', '-')}"


@dataclass(frozen=True, slots=True)
class SettingsLayer:
    """Some settings and where they come from; of several sources the first that has a setting counts."""

    origin: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Resolved:
    """Settings in use, each with its origin; ``context`` is "" when no named one is in use.

    ``credentials`` are variables for S3 clients that the environment does not have; they are never shown.
    """

    settings: Settings
    origins: Mapping[str, str]
    context: str
    context_origin: str
    credentials_origin: str
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    serve: Mapping[str, Any] = field(default_factory=dict, repr=False)  # of the image service, as the file has it

    @property
    def environment(self) -> dict[str, str]:
        """What S3 clients, here and in child processes, are to be told."""
        told = {ENDPOINT: self.settings.endpoint, REGION: self.settings.region, **self.credentials}
        return {name: value for name, value in told.items() if value}

    @property
    def command(self) -> str:
        """``imgflow`` with the flags that led here, for the next command of the same user."""
        places = {"context": self.context, **self.settings.model_dump(include=set(PLACES))}
        origins = {"context": self.context_origin, **self.origins}
        given = [f"{flag(name)} {shlex.quote(value)}" for name, value in places.items() if origins[name] == flag(name)]
        return " ".join(["imgflow", *given])

    def filled(self, source: SettingsLayer) -> Resolved:
        """With what a source says of settings that nobody has set."""
        values = {n: v for n, v in source.values.items() if v and self.origins[n] == DEFAULT}
        settings = Settings.model_validate({**self.settings.model_dump(), **values})
        return replace(self, settings=settings, origins={**self.origins, **dict.fromkeys(values, source.origin)})


def files() -> list[Path]:
    """Where settings may be written down, nearest first."""
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")  # noqa: PTH111 - stays where none has one
    return [Path(FILE), Path(home) / "imgflow" / "config.yaml"]


def resolve(flags: Mapping[str, Any]) -> Resolved:
    """Settings from flags (those not None), the environment and files.

    Raises ImgflowError with the place of whatever does not fit.
    """
    documents = {str(path): _read(path) for path in files() if path.is_file()}
    context, context_origin = _context(flags.get("context"), documents)
    sources = [
        *(
            SettingsLayer(v, {n: os.environ[v]})
            for n, variables in OTHERS.items()
            for v in variables
            if os.environ.get(v)
        ),
        *(SettingsLayer(flag(n), {n: v}) for n, v in flags.items() if v is not None and n != "context"),
        *(
            SettingsLayer(variable(n), {n: os.environ[variable(n)]})
            for n in Settings.model_fields
            if variable(n) in os.environ
        ),
        *(
            SettingsLayer(f"{path} (context {context})", d["contexts"].get(context, {}))
            for path, d in documents.items()
        ),
        *(SettingsLayer(path, d["settings"]) for path, d in documents.items()),
    ]
    conceal_users(str(value) for source in sources for value in source.values.values())
    chosen = {
        name: next((source for source in sources if name in source.values), None) for name in Settings.model_fields
    }
    origins = {name: source.origin if source else DEFAULT for name, source in chosen.items()}
    values = {name: source.values[name] for name, source in chosen.items() if source}
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        faults = [(str(fault["loc"][0]), fault["msg"], fault["input"]) for fault in error.errors(include_url=False)]
        raise ImgflowError(
            "\n".join(f"{n} from {origins[n]}: {_why(msg)} (given: {given})" for n, msg, given in faults)
        ) from None
    credentials_origin = next((name for name in CREDENTIALS if os.environ.get(name)), DEFAULT)
    serve: Mapping[str, Any] = next((document["serve"] for document in documents.values() if document["serve"]), {})
    return Resolved(settings, origins, context, context_origin, credentials_origin, serve=serve)


def _why(message: str) -> str:
    return "it is not UTF-8" if "unicode string" in message else message


def _context(asked: str | None, documents: Mapping[str, dict[str, Any]]) -> tuple[str, str]:
    """The named context in use and who named it."""
    candidates = [
        ("--context", asked),
        (variable("context"), os.environ.get(variable("context"))),
        *((path, document["context"]) for path, document in documents.items()),
    ]
    origin, name = next(((origin, name) for origin, name in candidates if name), (DEFAULT, ""))
    known = [c for document in documents.values() for c in document["contexts"]]
    if name and name not in known:
        there = f"there are: {', '.join(known)}" if known else f"no {FILE} names any"
        raise ImgflowError(f"there is no context {name!r} ({origin}); {there}", nearest(name, known))
    return name, origin


def _read(path: Path) -> dict[str, Any]:
    """A settings file as ``{"context": …, "contexts": {name: settings}, "settings": settings}``."""
    import yaml  # noqa: PLC0415 - most folders hold no such file

    from imgflow_workflows import yaml_size  # noqa: PLC0415 - likewise

    try:
        document = yaml_size.load(path.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise ImgflowError(f"{path} cannot be read as YAML: {yaml_size.said(error)}") from error
    if not isinstance(document, dict):
        raise ImgflowError(f"{path} holds settings as `key: value`; this is a {type(document).__name__}")
    contexts = document.pop("contexts", None) or {}
    context = document.pop("context", "") or ""
    serve = document.pop("serve", None) or {}
    if not isinstance(serve, dict):
        raise ImgflowError(f"{path}: serve holds settings of the image service as `key: value`")
    if not isinstance(contexts, dict) or not all(isinstance(values, dict) for values in contexts.values()):
        raise ImgflowError(f"{path}: contexts holds `name: {{key: value}}`")
    _check_keys(document, str(path), extra=("context", "contexts", "serve"))
    for name, values in contexts.items():
        _check_keys(values, f"{path}, context {name}")
    return {
        "context": str(context),
        "contexts": {str(k): v for k, v in contexts.items()},
        "settings": document,
        "serve": serve,
    }


def _check_keys(values: Mapping[str, Any], where: str, extra: tuple[str, ...] = ()) -> None:
    known = [*Settings.model_fields, *extra]
    for key in values:
        if key not in known:
            raise ImgflowError(
                f"{where}: there is no setting {key!r}", nearest(str(key), known) or f"there are: {', '.join(known)}"
            )
