"""The policy that the documentation gives for a bucket, tried by a user of a real MinIO who has nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from minio.credentials import StaticProvider
from minio.error import S3Error
from minio.minioadmin import MinioAdmin
from tests import photographs
from tests.thorough import mostly_thorough

from imgflow_steps.store.client import open_client
from imgflow_steps.store.settings import S3Settings

if TYPE_CHECKING:
    from tests.cli.conftest import Cli
    from tests.servers import Server

pytestmark = pytest.mark.minio

DOCUMENTED = Path(__file__).parents[2] / "docs/operations.md"
SECRET = "a-secret-of-its-own"

Policy = dict[str, Any]
User = Callable[[Policy], S3Settings]


def documented(bucket: str) -> Policy:
    """The one policy on the page, for a bucket."""
    [block] = [part for part in DOCUMENTED.read_text(encoding="utf-8").split("```json\n") if '"Statement"' in part]
    found: Policy = json.loads(block.partition("```")[0].replace(":::imgflow", f":::{bucket}"))
    return found


def actions(policy: Policy) -> list[str]:
    return [action for statement in policy["Statement"] for action in statement["Action"]]


def without(policy: Policy, action: str) -> Policy:
    """All rights of a policy but one."""
    kept = [{**one, "Action": [name for name in one["Action"] if name != action]} for one in policy["Statement"]]
    return {**policy, "Statement": [one for one in kept if one["Action"]]}


@pytest.fixture
def bucket(minio_server: Server) -> str:
    return minio_server.new_bucket().removeprefix("s3://")


@pytest.fixture
def user(minio_server: Server, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> User:
    """Make a user who has these rights, and who is whoever calls imgflow from then on."""
    root = minio_server.settings
    who = StaticProvider(root.access_key, root.secret_key)
    admin = MinioAdmin(endpoint=urlsplit(root.endpoint).netloc, credentials=who, secure=False)

    def made(policy: Policy) -> S3Settings:
        name = f"user-{uuid4().hex[:8]}"
        file = tmp_path / f"{name}.json"
        file.write_text(json.dumps(policy))
        admin.policy_add(name, str(file))
        admin.user_add(name, SECRET)
        admin.policy_set(name, user=name)
        for variable, value in (
            ("IMGFLOW_STORE", f"s3://{bucket}"),
            ("IMGFLOW_S3_ENDPOINT", root.endpoint),
            ("AWS_REGION", root.region),
            ("AWS_ACCESS_KEY_ID", name),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
        ):
            monkeypatch.setenv(variable, value)
        return S3Settings(root.endpoint, access_key=name, secret_key=SECRET)

    return made


@pytest.mark.thorough
def test_with_exactly_the_documented_policy_photographs_come_in_and_results_go_out(
    user: User, bucket: str, imgflow: Cli, tmp_path: Path
) -> None:
    user(documented(bucket))
    photographs.folder(tmp_path / "in", 2)
    for command in (
        ("doctor",),
        ("ingest", "in", "-m", "Demo"),
        ("submit", "-m", "Demo", "--run", "mine", "--steps", "scale:32x32"),
        ("retry", "mine"),
        ("doctor", "mine"),
        ("verify", "mine"),
        ("fetch", "mine", "out"),
        ("query", "SELECT image FROM results"),
        ("delete", "mine", "--yes"),
        ("prune", "--older-than", "0h", "--yes"),
    ):
        done = imgflow(*command)
        assert done.code == 0, f"{command}\n{done.out}\n{done.err}"
    assert len(list((tmp_path / "out").rglob("*.jpg"))) == 2


def test_other_buckets_and_the_bucket_itself_are_not_the_user_s(user: User, bucket: str, minio_server: Server) -> None:
    other = minio_server.new_bucket().removeprefix("s3://")
    client = open_client(user(documented(bucket)))
    for refused in (
        lambda: list(client.list_objects(other)),
        lambda: client.remove_bucket(bucket),
        lambda: client.delete_bucket_lifecycle(bucket),
        lambda: client.make_bucket(f"made-{uuid4().hex}"),
    ):
        with pytest.raises(S3Error, match="AccessDenied"):
            refused()


@pytest.mark.parametrize("action", mostly_thorough(actions(documented("imgflow")), always=["s3:DeleteObject"]))
def test_no_right_of_the_policy_is_one_too_many(user: User, bucket: str, imgflow: Cli, action: str) -> None:
    def aborted(settings: S3Settings) -> None:
        client = open_client(settings)
        client._abort_multipart_upload(bucket, "a", client._create_multipart_upload(bucket, "a", {}))

    aborted(user(documented(bucket)))
    settings = user(without(documented(bucket), action))
    if action == "s3:AbortMultipartUpload":
        with pytest.raises(S3Error, match="AccessDenied"):
            aborted(settings)
    else:
        done = imgflow("doctor", "-o", "json")
        assert "store" in [one["name"] for one in done.json["checks"] if one["state"] == "wrong"], done.out
