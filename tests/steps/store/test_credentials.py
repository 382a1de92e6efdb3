"""Who asks an S3 server, by every means that people have: which one counts, and that it is asked for for real."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha1
from pathlib import Path

import pytest
from minio.credentials.credentials import Credentials
from tests.servers import Server
from tests.tokens import Sts

from imgflow_steps.contract.redaction import redacted
from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.store import DeniedError, UnavailableError, credentials, open_store, variables
from imgflow_steps.store.credentials import Lent, Means
from imgflow_steps.store.settings import S3Settings

Files = Callable[..., dict[str, str]]
ROLE = "arn:aws:iam::123456789012:role/photographs"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    """Writes the two shared files; gives, and sets, the variables that name them."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "IMGFLOW_S")):
            monkeypatch.delenv(name)

    def write(credentials: str = "", config: str = "", **variables: str) -> dict[str, str]:
        named = {"AWS_SHARED_CREDENTIALS_FILE": credentials, "AWS_CONFIG_FILE": config}
        for name, text in named.items():
            (tmp_path / name).write_text(text)
        told = {**{name: str(tmp_path / name) for name in named}, **variables}
        for name, value in told.items():
            monkeypatch.setenv(name, value)
        return told

    return write


def asked_by(environment: dict[str, str], *, source: bool = False) -> str:
    """The access key that requests are signed with."""
    settings = S3Settings.from_environment(environment, source=source)
    keys = settings.lender.retrieve() if settings.lender else None
    return keys.access_key if keys else settings.access_key


KEYS = "aws_access_key_id = {0}\naws_secret_access_key = secret-of-{0}\n"
FILE = "[default]\n" + KEYS.format("by-default") + "[city]\n" + KEYS.format("of-city")


