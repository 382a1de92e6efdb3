"""The environment variables that say where an S3 server is, who asks, and whom to trust; loads no client.

A run may read photographs from one server and keep everything else at another: what the source alone is told has
``IMGFLOW_SOURCE_`` in front.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from itertools import chain

VARIABLES = {  # by the field of S3Settings; of several the first one wins
    "endpoint": ("IMGFLOW_S3_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
    "region": ("AWS_REGION", "AWS_DEFAULT_REGION"),
    "access_key": ("AWS_ACCESS_KEY_ID",),
    "secret_key": ("AWS_SECRET_ACCESS_KEY",),
    "session_token": ("AWS_SESSION_TOKEN",),
    "etags": ("IMGFLOW_S3_ETAG",),
    "payer": ("IMGFLOW_S3_REQUEST_PAYER",),
}
BUNDLES = ("AWS_CA_BUNDLE", "SSL_CERT_FILE")  # files with the authorities that vouch for the server; the first one wins
PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy")
PROFILE = "AWS_PROFILE"
FILES = ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE")
ROLE, IDENTITY, SESSION = "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_SESSION_NAME"
STS = ("AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL")
CONTAINER = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
MEANS = (PROFILE, IDENTITY, *CONTAINER)  # where no variable holds a key; of several the first one wins
NO_INSTANCE = "AWS_EC2_METADATA_DISABLED"
SOURCE = "IMGFLOW_SOURCE_"
NOWHERE = {**dict.fromkeys(FILES, os.devnull), NO_INSTANCE: "true"}  # no means but keys in variables

_OWN = (*chain(*VARIABLES.values()), PROFILE, ROLE, IDENTITY, SESSION, STS[0], BUNDLES[0])  # a source may have its own


def of_source(name: str) -> str:
    """The variable that tells the source alone what this one tells every store."""
    return SOURCE + name.removeprefix("IMGFLOW_")


OF_SOURCE = {of_source(name): name for name in _OWN}


def has_source(environment: Mapping[str, str]) -> bool:
    """Whether the source of photographs has a server, or means, of its own."""
    return any(environment.get(name) for name in OF_SOURCE)


def for_source(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment as the source sees it.

    One variable of its own, and it gets none that says where the store is and who asks there: a key goes to one server.
    """
    if not has_source(environment):
        return dict(environment)
    own = {name: environment[variable] for variable, name in OF_SOURCE.items() if environment.get(variable)}
    theirs = {*_OWN, *CONTAINER} - {BUNDLES[0]}
    shared = {name: value for name, value in environment.items() if name not in theirs}
    return {**shared, **({} if PROFILE in own else NOWHERE), **own}
