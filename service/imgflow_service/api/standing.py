"""How a front is: whether it lives, whether it is to be asked, and what it has done so far."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Response

from imgflow_service.api.front import Front
from imgflow_steps.store import StoreError

READY = "ready"  # key that is asked for; whether it is there does not matter


def router(front: Front) -> APIRouter:
    """The routes; none of them asks for a key."""
    routes = APIRouter(tags=["standing"])

    @routes.get("/livez", response_class=Response)
    async def livez() -> Response:
        """Whether the process answers."""
        return Response("ok\n", media_type="text/plain")

    @routes.get(
        "/readyz", responses={503: {"description": "Not to be asked now; why, in words."}}, response_class=Response
    )
    async def readyz() -> Response:
        """Whether it is to be asked: processors and store answer, and it is not about to end."""
        if faults := await _faults(front):
            return Response("\n".join(faults) + "\n", 503, media_type="text/plain")
        return Response("ok\n", media_type="text/plain")

    @routes.get("/stats")
    async def stats() -> dict[str, Any]:
        """What this instance has done since it began."""
        admission = front.admission
        now = {"inflight": admission.inflight, "bytes_held": admission.held}
        return {**front.telemetry.stats(), **now}

    return routes


async def _faults(front: Front) -> list[str]:
    if front.draining:
        return ["draining"]
    faults = []
    if not await front.processors.reachable():
        faults.append("no processor can be reached")
    if front.store:
        try:
            await asyncio.to_thread(front.store.stat, READY)
        except StoreError as error:
            faults.append(str(error))
    return faults
