"""The HTTP application: its routes, and what becomes of everything that goes wrong."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match

from imgflow_service.api import examples, images, jobs, page, standing, static
from imgflow_service.api.front import Front, GoneError
from imgflow_service.api.middleware import GONE, App, Around
from imgflow_service.wire.problems import Problem
from imgflow_steps.store import StoreError
from imgflow_steps.worker.log import facts

NOT_ALLOWED = 405
RETRY = 2.0  # seconds after which a client may ask again for what needs the store
CODES = {404: "not-found", NOT_ALLOWED: "method-not-allowed"}

_LOG = logging.getLogger("imgflow_service.api")


def create(front: Front) -> App:
    """The application of a front."""
    app = FastAPI(title="imgflow", openapi_url="/openapi.json", docs_url=None, redoc_url=None, responses=examples.ANY)
    routers = [routes.router(front) for routes in (images, jobs, page, static, standing)]
    for router in routers:
        app.include_router(router)

    def problem(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)  # noqa: S101 - narrows the type: it is registered for these
        request.state.code = error.code
        return Response(error.document(request.state.request_id), error.status, error.headers())

    def unrouted(request: Request, error: Exception) -> Response:
        status = getattr(error, "status_code", 400)
        code = CODES.get(status, "bad-request")
        answer = problem(request, Problem(code, f"{request.method} {request.url.path[:200]} is not served here"))
        if status == NOT_ALLOWED:
            routes = [route for router in routers for route in router.routes]
            matching = [one for one in routes if one.matches(request.scope)[0] is not Match.NONE]
            answer.headers["Allow"] = ", ".join(sorted({method for one in matching for method in _methods(one)}))
        return answer

    def misread(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101 - as above
        faults = [f"{'.'.join(map(str, one['loc'][1:]))}: {one['msg']}"[:200] for one in error.errors()]
        return problem(request, Problem("bad-request", "; ".join(faults)))

    def storeless(request: Request, error: Exception) -> Response:
        _LOG.warning("store", extra=facts(message=str(error)[:200]))
        return problem(request, Problem("busy", "the store does not do it just now", retry_after=RETRY))

    def failed(request: Request, error: Exception) -> Response:
        _LOG.error("internal", exc_info=error)
        return problem(request, Problem("internal", f"{type(error).__name__}; the log says more"))

    def left(_request: Request, _error: Exception) -> Response:
        return Response(status_code=GONE)

    app.add_exception_handler(Problem, problem)
    app.add_exception_handler(HTTPException, unrouted)
    app.add_exception_handler(RequestValidationError, misread)
    app.add_exception_handler(GoneError, left)
    app.add_exception_handler(StoreError, storeless)
    app.add_exception_handler(Exception, failed)
    return Around(app, front.telemetry, front.tracer, front.settings.limits.bytes)


def _methods(route: BaseRoute) -> set[str]:
    """What a route does; HEAD where it does GET (see middleware)."""
    methods: set[str] = set(getattr(route, "methods", None) or ())
    return methods | {"HEAD"} if "GET" in methods else methods
