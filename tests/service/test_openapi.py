"""The OpenAPI document: what it gives as an example works, and every answer is one that it names."""

from __future__ import annotations

from typing import Any

import pytest
from tests import photographs
from tests.services import Served

PHOTO = photographs.jpeg(1, 320, 240)
ALONE = {"steps", "pipeline"}  # parameters that go instead of the others


@pytest.fixture(scope="module")
def document(front: Served) -> dict[str, Any]:
    read: dict[str, Any] = front.client.get("/openapi.json").json()
    return read


def test_every_example_of_a_parameter_is_answered_with_a_picture(front: Served, document: dict[str, Any]) -> None:
    parameters = document["paths"]["/v1/images"]["post"]["parameters"]
    examples = {
        one["name"]: str(one["example"]).replace("True", "true").replace("False", "false")
        for one in parameters
        if one["in"] == "query"
    }
    together = {name: value for name, value in examples.items() if name not in ALONE}

    assert len(examples) == len(parameters)
    for query in (together, *({name: examples[name]} for name in examples)):
        answer = front.client.post("/v1/images", params=query, content=PHOTO)
        assert answer.status_code == 200, (query, answer.text)
        assert answer.headers["content-type"] in document["paths"]["/v1/images"]["post"]["responses"]["200"]["content"]


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"content": b""}, 400),
        (
            {"json": {"url": "https://photos.example/a.jpg"}},
            403,
        ),  # the example of a URL, of a service that fetches none
        ({"content": b"letter"}, 415),
        ({"content": PHOTO[:3000]}, 422),
    ],
)
def test_a_problem_has_the_form_that_is_promised(
    front: Served, document: dict[str, Any], asked: dict[str, Any], status: int
) -> None:
    promised = document["paths"]["/v1/images"]["post"]["responses"][str(status)]["content"]["application/problem+json"]

    said = front.client.post("/v1/images", **asked)

    assert said.status_code == status
    assert set(promised["schema"]["required"]) <= set(said.json())
    kinds = {"string": str, "integer": int}
    for name, schema in promised["schema"]["properties"].items():
        assert isinstance(said.json()[name], kinds[schema["type"]])


def test_a_parameter_that_is_wrong_is_a_problem_and_the_document_promises_no_other_form(
    front: Served, document: dict[str, Any]
) -> None:
    said = front.client.get("/v1/jobs", params={"limit": "many"})

    assert (said.status_code, said.json()["code"]) == (400, "bad-request")
    assert said.json()["detail"].startswith("limit: ")
    answers = [one["responses"] for of in document["paths"].values() for one in of.values()]
    assert all("application/problem+json" in one["default"]["content"] for one in answers)
    assert "ValidationError" not in str(document)


def test_every_route_is_in_the_document(document: dict[str, Any]) -> None:
    assert {"/v1/images", "/v1/images/{sha256}", "/livez", "/readyz", "/stats"} <= set(document["paths"])
