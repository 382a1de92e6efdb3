"""Secrets are taken out of every text that leaves the process, however they are spelt in it."""

from __future__ import annotations

import json
import logging
from urllib.parse import quote, quote_plus

import pytest

from imgflow_steps.contract.job import Job, Result
from imgflow_steps.contract.redaction import SHORTEST, conceal, conceal_users, has_user, redacted
from imgflow_steps.records.results import COLUMNS
from imgflow_steps.records.row import Row, Status
from imgflow_steps.worker import log

SECRET = "c4n4ry/of+the=Störe\nand c4n4ry two"


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", SECRET)


@pytest.mark.parametrize(
    "spelt",
    [
        SECRET,
        repr(SECRET),
        repr(SECRET.encode()),
        json.dumps({"token": SECRET}),
        quote(SECRET),
        quote(SECRET, safe=""),
        SECRET.splitlines()[0],
        SECRET.splitlines()[1],
    ],
)
def test_a_secret_of_the_environment_is_in_no_text_however_it_is_spelt(spelt: str) -> None:
    assert "c4n4ry" not in redacted(f"the server said: {spelt}!")
    assert redacted(f"the server said: {spelt}!").startswith("the server said: ")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://user:pass@host:9000/b", "http://***@host:9000/b"),
        ("http://token@host", "http://***@host"),
        ("http://:pass@host", "http://***@host"),
        ("s3://KEY:a/b+c=@bucket/prefix", "s3://***@bucket/prefix"),
        ("s3://KEY:p@ss@bucket", "s3://***@bucket"),
        ("s3:///KEY:SECRETKEY@bucket", "s3://***@bucket"),
        ("http:////user:password@host/x", "http://***@host/x"),
        ("file://u:secret@h", "file://***@h"),
        ('{"a": "redis://u:p@h", "b": "x@y"}', '{"a": "redis://***@h", "b": "x@y"}'),
    ],
)
def test_an_address_is_shown_without_its_user(text: str, shown: str) -> None:
    assert redacted(f"cannot reach {text} now") == f"cannot reach {shown} now"
    assert has_user(text)


@pytest.mark.parametrize(
    "text",
    [
        "s3://bucket/me@home.jpg",
        "s3:///bucket/me@home.jpg",
        "file:///me@home.jpg",
        "s3://bucket/10:30/me@home.jpg",
        "http://minio:9000/bucket/me@home.jpg",
        "file:///data/a:b@c.jpg",
        "me@home.org: no address",
        "12:30 a@b",
    ],
)
def test_what_is_no_user_of_an_address_stays(text: str) -> None:
    assert redacted(text) == text
    assert not has_user(text)


def test_a_short_value_stays_since_it_stands_in_too_many_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "imgflow")

    assert redacted("imgflow get RUN") == "imgflow get RUN"


def test_the_shortest_value_that_is_a_secret_has_eight_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cr3t-8")
    assert redacted("with s3cr3t-8 in it") == "with *** in it"
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cr3t7")
    assert redacted("with s3cr3t7 in it") == "with s3cr3t7 in it"
    assert SHORTEST == 8


@pytest.mark.parametrize(
    "variable",
    ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "IMGFLOW_NOTIFY_URL", "IMGFLOW_NOTIFY_SECRET"],
)
def test_each_variable_that_holds_a_secret_is_known(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "h1dden-value")
    assert redacted("it is h1dden-value") == "it is ***"


def test_what_is_not_in_the_environment_is_concealed_when_that_is_asked_for() -> None:
    assert redacted("the t0ken-of-mine and an0ther-one") == "the t0ken-of-mine and an0ther-one"
    conceal("t0ken-of-mine", "", "an0ther-one")
    assert redacted("the t0ken-of-mine and an0ther-one") == "the *** and ***"


def test_users_and_passwords_of_addresses_are_concealed_wherever_they_are_found_later() -> None:
    told = ["s3://my-user-name:my-pass-word@bucket", "no address", "http://lonely-token@host", "s3:///slashed-token@b"]
    conceal_users(told)
    said = "my-pass-word, my-user-name:my-pass-word, slashed-token and lonely-token were refused, my-user-name was not"
    assert redacted(said) == "***, ***, *** and *** were refused, my-user-name was not"


def test_nothing_is_said_of_nothing() -> None:
    assert redacted("") == ""


def test_an_address_without_a_host_is_not_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMGFLOW_NOTIFY_URL", "https://")
    assert redacted("https://example.org") == "https://example.org"
    monkeypatch.setenv("IMGFLOW_NOTIFY_URL", "https://a.b.c.de")
    assert redacted("told https://a.b.c.de") == "told ***"


@pytest.mark.parametrize("spaced", ["  pa55-word\n", "\tpa55-word"])
def test_a_secret_with_space_around_it_is_found_without_that(monkeypatch: pytest.MonkeyPatch, spaced: str) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", spaced)
    assert redacted("pa55-word!") == "***!"


ODD = 'ab"c\\d/é\x1bf g+h\udce9'  # quotes, a backslash, a slash, a letter, a control, a space, a plus, a byte


@pytest.mark.parametrize(
    "spelt",
    [
        repr(ODD)[1:-1],
        json.dumps(ODD)[1:-1],
        ODD.encode("unicode_escape", "replace").decode(),
        quote(ODD.encode(errors="surrogateescape"), safe=""),
        quote(ODD.encode(errors="surrogateescape")),
        quote_plus(ODD.encode(errors="surrogateescape")),
        repr(ODD.encode(errors="surrogateescape"))[2:-1],
    ],
)
def test_a_secret_of_odd_characters_is_covered_whole_in_each_spelling(spelt: str) -> None:
    conceal(ODD)
    assert redacted(f"<{spelt}>") == "<***>"


def test_no_document_and_no_table_of_the_store_holds_a_secret() -> None:
    row = Row(image="a.jpg", version="1")
    row.status, row.message = Status.FAILED, f"refused: {SECRET}"
    result = Result(job=Job(step="scale", run="a"), error=f"refused: {SECRET}")

    assert "c4n4ry" not in row.model_dump_json() + result.model_dump_json()
    assert "refused: ***" in row.model_dump_json()
    assert COLUMNS["message"](row) == "refused: ***"


@pytest.mark.parametrize("form", ["json", "text"])
def test_no_line_of_the_log_holds_a_secret_or_half_of_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    log.set_up({"IMGFLOW_LOG": form})
    told = "x" * (log.MESSAGE - 8) + SECRET
    log.image(Row(image="a.jpg", version="1", status=Status.FAILED, code="denied", message=told))
    try:
        raise ValueError(SECRET)
    except ValueError:
        logging.getLogger("library").exception("asked with %s", SECRET)

    said = capsys.readouterr().err
    assert len(said.splitlines()) == 2
    assert "c4n4ry" not in said
