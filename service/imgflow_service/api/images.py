"""One picture in, one picture out, now: ``POST /v1/images``, and ``POST /`` for clients that know no path."""

from __future__ import annotations

import re
import time
from typing import Any

from fastapi import APIRouter, Depends, Request, Response

from imgflow_service.api import answers, bodies, examples, forms, urls
from imgflow_service.api.admission import Place
from imgflow_service.api.choice import choose, unrepeated
from imgflow_service.api.front import Front, Had, seconds_left, while_there
from imgflow_service.wire.problems import Problem

SHA256 = re.compile(r"[0-9a-f]{64}")
PRIVATE = f"private, max-age={answers.YEAR}, immutable"
PUBLIC = f"public, max-age={answers.YEAR}, immutable"


def router(front: Front) -> APIRouter:
    """The routes."""
    routes = APIRouter(dependencies=[Depends(front.guest), Depends(unrepeated)], tags=["images"])

    @routes.post("/v1/images", openapi_extra=examples.POST, responses=examples.RESPONSES, response_class=Response)
    @routes.post("/", include_in_schema=False)
    async def process(request: Request) -> Response:
        """Scale and grey a picture as the service was started to, or as the query says.

        The body is the picture itself, a form whose file is the picture, or `{"url": "https://…"}`.
        """
        started = time.perf_counter()
        choice = choose(request.query_params, front.settings)
        seconds = seconds_left(request.headers, front.settings.timeout)
        fresh = "no-cache" in request.headers.get("cache-control", "")
        with front.admission.place() as place:
            upload = await _upload(front, request, place, seconds)
            read = (time.perf_counter() - started) * 1000
            named, left, state = choice.named(upload.name), seconds - read / 1000, request.state
            work = front.picture(upload.data, named, left, state.request_id, state.trace, fresh=fresh)
            had = await while_there(request, work)
        parts = {"body": read, **had.ms, **had.made.ms, "total": (time.perf_counter() - started) * 1000}
        headers = {**_headers(had), "Cache-Control": PRIVATE, "Server-Timing": answers.timing(parts)}
        return answers.answer(had, headers, request.headers.get("accept", ""))

    @routes.get("/v1/images/{sha256}", openapi_extra=examples.GET, responses=examples.KEPT, response_class=Response)
    async def kept(request: Request, sha256: str) -> Response:
        """What was made of a picture earlier, by the SHA-256 of the picture: a CDN may stand before it."""
        choice = choose(request.query_params, front.settings)
        had = await front.kept(sha256, choice) if SHA256.fullmatch(sha256) else None
        if had is None:
            raise Problem("not-found", "this was not made, or not kept; send the picture with POST /v1/images")
        headers = {**_headers(had), "Cache-Control": PUBLIC}
        asked = request.headers
        return answers.answer(had, headers, asked.get("accept", ""), asked.get("if-none-match", ""))

    return routes


async def _upload(front: Front, request: Request, place: Place, seconds: float) -> bodies.Upload:
    limits = front.settings.limits
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        async with bodies.within(seconds):
            read = await forms.read(request, place, limits, files=1)
        with read as form:
            if not form.files:
                raise Problem("bad-request", "the form holds no file")
            [file] = form.files
            place.reserve(file.size)
            await place.room(file.size, seconds)
            return bodies.Upload(file.read(), file.name)
    named = kind == "application/json"
    data = await bodies.whole(request, place, urls.LONGEST if named else limits.bytes, seconds)
    if named:
        url = urls.read(data)
        place.reserve(limits.bytes)
        fetched = await while_there(request, front.urls.fetch(url, seconds))
        place.come(len(fetched))
        return bodies.Upload(fetched, urls.name(url))
    return bodies.Upload(data)


def _headers(had: Had) -> dict[str, str]:
    told: dict[str, Any] = {"X-Imgflow-Cache": had.how, "X-Imgflow-Processor": had.made.processor}
    return {name: value for name, value in told.items() if value}
