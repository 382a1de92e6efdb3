"""The chart is upgraded to another tag of the container images, and back, while a run is under way."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from tests import photographs
from tests.cluster.conftest import CHART, TAG, ok
from tests.cluster.test_faults import wait_until

from imgflow_steps.records import keys

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.conftest import Place

pytestmark = [pytest.mark.cluster, pytest.mark.nodes]

NEXT = f"{TAG}-next"
CONTAINERS = ("list", "fused", "collect")
IMAGES = 4


def upgrade(place: Place, tag: str) -> None:
    """As docs/operations.md says."""
    kept = ("--reset-then-reuse-values", "--wait", "--timeout", "240s", "--set", f"containers.tag={tag}")
    ok("helm", "upgrade", "imgflow", str(CHART), "-n", place.namespace, *kept)


@pytest.fixture
def another_tag(place: Place) -> Iterator[str]:
    """The same container images under another tag, on every node; afterwards the chart has the first one again."""
    names = [f"localhost/imgflow-{container}" for container in CONTAINERS]
    for name in names:
        ok("podman", "tag", f"{name}:{TAG}", f"{name}:{NEXT}")
    ok(os.environ["IMGFLOW_CLUSTER"], "load", *(f"{name}:{NEXT}" for name in names))
    yield NEXT
    upgrade(place, TAG)


def tags(workflow: dict[str, Any]) -> set[str]:
    """Tags of the container images that a Workflow's pods have."""
    templates = workflow["spec"]["templates"]  # another pipeline than the template's brings its own
    return {one["container"]["image"].rpartition(":")[2] for one in templates if "container" in one}


def test_a_run_ends_with_the_tag_with_which_it_began_and_the_next_one_has_the_new_tag_and_all_results(
    place: Place, another_tag: str
) -> None:
    municipality, began, later = f"Upgrade {uuid4().hex[:8]}", f"began-{uuid4().hex[:8]}", f"later-{uuid4().hex[:8]}"
    for i in range(IMAGES):
        place.store.write(f"{keys.images(municipality)}{i}.jpg", photographs.jpeg(i))
    submit = ("submit", "-m", municipality, "--steps", "scale:32x32", "--layout", "fused")
    assert place.imgflow(*submit, "--run", began).returncode == 0
    wait_until("its listing", lambda: place.store.stat(keys.listing_json(began)))
    place.argo("suspend", began)

    upgrade(place, another_tag)
    place.argo("resume", began)
    first = place.ended(began)
    done = place.imgflow(*submit, "--run", later, "--wait")
    second = place.workflow(later)

    assert first["status"]["phase"] == "Succeeded"
    assert tags(first) == {TAG}
    assert place.summary(began)[1].counts.processed == IMAGES
    assert done.returncode == 0, done.stderr
    assert tags(second) == {another_tag}
    assert place.summary(later)[1].counts.cached == IMAGES
