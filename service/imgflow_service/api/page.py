"""Pages for people: at ``/`` photographs and steps, which are their own declarations; at ``/docs`` every route."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response

from imgflow_service.api import reference
from imgflow_steps.pipeline.notation import spelt
from imgflow_steps.pipeline.registry import PIXEL_STEPS

if TYPE_CHECKING:
    from imgflow_service.api.front import Front

PAGE = Path(__file__).with_name("page.html")


def router(_front: Front) -> APIRouter:
    """The routes; none asks for a key, which the page itself sends."""
    routes = APIRouter(tags=["page"])
    text = PAGE.read_text(encoding="utf-8")
    script = text.partition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'self'; img-src 'self' blob:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"

    @routes.get("/", response_class=Response)
    async def page() -> Response:
        """A page for people."""
        headers = {"Content-Security-Policy": policy, "Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
        return Response(text, media_type="text/html", headers=headers)

    @routes.get("/docs", response_class=Response, include_in_schema=False)
    async def docs(request: Request) -> Response:
        """The OpenAPI document for people."""
        headers = {"Content-Security-Policy": reference.POLICY, "X-Content-Type-Options": "nosniff"}
        return Response(reference.page(request.app.openapi()), media_type="text/html", headers=headers)

    @routes.get("/v1/steps")
    async def steps() -> dict[str, Any]:
        """Every step with its parameters, as it is declared."""
        return {
            "steps": [
                {
                    "name": step.name,
                    "summary": step.summary,
                    "short": spelt(step.name, step.short),
                    "parameters": step.params.model_json_schema().get("properties", {}),
                }
                for step in PIXEL_STEPS.values()
            ]
        }

    return routes
