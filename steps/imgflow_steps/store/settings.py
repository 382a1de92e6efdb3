"""Where an S3 server is, who asks, and how long to wait for it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from minio.credentials.credentials import Credentials
from minio.credentials.providers import Provider

from imgflow_steps.contract.redaction import conceal
from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.store import PATIENCE, credentials, profiles, tls
from imgflow_steps.store.proxies import port_of, proxy_of
from imgflow_steps.store.variables import BUNDLES, NOWHERE, VARIABLES, for_source

READ = 15.0  # seconds for one answer
SILENT = 35.0  # seconds without an answer, or twice ``read``, after which whoever waits is told
MOST = 60.0  # seconds for one answer, where nobody waits
ETAGS = ("md5", "opaque")
PAYER = "requester"
AMAZON = "https://s3.amazonaws.com"
KEYS = ("access_key", "secret_key", "session_token")


@dataclass(frozen=True, slots=True)
class S3Settings:
    """``connect`` and ``read`` are seconds of silence, ``retries`` come after the first attempt of a request.

    ``patience``: extra seconds to keep retrying an unreachable or busy server; 0 when a person is waiting.
    """

    endpoint: str = AMAZON
    region: str = "us-east-1"
    access_key: str = field(default="", repr=False)
    secret_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)
    connect: float = 5.0
    read: float = READ
    retries: int = 4
    backoff: float = 0.2  # seconds before the second retry, doubled with each; jitter of the same size
    patience: float = 0.0
    etags: str = "md5"  # what they are where nothing says otherwise
    payer: str = ""  # "requester" where the bucket's owner lets others pay for what they ask
    ca_bundle: str = ""  # a file of authorities; "" is those that certifi knows
    proxy: str = field(default="", repr=False)
    lender: Provider | None = field(default=None, repr=False, compare=False)  # of keys, where none are given

    def __post_init__(self) -> None:
        conceal(self.secret_key, self.session_token)
        for name in ("access_key", "secret_key", "session_token"):
            value = getattr(self, name)
            if not (value.isascii() and value.isprintable() and " " not in value):
                raise BadParametersError(
                    f"{VARIABLES[name][0]} holds a line break or a character that no key has; copy it anew, as one line"
                )
        if not _is_server(self.endpoint):
            raise BadParametersError(  # the address is not shown: it may hold a password
                "the S3 endpoint (IMGFLOW_S3_ENDPOINT, AWS_ENDPOINT_URL or the profile's) is an address such as "
                "http://minio:9000, without a path or a password"
            )
        if bool(self.access_key) != bool(self.secret_key):
            raise BadParametersError("set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or neither")
        if self.payer not in {"", PAYER}:
            raise BadParametersError(f"{VARIABLES['payer'][0]} is {PAYER!r} or is not set, not {self.payer!r}")
        if self.etags not in ETAGS:
            raise BadParametersError(f"IMGFLOW_S3_ETAG is one of {', '.join(ETAGS)}, not {self.etags!r}")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], *, source: bool = False) -> S3Settings:
        """What the environment, or the profile that it names, says of the store, or of the ``source`` of photographs.

        Raises BadParametersError when a variable or a profile cannot be.
        """
        seen = for_source(environment) if source else environment
        profile = profiles.read(seen)
        given: dict[str, Any] = {
            name: seen[variable].strip()
            for name, variables in VARIABLES.items()
            for variable in reversed(variables)
            if seen.get(variable)
        }
        for name, of_profile in (("endpoint", "endpoint_url"), ("region", "region")):
            if value := profile.get(of_profile):
                given.setdefault(name, value)
        patience = _seconds(environment.get(PATIENCE) or "0")
        found = cls(**given, patience=patience, read=max(READ, min(MOST, patience / 4)))
        found = replace(found, ca_bundle=_bundle(seen, profile), proxy=proxy_of(found.endpoint, seen))
        return replace(found, lender=_lender(found, seen, environment, profile, source=source))

    @property
    def variables(self) -> dict[str, str]:
        """What tells another process the same, with the keys of this moment and without the files of a profile.

        Raises DeniedError and UnavailableError where keys are lent, and nobody lends any.
        """
        keys = self.lender.retrieve() if self.lender else None
        values = {name: getattr(self, name) for name in VARIABLES}
        if keys:
            values |= dict(zip(KEYS, (keys.access_key, keys.secret_key, keys.session_token or ""), strict=True))
        told = {VARIABLES[name][0]: value for name, value in values.items() if value}
        return {**NOWHERE, **told, **({BUNDLES[0]: self.ca_bundle} if self.ca_bundle else {})}

    @property
    def port(self) -> int:
        """The port that connections go to, the proxy's where there is one."""
        return port_of(self.proxy or self.endpoint)

    @property
    def budget(self) -> float:
        """Seconds that one operation of the store may hear nothing before it is given up."""
        return max(SILENT, self.patience)


@dataclass(frozen=True, slots=True)
class _Renewed(Provider):
    """Keys for a while that somebody else renews in the environment of this process, as of a computing one."""

    environment: Mapping[str, str]
    source: bool
    first: Credentials

    def retrieve(self) -> Credentials:
        seen = for_source(self.environment) if self.source else self.environment
        key, secret, token = (seen.get(VARIABLES[name][0], "").strip() for name in KEYS)
        return Credentials(key, secret, token or None) if key and secret else self.first


def _bundle(seen: Mapping[str, str], profile: profiles.Profile) -> str:
    given = {BUNDLES[0]: seen.get(BUNDLES[0]), f"ca_bundle of profile {profile.name}": profile.get("ca_bundle")}
    given[BUNDLES[1]] = seen.get(BUNDLES[1])
    return next((tls.checked(file, name) for name, file in given.items() if file), "")


def _lender(
    found: S3Settings,
    seen: Mapping[str, str],
    environment: Mapping[str, str],
    profile: profiles.Profile,
    *,
    source: bool,
) -> Provider | None:
    if found.session_token:
        first = Credentials(found.access_key, found.secret_key, found.session_token)
        return _Renewed(environment, source, first)
    if found.access_key:
        return None
    return credentials.provider(seen, profile, found.endpoint, found.region, found.ca_bundle)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise BadParametersError(f"{PATIENCE} is a number of seconds, not {text!r}")
    return seconds


def _is_server(address: str) -> bool:
    try:
        parts = urlsplit(address)
        host_only = f"{parts.scheme}://{parts.netloc}" == address.removesuffix("/")
        named = bool(parts.hostname and (parts.port is None or parts.port > 0))
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and host_only and named and "@" not in parts.netloc
