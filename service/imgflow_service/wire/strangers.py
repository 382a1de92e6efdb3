"""Who answers where a processor should: an address that is wrong is told from processors that are away for a while."""

from __future__ import annotations

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

CHECK = "/grpc.health.v1.Health/Check"
ASKING = 2.0  # seconds for the answer
OTHER_SERVICE = {grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNIMPLEMENTED}
OTHER_PROTOCOL = "Failed parsing HTTP/2"  # in gRPC's own words: what came was no frame


async def found(target: str, service: str) -> str:
    """What answers at a target that does not offer this service; "" where it does, or where nothing answers."""
    async with grpc.aio.insecure_channel(target) as channel:
        ask = channel.unary_unary(CHECK, HealthCheckRequest.SerializeToString, HealthCheckResponse.FromString)
        try:
            await ask(HealthCheckRequest(service=service), timeout=ASKING)
        except grpc.aio.AioRpcError as error:
            if error.code() in OTHER_SERVICE:
                return "a gRPC server of something else"
            if OTHER_PROTOCOL in (error.details() or ""):
                return "a server that does not speak gRPC"
    return ""
