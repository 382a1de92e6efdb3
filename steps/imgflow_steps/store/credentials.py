"""Who asks an S3 server: keys from the first of the means that has any, and new ones before those that are lent expire.

``docs/store.md`` has their order. What is lent comes from minio's providers, in a pod or on a machine of AWS, or from
botocore, which knows all that a profile can say: roles, chains of them, logins and programs.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import certifi
from minio.credentials.credentials import Credentials
from minio.credentials.providers import IamAwsProvider, Provider, WebIdentityProvider
from urllib3 import Retry, Timeout
from urllib3.exceptions import HTTPError

from imgflow_steps.contract.redaction import conceal, redacted
from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.store import DeniedError, SilentError, StoreError, UnavailableError, tls
from imgflow_steps.store.causes import said
from imgflow_steps.store.proxies import pool, proxy_of
from imgflow_steps.store.variables import CONTAINER, IDENTITY, NO_INSTANCE, PROFILE, ROLE, SESSION, STS

if TYPE_CHECKING:
    from imgflow_steps.store.profiles import Profile

MARGIN = timedelta(minutes=5)  # before they expire, new ones are asked for: what has begun with them ends meanwhile
SECONDS = 5.0  # to connect, and for one answer
MOMENT = 1.0  # for a machine's own metadata, which answers at once or is not there
AMAZON = (".amazonaws.com", ".amazonaws.com.cn")
EXTRA = "pip install 'imgflow[aws]'"


@dataclass(frozen=True, slots=True)
class Means:
    """One way to keys: its name for people, and what asks for them."""

    name: str
    ask: Callable[[], Credentials]


@dataclass(slots=True)
class Lent(Provider):
    """Keys for a while, the same for all threads until others are needed."""

    means: Means
    _kept: Credentials | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def retrieve(self) -> Credentials:
        """Keys that hold for some minutes yet. Raises DeniedError or UnavailableError, naming the means."""
        with self._lock:
            if self._kept and _lasts(self._kept, MARGIN):
                return self._kept
            try:
                self._kept = self.means.ask()
            except StoreError:
                if self._kept and _lasts(self._kept, timedelta(0)):
                    return self._kept
                raise
            conceal(self._kept.secret_key, self._kept.session_token or "")
            return self._kept


class OfInstance(Provider):
    """The role of a machine of AWS; None, for good, where this is not one."""

    def __init__(self) -> None:
        client = pool("", timeout=Timeout(connect=MOMENT, read=MOMENT), retries=Retry(0))
        self._lent = Lent(Means("the role of this machine", lambda: _asked("", IamAwsProvider(http_client=client))))
        self._absent = False
        self._lock = threading.Lock()  # where this is not one, threads do not wait one after another to be told

    def retrieve(self) -> Credentials | None:  # type: ignore[override]  # minio asks without keys then
        """Keys, if there are any."""
        with self._lock:
            if not self._absent:
                try:
                    return self._lent.retrieve()
                except StoreError:
                    self._absent = True
            return None


def is_amazon(address: str) -> bool:
    """Whether a server is one of AWS."""
    return (urlsplit(address).hostname or "").endswith(AMAZON)


def provider(
    environment: Mapping[str, str], profile: Profile, endpoint: str, region: str, bundle: str
) -> Provider | None:
    """What gives keys where the environment has none itself; None: nobody, and the server is asked without."""
    if environment.get(PROFILE):
        return _of_profile(profile, region)
    if environment.get(IDENTITY):
        return Lent(Means(f"the web identity of {IDENTITY}", lambda: _identity(environment, region, bundle)))
    if any(map(environment.get, CONTAINER)):
        client = pool("", timeout=Timeout(connect=SECONDS, read=SECONDS), retries=Retry(2, backoff_factor=0.2))
        what = "the role of this container"
        return Lent(Means(what, lambda: _asked(what, IamAwsProvider(http_client=client))))
    found = _of_profile(profile, region)
    if found or not is_amazon(endpoint) or environment.get(NO_INSTANCE, "").lower() == "true":
        return found
    return OfInstance()


def _of_profile(profile: Profile, region: str) -> Provider | None:
    if profile.is_lent:
        return Lent(_botocore(profile, region))
    key, secret = profile.get("aws_access_key_id"), profile.get("aws_secret_access_key")
    if bool(key) != bool(secret):
        raise BadParametersError(
            f"profile {profile.name}: set both aws_access_key_id and aws_secret_access_key, or neither"
        )
    if not key:
        return None
    kept = Credentials(key, secret, profile.get("aws_session_token") or None)
    return Lent(Means(f"profile {profile.name}", lambda: kept))


def _botocore(profile: Profile, region: str) -> Means:
    """A profile that names a role, a login or a program, asked for through botocore, which renews by itself."""
    what = f"profile {profile.name}"
    if profile.get("mfa_serial"):
        raise BadParametersError(
            f"{what} asks for a code (mfa_serial), which a run cannot type; "
            f"run `aws configure export-credentials --profile {profile.name} --format env` and set what it prints"
        )
    try:
        from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError  # noqa: PLC0415 - an extra
        from botocore.session import Session  # noqa: PLC0415
    except ImportError:
        raise BadParametersError(f"{what} names a role, a login or a program; for these: {EXTRA}") from None
    logging.getLogger("botocore").setLevel(logging.CRITICAL)  # what it has to say is in what it raises
    asking: list[Any] = []

    def ask() -> Credentials:
        try:
            if not asking:
                session = Session(profile=profile.name)
                session.set_config_variable("region", region)
                asking.append(session.get_credentials())
            frozen = asking[0].get_frozen_credentials() if asking[0] else None
        except HTTPClientError as error:
            raise UnavailableError(f"{what}: {redacted(str(error))}; see whether that server can be reached") from error
        except (BotoCoreError, ClientError, ValueError, KeyError) as error:
            raise DeniedError(f"{what}: {redacted(str(error))}; {_mend(profile)}") from error
        if frozen is None:
            raise DeniedError(f"{what} gives no keys; {_mend(profile)}")
        return Credentials(frozen.access_key, frozen.secret_key, frozen.token)

    return Means(what, ask)


def _mend(profile: Profile) -> str:
    if profile.get("sso_session") or profile.get("sso_start_url"):
        return f"run `aws sso login --profile {profile.name}`"
    return f"try `aws sts get-caller-identity --profile {profile.name}`"


def _identity(environment: Mapping[str, str], region: str, bundle: str) -> Credentials:
    """Keys for the token that Kubernetes, or whoever else, keeps fresh in a file."""
    file, address = Path(environment[IDENTITY]), sts(environment, region)
    what = f"the web identity of {IDENTITY}"
    try:
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise DeniedError(f"{what}: {file} cannot be read: {getattr(error, 'strerror', error)}") from None
    conceal(token)
    client = pool(
        proxy_of(address, environment),
        timeout=Timeout(connect=SECONDS, read=SECONDS),
        retries=Retry(3, backoff_factor=0.2, status_forcelist=(500, 502, 503, 504), allowed_methods=None),
        ca_certs=bundle or certifi.where(),
    )
    asked = WebIdentityProvider(
        jwt_provider_func=lambda: {"access_token": token, "expires_in": "0"},
        sts_endpoint=address,
        role_arn=environment.get(ROLE),
        role_session_name=environment.get(SESSION) or "imgflow",
        http_client=client,
    )
    return _asked(f"{what} at {address}", asked)


def sts(environment: Mapping[str, str], region: str) -> str:
    """Where AWS's token service is, or the one of whatever else is no server of AWS."""
    own, every = (environment.get(name, "").strip().rstrip("/") for name in STS)
    if own or (every and not is_amazon(every)):
        return own or every
    return f"https://sts.{region}.amazonaws.com" + (".cn" if region.startswith("cn-") else "")


def _asked(what: str, provider: Provider) -> Credentials:
    """What one of minio's providers gives. Raises StoreError with words of our own: theirs repeat tokens."""
    try:
        return provider.retrieve()
    except HTTPError as error:
        found = tls.fault(error)
        raise SilentError(f"{what}: {tls.said(found) if found else said(error)}") from None
    except ValueError as error:
        status = str(error).rpartition("HTTP status code ")[2] if "HTTP status code" in str(error) else ""
        why = f"HTTP status {status}" if status else "the answer holds no keys"
        raise DeniedError(f"{what}: no keys are given ({why}); see whether {ROLE} and its trust policy fit") from None
    except (OSError, KeyError, AttributeError, SyntaxError) as error:
        raise DeniedError(f"{what}: no keys are given ({type(error).__name__})") from None


def _lasts(credentials: Credentials, margin: timedelta) -> bool:
    """Whether keys hold that long; of those that say nothing, whoever gave them knows best."""
    if credentials.expiration is None:
        return False
    return credentials.expiration > datetime.now(UTC).replace(tzinfo=None) + margin
