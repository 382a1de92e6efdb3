"""The page at /docs says what the OpenAPI document says, and asks no other host for anything."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest
from tests.services import Served

from imgflow_service.api import reference


class Read(HTMLParser):
    """What a page links to, loads and says."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.attributes: list[tuple[str, str]] = []
        self.tags: list[str] = []
        self.anchors: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        self.anchors |= {value or "" for name, value in attrs if name == "id"}

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def answer(front: Served) -> httpx.Response:
    return front.client.get("/docs")


def test_the_page_asks_no_other_host_for_anything(answer: httpx.Response) -> None:
    read = Read(answer.text)

    assert answer.headers["content-type"].startswith("text/html")
    assert not {"script", "link", "img", "iframe", "base", "object", "embed"} & set(read.tags)
    addresses = [value for name, value in read.attributes if name in {"href", "src", "action", "style"}]
    assert addresses
    assert [one for one in addresses if not re.fullmatch(r"/[^/].*|/|#.*", one)] == []
    [style] = re.findall(r"<style>(.*?)</style>", answer.text, re.DOTALL)
    assert not re.search(r"url\(|@import|//", style)
    assert answer.headers["content-security-policy"] == "default-src 'none'; style-src 'unsafe-inline'"


def test_every_route_parameter_body_and_answer_of_the_document_is_on_the_page(
    front: Served, answer: httpx.Response
) -> None:
    document: dict[str, Any] = front.client.get("/openapi.json").json()
    read = Read(answer.text)

    routes = [(method, path, one) for path, of in document["paths"].items() for method, one in of.items()]
    assert len(read.anchors) == len(routes) > 10
    links = {value.removeprefix("#") for name, value in read.attributes if name == "href" and value.startswith("#")}
    assert links == read.anchors
    for method, path, route in routes:
        part = section(answer.text, f"{method.upper()} {path}")
        told = [one["name"] for one in route.get("parameters", ())]
        told += [one["description"] for one in route.get("parameters", ()) if "description" in one]
        told += [*route.get("requestBody", {}).get("content", ()), *route["responses"]]
        told += [one["description"] for one in route["responses"].values()]
        assert [one for one in told if one not in part] == []


def section(page: str, name: str) -> str:
    [found] = [part for part in page.split("<section")[1:] if f"<h2><code>{name}</code></h2>" in part]
    return Read(f"<section{found}").text


def test_the_page_of_the_service_leads_to_it(front: Served) -> None:
    assert 'href="/docs"' in front.client.get("/").text


def test_a_document_runs_nothing_whatever_it_says() -> None:
    hostile = "<script>alert(1)</script>"
    schema = {"enum": [hostile]}
    parameter = {"name": hostile, "in": hostile, "description": hostile, "schema": schema, "example": hostile}
    content = {hostile: {"schema": {"type": hostile}, "example": {hostile: hostile}}}
    route = {
        "description": hostile,
        "parameters": [parameter],
        "requestBody": {"content": content},
        "responses": {hostile: {"description": hostile, "content": content}},
    }

    page = reference.page({"info": {"title": hostile}, "paths": {f'/"{hostile}': {"get": route}}})

    assert "script" not in Read(page).tags
    assert Read(page).text.count(hostile) > 10
