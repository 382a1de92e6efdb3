"""The environment variables that say where an S3 server is, who asks, and whom to trust; loads no client."""

from __future__ import annotations

VARIABLES = {  # by the field of S3Settings; of several the first one wins
    "endpoint": ("IMGFLOW_S3_ENDPOINT", "AWS_ENDPOINT_URL"),
    "region": ("AWS_REGION", "AWS_DEFAULT_REGION"),
    "access_key": ("AWS_ACCESS_KEY_ID",),
    "secret_key": ("AWS_SECRET_ACCESS_KEY",),
    "session_token": ("AWS_SESSION_TOKEN",),
    "etags": ("IMGFLOW_S3_ETAG",),
}
BUNDLES = ("AWS_CA_BUNDLE", "SSL_CERT_FILE")  # files with the authorities that vouch for the server; the first one wins
