"""The HTTP application: its routes, and what becomes of everything that goes wrong."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from imgflow_service.api import examples, images, jobs, page, standing, static
from imgflow_service.api.front import Front, GoneError
from imgflow_service.api.middleware import GONE, App, Around
from imgflow_service.wire.problems import Problem

CODES = {404: "not-found", 405: "method-not-allowed"}

_LOG = logging.getLogger("imgflow_service.api")


def create(front: Front) -> App:
    """The application of a front."""
    app = FastAPI(title="imgflow", openapi_url="/openapi.json", docs_url=None, redoc_url=None, responses=examples.ANY)
    for routes in (images, jobs, page, static, standing):
        app.include_router(routes.router(front))

    def problem(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)  # noqa: S101 - narrows the type: it is registered for these
        request.state.code = error.code
        return Response(error.document(request.state.request_id), error.status, error.headers())

    def unrouted(request: Request, error: Exception) -> Response:
        status = getattr(error, "status_code", 400)
        code = CODES.get(status, "bad-request")
        answer = problem(request, Problem(code, f"{request.method} {request.url.path[:200]} is not served here"))
        if allowed := (getattr(error, "headers", None) or {}).get("Allow"):
            answer.headers["Allow"] = allowed
        return answer

    def misread(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101 - as above
        faults = [f"{'.'.join(map(str, one['loc'][1:]))}: {one['msg']}"[:200] for one in error.errors()]
        return problem(request, Problem("bad-request", "; ".join(faults)))

    def failed(request: Request, error: Exception) -> Response:
        _LOG.error("internal", exc_info=error)
        return problem(request, Problem("internal", f"{type(error).__name__}; the log says more"))

    def left(_request: Request, _error: Exception) -> Response:
        return Response(status_code=GONE)

    app.add_exception_handler(Problem, problem)
    app.add_exception_handler(HTTPException, unrouted)
    app.add_exception_handler(RequestValidationError, misread)
    app.add_exception_handler(GoneError, left)
    app.add_exception_handler(Exception, failed)
    return Around(app, front.telemetry, front.tracer, front.settings.limits.bytes)
