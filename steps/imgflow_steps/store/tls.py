"""What is wrong with a connection that should be safe, in words that name TLS as the cause and what to do."""

from __future__ import annotations

import os
import ssl
from functools import lru_cache
from pathlib import Path

from urllib3.exceptions import MaxRetryError, ProxyError, SSLError

from imgflow_steps.contract.step import BadParametersError

PLAIN = (
    "WRONG_VERSION_NUMBER",
    "HTTP_REQUEST",
    "RECORD_LAYER_FAILURE",
    "PACKET_LENGTH_TOO_LONG",
)  # an answer without TLS
WANTED = "HTTP request to an HTTPS server"  # as Go's servers say it, MinIO among them
HOST, ADDRESS, EXPIRED, NOT_YET = 62, 64, 10, 9  # OpenSSL's numbers for what is wrong with a certificate
NAME = "use the name for which the certificate was made as the endpoint"
MENDS = {
    HOST: NAME,
    ADDRESS: NAME,
    EXPIRED: "have the server's certificate renewed",
    NOT_YET: "set the clock of this machine",
}
AUTHORITY = "set AWS_CA_BUNDLE to a file with the certificate of the authority that signed the server's"


def fault(error: BaseException | None) -> ssl.SSLError | None:
    """What TLS says of a request that it kept from being answered, or None where TLS is not the cause."""
    if isinstance(error, MaxRetryError):
        error = error.reason
    if isinstance(error, ProxyError):
        error = error.original_error
    if isinstance(error, SSLError):
        error = next((one for one in (*error.args, error.__cause__) if isinstance(one, ssl.SSLError)), None)
    return error if isinstance(error, ssl.SSLError) else None


def is_final(error: BaseException | None) -> bool:
    """Whether asking again is no use: the certificate stays the same."""
    found = fault(error)
    return isinstance(found, ssl.SSLCertVerificationError) or bool(found and found.reason in PLAIN)


def said(error: ssl.SSLError) -> str:
    """What is wrong, and what to do."""
    if isinstance(error, ssl.SSLCertVerificationError):
        mend = MENDS.get(error.verify_code, AUTHORITY)
        return f"TLS: the server's certificate is not trusted: {error.verify_message.rstrip('.')}; {mend}"
    if error.reason in PLAIN:
        return "TLS: the server answers without it; write the endpoint with http://, or give the port that speaks TLS"
    why = (error.reason or error.strerror or str(error)).replace("_", " ").lower()
    return (
        f"TLS: no safe connection ({why}); see whether the server wants a client certificate or other versions of TLS"
    )


@lru_cache(maxsize=8)
def checked(bundle: str, variable: str) -> str:
    """A file of authorities. Raises BadParametersError, naming the variable, when there are none in it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(bundle)
    except ssl.SSLError:
        why = "it holds no certificate in PEM form"
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
    else:
        return os.fspath(Path(bundle))
    raise BadParametersError(f"{variable} names {bundle}, which cannot be used as authorities for TLS: {why}")
