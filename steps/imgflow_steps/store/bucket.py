"""Make the store's bucket, and have what lies between steps expire: ``python -m imgflow_steps.store.bucket``.

A MinIO that still has the credentials ``IMGFLOW_BEFORE_ACCESS_KEY_ID`` and ``…SECRET_ACCESS_KEY`` is stopped with them
first: whatever keeps it running starts it anew with those that it is to have, where its data are.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from imgflow_steps.contract.job import Exit
from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.store import DeniedError, StoreError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from minio import Minio

RULE = "imgflow-scratch"  # id of the lifecycle rule that is ours; others of the bucket stay
PATIENCE = 180  # seconds for a server that is only starting
PAUSE = 2.0
BEFORE = ("IMGFLOW_BEFORE_ACCESS_KEY_ID", "IMGFLOW_BEFORE_SECRET_ACCESS_KEY")


def prepare(client: Minio, bucket: str, prefix: str, days: int) -> None:
    """Make ``bucket`` unless it is there, and delete what is older than ``days`` below ``<prefix>scratch/``.

    Raises minio's and urllib3's errors.
    """
    from minio.commonconfig import ENABLED, Filter  # noqa: PLC0415 - with the client, when it is used
    from minio.lifecycleconfig import Expiration, LifecycleConfig, Rule  # noqa: PLC0415

    if not client.bucket_exists(bucket):
        client.make_bucket(bucket)
    there = client.get_bucket_lifecycle(bucket)
    others = [rule for rule in there.rules if rule.rule_id != RULE] if there else []
    ours = Rule(ENABLED, rule_filter=Filter(prefix=f"{prefix}scratch/"), rule_id=RULE, expiration=Expiration(days=days))
    client.set_bucket_lifecycle(bucket, LifecycleConfig([*others, ours]))


def prepare_store(url: str, days: int) -> None:
    """As ``prepare``, for the store at ``s3://bucket[/prefix]``. Raises StoreError and BadParametersError."""
    from imgflow_steps.store.answers import FAULTS, explain  # noqa: PLC0415 - loads minio
    from imgflow_steps.store.client import open_client  # noqa: PLC0415 - likewise
    from imgflow_steps.store.settings import S3Settings  # noqa: PLC0415 - likewise

    if not url.startswith("s3://"):
        raise BadParametersError(f"only a store in S3 has a bucket; IMGFLOW_STORE is {url!r}")
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    settings = S3Settings.from_environment(os.environ)
    try:
        prepare(open_client(settings), bucket, f"{prefix.strip('/')}/" if prefix.strip("/") else "", days)
    except FAULTS as error:
        raise explain(error, f"bucket {bucket} at {settings.endpoint}", "") from error


def take_over(environment: Mapping[str, str]) -> None:
    """Stop a MinIO that refuses the present credentials, with those it had before; whether it did, shows afterwards."""
    from minio.credentials.providers import StaticProvider  # noqa: PLC0415 - with the client, when it is used
    from minio.error import MinioException  # noqa: PLC0415
    from minio.minioadmin import MinioAdmin  # noqa: PLC0415
    from urllib3.exceptions import HTTPError  # noqa: PLC0415

    from imgflow_steps.store.settings import S3Settings  # noqa: PLC0415 - loads minio

    settings = S3Settings.from_environment(environment)
    server = urlsplit(settings.endpoint)
    credentials = StaticProvider(*(environment[name] for name in BEFORE))
    secure = server.scheme == "https"
    admin = MinioAdmin(endpoint=server.netloc, credentials=credentials, region=settings.region, secure=secure)
    with suppress(MinioException, HTTPError):  # it may end before it answers, or be away already
        admin.service_stop()


def main() -> int:
    """Wait for the server as long as it may need to start, then do it once."""
    parser = argparse.ArgumentParser(prog="python -m imgflow_steps.store.bucket", description=__doc__)
    parser.add_argument("--scratch-days", type=int, default=3, help="how long to keep what is stored between steps")
    days = parser.parse_args().scratch_days
    until, rotated = time.monotonic() + PATIENCE, all(map(os.environ.get, BEFORE))
    while True:
        try:
            prepare_store(os.environ.get("IMGFLOW_STORE", ""), days)
        except (UnavailableError, DeniedError) as error:
            if time.monotonic() > until or (isinstance(error, DeniedError) and not rotated):
                return _fail(error, Exit.TEMPORARY if isinstance(error, UnavailableError) else Exit.BAD_PARAMETERS)
            if isinstance(error, DeniedError):
                take_over(os.environ)
            time.sleep(PAUSE)
        except (BadParametersError, StoreError) as error:
            return _fail(error, Exit.BAD_PARAMETERS)
        else:
            return Exit.DONE


def _fail(error: Exception, code: Exit) -> int:
    print(error, file=sys.stderr)  # noqa: T201 - a container's log is its stderr
    return code


if __name__ == "__main__":
    sys.exit(main())
