"""The proxy between this machine and a server, as HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY name it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import unquote, urlsplit

from urllib3 import PoolManager, ProxyManager, make_headers

from imgflow_steps.contract.redaction import conceal
from imgflow_steps.contract.step import BadParametersError

WITH_PORT = re.compile(r"([^:]+|\[[^]]+\]):([0-9]+)")  # of a name or an address; one of IPv6 has brackets then


def proxy_of(address: str, environment: Mapping[str, str]) -> str:
    """The address of the proxy to a server; "" is none, as for this machine itself and for what NO_PROXY names.

    Raises BadParametersError, naming the variable, when it is not an address of HTTP.
    """
    server = urlsplit(address)
    name = next((name for name in _names(server.scheme) if environment.get(name)), "")
    excepted = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    if not name or _is_direct(server.hostname or "", port_of(address), excepted):
        return ""
    value = environment[name].strip()
    proxy = value if "://" in value else f"http://{value}"
    try:
        parts = urlsplit(proxy)
        conceal(unquote(parts.password or ""), parts.password or "")
        good = bool(parts.scheme in {"http", "https"} and parts.hostname and (parts.port or 1) > 0)
    except ValueError:
        good = False
    if not good:  # it is not shown: it may hold a password
        raise BadParametersError(f"{name} is the address of an HTTP proxy, such as http://proxy:3128")
    return proxy


def port_of(address: str) -> int:
    """The port of an address of HTTP."""
    parts = urlsplit(address)
    return parts.port or (80 if parts.scheme == "http" else 443)


def proxied(proxy: str) -> dict[str, Any]:
    """Arguments of urllib3's ProxyManager: user and password go into a header, and so into no message."""
    parts = urlsplit(proxy)
    user = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    headers = make_headers(proxy_basic_auth=user) if parts.username else {}
    return {"proxy_url": f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}", "proxy_headers": headers}


def pool(proxy: str, **kw: Any) -> PoolManager:
    """Connections through a proxy, or straight where there is none."""
    return ProxyManager(**proxied(proxy), **kw) if proxy else PoolManager(**kw)


def _names(scheme: str) -> list[str]:
    return [form for name in (f"{scheme}_proxy", "all_proxy") for form in (name, name.upper())]


def _is_direct(host: str, port: int, excepted: str) -> bool:
    """Whether a host is this machine, or one of those that NO_PROXY names by name, address or network."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = None
    with suppress(ValueError):
        address = ip_address(host)
    if address and address.is_loopback:
        return True
    return any(_covers(name.strip().lower(), host, port, address) for name in excepted.split(","))


def _covers(name: str, host: str, port: int, address: Any) -> bool:
    """Whether a name of NO_PROXY, which may have a port, means a server."""
    found = WITH_PORT.fullmatch(name)
    if found and int(found[2]) != port:
        return False
    plain = (found[1] if found else name).strip("[]")
    if address is None:
        return plain == "*" or _ends(host, plain.lstrip("*."))
    with suppress(ValueError):
        return plain == "*" or address in ip_network(plain, strict=False)
    return False


def _ends(host: str, name: str) -> bool:
    return bool(name) and f".{host}".endswith(f".{name}")
