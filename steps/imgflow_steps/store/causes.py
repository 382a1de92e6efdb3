"""Why a request was not answered, in words for people."""

from __future__ import annotations

from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NewConnectionError, ProxyError, ReadTimeoutError


def said(error: Exception) -> str:
    """What kept a request from being answered, in plain words where urllib3 names its own classes."""
    reason = error.reason if isinstance(error, MaxRetryError) and error.reason else error
    if isinstance(reason, ProxyError):
        return f"the proxy does not let it through: {said(reason.original_error)}"
    if isinstance(reason, ReadTimeoutError):
        return "it takes the connection and does not answer"
    if isinstance(reason, NewConnectionError):
        return str(reason).partition("): ")[2] or str(reason)
    if isinstance(reason, ConnectTimeoutError):
        return "nobody takes the connection"
    return str(reason)