def test_the_means_count_in_the_order_that_the_documentation_lists(files: Files, sts: Sts, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("a-token-of-kubernetes")
    told = files(
        FILE,
        AWS_ACCESS_KEY_ID="of-variables",
        AWS_SECRET_ACCESS_KEY="secret-of-variables",
        AWS_PROFILE="city",
        AWS_ROLE_ARN=ROLE,
        AWS_WEB_IDENTITY_TOKEN_FILE=str(tmp_path / "token"),
        AWS_ENDPOINT_URL_STS=sts.endpoint,
    )
    order = []
    for gone in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        order.append(asked_by({**told, "AWS_ENDPOINT_URL": "http://minio:9000"}))
        told.pop(gone)
        if gone == "AWS_ACCESS_KEY_ID":
            told.pop("AWS_SECRET_ACCESS_KEY")
    told["HOME"] = str(tmp_path)

    assert order == ["of-variables", "of-city", "lent-1", "by-default"]
    assert asked_by({**told, "AWS_ENDPOINT_URL": "http://minio:9000"}) == ""


def test_the_documentation_lists_the_means_in_this_order_and_every_variable() -> None:
    page = (Path(__file__).parents[3] / "docs/store.md").read_text(encoding="utf-8")
    means = page.partition("Precedence of credentials")[2]
    order = ["AWS_ACCESS_KEY_ID", variables.PROFILE, variables.IDENTITY, variables.CONTAINER[0], "profile `default`"]
    places = [means.index(name) for name in [*order, variables.NO_INSTANCE]]
    every = {*variables.OF_SOURCE.values(), *variables.BUNDLES, *variables.FILES, *variables.STS, *variables.CONTAINER}

    assert places == sorted(places)
    assert [name for name in sorted(every) if f"`{name}" not in page] == []


def test_a_profile_says_where_and_in_which_region_and_variables_say_it_before(files: Files) -> None:
    config = "[profile city]\nregion = eu-north-1\nendpoint_url = http://every:9000\nservices = local\n"
    told = files(FILE, config + "[services local]\ns3 =\n  endpoint_url = http://s3:9000\n", AWS_PROFILE="city")

    settings = S3Settings.from_environment(told)
    said = S3Settings.from_environment({**told, "AWS_ENDPOINT_URL": "http://here:9000", "AWS_REGION": "eu-west-1"})

    assert (settings.endpoint, settings.region) == ("http://s3:9000", "eu-north-1")
    assert (said.endpoint, said.region) == ("http://here:9000", "eu-west-1")
    assert redacted("secret-of-of-city") == "***"


@pytest.mark.parametrize(
    ("credentials_file", "config", "words"),
    [
        (FILE, "", r"AWS_PROFILE names the profile 'none'.*there are: city, default"),
        ("", "", "there are none"),
        ("hunter2-in-a-line\n", "", r"line 1, before which there is no \[section\]"),
        ("[none]\nhunter2-in-a-line\n", "", "line 2"),
        ("[none]\naws_secret_access_key = hunter2\n", "", "both aws_access_key_id and aws_secret_access_key"),
        ("", f"[profile none]\nrole_arn = {ROLE}\nmfa_serial = arn\n", "export-credentials --profile none"),
        ("", "[profile none]\nendpoint_url = http://me:hunter2@minio\n", "the profile's"),
    ],
)
def test_a_profile_that_cannot_be_is_said_without_showing_its_lines(
    files: Files, credentials_file: str, config: str, words: str
) -> None:
    told = files(credentials_file, config, AWS_PROFILE="none")

    with pytest.raises(BadParametersError, match=words) as refusal:
        S3Settings.from_environment(told)
    assert "hunter2" not in str(refusal.value)


def test_files_that_nobody_named_and_nobody_may_read_do_not_keep_a_store_from_opening(tmp_path: Path) -> None:
    (tmp_path / ".aws").write_text("a file, where a directory belongs")

    assert S3Settings.from_environment({"HOME": str(tmp_path)}).access_key == ""


@pytest.mark.minio
def test_a_profile_opens_a_store_by_its_name_alone(files: Files, minio_server: Server) -> None:
    keys = KEYS.format("imgflow").replace("secret-of-imgflow", minio_server.settings.secret_key)
    files("[city]\n" + keys, f"[profile city]\nendpoint_url = {minio_server.settings.endpoint}\n", AWS_PROFILE="city")
    store = open_store(minio_server.new_bucket())

    store.write("a", b"photograph")
    assert store.read("a") == b"photograph"


@pytest.mark.minio
def test_a_role_of_a_real_server_is_assumed_through_a_profile_with_a_source(files: Files, minio_server: Server) -> None:
    """MinIO gives keys for a while to whoever asks its AssumeRole with keys of a user."""
    endpoint = minio_server.settings.endpoint
    keys = KEYS.format("imgflow").replace("secret-of-imgflow", minio_server.settings.secret_key)
    config = f"[profile city]\nrole_arn = {ROLE}\nsource_profile = base\nendpoint_url = {endpoint}\n"
    # What asks for a role has its own region, and finds the token service by a variable.
    told = files("[base]\n" + keys, config, AWS_PROFILE="city", AWS_ENDPOINT_URL_STS=endpoint, AWS_REGION="us-east-1")
    store = open_store(minio_server.new_bucket())
    settings = S3Settings.from_environment(told)
    variables = settings.variables

    store.write("a", b"photograph")
    assert store.read("a") == b"photograph"
    assert variables["AWS_ACCESS_KEY_ID"] != "imgflow"
    assert redacted(variables["AWS_SESSION_TOKEN"]) == "***"
    assert redacted(variables["AWS_SECRET_ACCESS_KEY"]) == "***"


@pytest.mark.minio
def test_a_program_that_a_profile_names_gives_keys(files: Files, minio_server: Server, tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text(
        json.dumps({"Version": 1, "AccessKeyId": "imgflow", "SecretAccessKey": minio_server.settings.secret_key})
    )
    config = f"[default]\ncredential_process = cat {tmp_path}/keys.json\n"
    files("", config, AWS_ENDPOINT_URL=minio_server.settings.endpoint)
    store = open_store(minio_server.new_bucket())

    store.write("a", b"photograph")
    assert store.read("a") == b"photograph"


def test_a_login_lends_keys_while_it_lasts(
    files: Files, sts: Sts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    cache = tmp_path / ".aws/sso/cache" / f"{sha1(b'https://city.example.org').hexdigest()}.json"
    cache.parent.mkdir(parents=True)
    monkeypatch.setattr("botocore.credentials.SSOProvider._SSO_TOKEN_CACHE_DIR", str(cache.parent))  # since its import
    cache.write_text(json.dumps({"accessToken": "a-login", "expiresAt": "2099-01-01T00:00:00Z"}))
    sso = "sso_start_url = https://city.example.org\nsso_region = eu-north-1\nsso_account_id = 1\nsso_role_name = a\n"
    told = files("", f"[profile city]\n{sso}", AWS_PROFILE="city", AWS_ENDPOINT_URL_SSO=sts.endpoint)

    assert asked_by(told) == "of-a-login"


def test_a_login_that_has_ended_says_how_to_log_in(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    sso = "sso_start_url = https://city.example.org\nsso_region = eu-north-1\nsso_account_id = 1\nsso_role_name = a\n"
    told = files("", f"[profile city]\n{sso}", AWS_PROFILE="city")

    with pytest.raises(DeniedError, match="aws sso login --profile city"):
        asked_by(told)


def test_without_the_library_a_role_says_what_to_install(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "botocore.exceptions", None)
    told = files("", f"[profile city]\nrole_arn = {ROLE}\nsource_profile = city\n", AWS_PROFILE="city")

    with pytest.raises(BadParametersError, match=r"imgflow\[aws\]"):
        S3Settings.from_environment(told)


@pytest.fixture
def sts() -> Iterator[Sts]:
    service = Sts()
    yield service
    service.close()


@pytest.fixture
def pod(files: Files, sts: Sts, tmp_path: Path) -> dict[str, str]:
    """What Kubernetes tells a pod whose service account has a role."""
    (tmp_path / "token").write_text("first-token-of-kubernetes\n")
    told = {"AWS_ROLE_ARN": ROLE, "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token")}
    return files(**told, AWS_ENDPOINT_URL_STS=sts.endpoint)


def test_a_pod_is_lent_keys_for_the_token_of_its_service_account_once(pod: dict[str, str], sts: Sts) -> None:
    settings = S3Settings.from_environment(pod)
    assert settings.lender
    for _ in range(3):
        assert settings.lender.retrieve().session_token == "lent-token"

    [asked] = sts.asked
    assert asked["RoleArn"] == [ROLE]
    assert asked["WebIdentityToken"] == ["first-token-of-kubernetes"]


def test_new_keys_are_asked_for_with_the_new_token_before_the_old_ones_expire(
    pod: dict[str, str], sts: Sts, tmp_path: Path
) -> None:
    sts.seconds = 120
    settings = S3Settings.from_environment(pod)
    first = settings.variables["AWS_ACCESS_KEY_ID"]
    (tmp_path / "token").write_text("second-token-of-kubernetes")

    assert (first, settings.variables["AWS_ACCESS_KEY_ID"]) == ("lent-1", "lent-2")
    assert sts.asked[1]["WebIdentityToken"] == ["second-token-of-kubernetes"]


def test_keys_that_hold_yet_are_used_while_nobody_lends_new_ones(pod: dict[str, str], sts: Sts) -> None:
    sts.seconds = 120
    settings = S3Settings.from_environment(pod)
    assert settings.variables["AWS_ACCESS_KEY_ID"] == "lent-1"
    sts.status = 403

    assert settings.variables["AWS_ACCESS_KEY_ID"] == "lent-1"


def test_a_token_that_is_refused_is_not_shown(pod: dict[str, str], sts: Sts) -> None:
    sts.status = 403

    with pytest.raises(DeniedError, match=r"AWS_WEB_IDENTITY_TOKEN_FILE.*HTTP status 403.*trust policy") as refusal:
        asked_by(pod)
    assert "token-of-kubernetes" not in str(refusal.value)
    assert redacted("first-token-of-kubernetes") == "***"


def test_a_token_service_that_is_away_is_unavailable_and_not_refusing(pod: dict[str, str], sts: Sts) -> None:
    sts.close()

    with pytest.raises(UnavailableError) as refusal:
        asked_by(pod)
    assert "token-of-kubernetes" not in str(refusal.value)


@pytest.mark.parametrize(
    ("variables", "address"),
    [
        ({}, "https://sts.eu-north-1.amazonaws.com"),
        ({"AWS_ENDPOINT_URL": "https://s3.eu-north-1.amazonaws.com"}, "https://sts.eu-north-1.amazonaws.com"),
        ({"AWS_ENDPOINT_URL": "http://minio:9000/"}, "http://minio:9000"),
        ({"AWS_ENDPOINT_URL": "http://minio:9000", "AWS_ENDPOINT_URL_STS": "http://sts"}, "http://sts"),
    ],
)
def test_the_token_service_is_that_of_the_region_or_of_the_server_that_is_not_of_aws(
    variables: dict[str, str], address: str
) -> None:
    assert credentials.sts(variables, "eu-north-1") == address


def test_a_container_is_lent_keys_for_the_token_that_it_was_given(files: Files, sts: Sts) -> None:
    told = files(AWS_CONTAINER_CREDENTIALS_FULL_URI=sts.endpoint, AWS_CONTAINER_AUTHORIZATION_TOKEN="a-token")

    assert asked_by(told) == "lent-1"
    assert sts.asked == [{"Authorization": ["a-token"]}]


def test_a_machine_is_asked_for_its_role_once_and_only_for_a_server_of_aws(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def away(what: str, _: object) -> Credentials:
        asked.append(what)
        raise UnavailableError("this is not a machine of AWS")

    monkeypatch.setattr(credentials, "_asked", away)
    told = files()
    lender = S3Settings.from_environment(told).lender
    assert lender
    for _ in range(3):
        assert lender.retrieve() is None
    assert len(asked) == 1
    for one in ({"AWS_ENDPOINT_URL": "http://minio:9000"}, {"AWS_EC2_METADATA_DISABLED": "true"}):
        assert S3Settings.from_environment({**told, **one}).lender is None


def test_a_chain_of_roles_is_gone_through_from_its_first_keys(files: Files, moto_server: Server) -> None:
    chain = f"role_arn = {ROLE}\nsource_profile = "
    config = f"[profile city]\n{chain}between\n[profile between]\n{chain}base\n"
    endpoint = moto_server.settings.endpoint
    told = files("[base]\n" + KEYS.format("of-base"), config, AWS_PROFILE="city", AWS_ENDPOINT_URL_STS=endpoint)

    assert asked_by(told).startswith("ASIA")


@pytest.mark.parametrize("source", [False, True])
def test_a_store_that_is_open_asks_with_the_keys_that_its_process_was_told_since(source: bool) -> None:
    prefix = variables.SOURCE if source else ""
    told = {f"{prefix}AWS_ACCESS_KEY_ID": "first", f"{prefix}AWS_SECRET_ACCESS_KEY": "first-secret"}
    told[f"{prefix}AWS_SESSION_TOKEN"] = "first-token"
    lender = S3Settings.from_environment(told, source=source).lender
    assert lender
    told[f"{prefix}AWS_ACCESS_KEY_ID"] = "second"

    assert lender.retrieve().access_key == "second"


def test_many_threads_are_lent_keys_once() -> None:
    asked = []

    def ask() -> Credentials:
        asked.append(1)
        return Credentials("key", "a-secret-key", "token", datetime.now(UTC) + timedelta(hours=1))

    lent = Lent(Means("somebody", ask))
    threads = [threading.Thread(target=lent.retrieve) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(asked) == 1


def test_one_variable_of_its_own_and_the_source_is_told_nothing_of_the_store(files: Files) -> None:
    told = files(
        FILE,
        "[profile city]\nendpoint_url = http://archive:9000\n",
        AWS_ACCESS_KEY_ID="of-store",
        AWS_SECRET_ACCESS_KEY="secret-of-store",
        AWS_ENDPOINT_URL="http://store:9000",
    )
    public = {**told, "IMGFLOW_SOURCE_S3_ENDPOINT": "http://public:9000"}
    profile = {**told, "IMGFLOW_SOURCE_AWS_PROFILE": "city"}
    where = [S3Settings.from_environment(one, source=True).endpoint for one in (told, public, profile)]

    assert where == ["http://store:9000", "http://public:9000", "http://archive:9000"]
    assert [asked_by(one, source=True) for one in (told, public, profile)] == ["of-store", "", "of-city"]
    assert [asked_by(one) for one in (public, profile)] == ["of-store", "of-store"]
