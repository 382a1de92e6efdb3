"""What the words of a store, or of Argo about a store, mean; wherever they were found."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from imgflow_workflows.doctor.findings import Diagnosis, Evidence

if TYPE_CHECKING:
    from imgflow_workflows.doctor.snapshot import Snapshot

# Our own words and those of Argo's S3 client, most telling first.
WORDS = {
    "wrong-credentials": r"InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|InvalidToken"
    r"|Access Key Id you provided does not exist|signature we calculated does not match",
    "no-bucket": r"NoSuchBucket|specified bucket does not exist|bucket does not exist",
    "denied": r"AccessDenied|Access Denied",
    "store-away": r"check that the server runs|has no ready pod behind|see whether the server is well"
    r"|the answer is not an answer of S3|: TLS: |check HTTPS_PROXY"
    r"|dial tcp|no such host|connection refused|Connection refused|NewConnectionError",
}
WHAT = {
    "wrong-credentials": "the store does not accept the credentials",
    "no-bucket": "the store's bucket does not exist",
    "denied": "the store does not allow these credentials what the run needs: to list, read, write and delete",
    "store-away": "the store does not answer",
}


def meaning(snapshot: Snapshot, text: str, evidence: Evidence) -> Diagnosis | None:
    """What ``text`` says is wrong with the store, if it does."""
    for cause, words in WORDS.items():
        if found := re.search(words, text):
            if cause == "wrong-credentials" and snapshot.secret_works:
                return _changed(snapshot, found[0], text, evidence)
            said = Evidence(evidence.pod, evidence.node, evidence.reason or found[0], text, evidence.time)
            return Diagnosis(cause, WHAT[cause], (said,), _mend(snapshot, cause))
    return None


def _changed(snapshot: Snapshot, word: str, text: str, evidence: Evidence) -> Diagnosis:
    """Pods keep the credentials that they began with; a Secret that the store takes now is not to blame."""
    said = Evidence(evidence.pod, evidence.node, evidence.reason or word, text, evidence.time)
    what = (
        "the store did not accept the credentials that pods began with; it accepts those that Secret imgflow-s3 has now"
    )
    return Diagnosis("wrong-credentials", what, (said,), (f"{snapshot.retry}  # new pods have them",))


def _mend(snapshot: Snapshot, cause: str) -> tuple[str, ...]:
    if snapshot.engine != "argo":
        return (*HERE[cause], f"{snapshot.retry}  # resumes")
    secret = f"{snapshot.kubectl} edit secret imgflow-s3  # as the S3 server knows them, base64-encoded"
    server = f"{snapshot.kubectl} get pods,endpointslices  # is the store's pod ready?"
    mend = {
        "wrong-credentials": (secret,),
        "no-bucket": (f"{snapshot.helm()}  # makes the bucket that ConfigMap imgflow-store names",),
        "denied": (secret, f"{snapshot.command} doctor  # shows which right is missing"),
        "store-away": (server, f"{snapshot.kubectl} get configmap imgflow-store -o yaml  # is the endpoint right?"),
    }
    return (*mend[cause], f"{snapshot.retry}  # resumes")


HERE = {
    "wrong-credentials": ("export AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=…  # as the S3 server knows them",),
    "no-bucket": ("imgflow config  # does the setting store name the right bucket, endpoint the right server?",),
    "denied": ("imgflow doctor  # shows which right is missing",),
    "store-away": ("imgflow config  # is the endpoint right, and does the server run?",),
}
