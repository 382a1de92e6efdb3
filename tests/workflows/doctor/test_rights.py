"""The Role that the documentation gives to people, against what imgflow asks of a cluster for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests import clusters

from imgflow_workflows.doctor.checks import State
from imgflow_workflows.doctor.namespace import checks
from imgflow_workflows.doctor.namespace_survey import survey
from imgflow_workflows.doctor.rights import RIGHTS

DOCUMENTED = Path(__file__).parents[3] / "docs/operations.md"


def role() -> list[dict[str, Any]]:
    """The rules of the one Role on the page."""
    [block] = [part for part in DOCUMENTED.read_text(encoding="utf-8").split("```yaml\n") if "kind: Role\n" in part]
    found: list[dict[str, Any]] = yaml.safe_load(block.partition("```")[0])["rules"]
    return found


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[clusters.Api]:
    with clusters.api(tmp_path) as served:
        clusters.use(served.kubeconfig, monkeypatch)
        served.answers["/version/"] = {"gitVersion": "v1.34.1"}
        yield served


def lacking(rules: list[dict[str, Any]]) -> list[str]:
    """Rights that these rules do not grant."""
    asked = clusters.Api(Path(), rules=rules)
    return [right.name for right in RIGHTS if not asked.may(right.attributes)]


def test_under_exactly_the_documented_role_the_doctor_finds_no_right_missing(api: clusters.Api) -> None:
    api.rules = role()

    [found] = [check for check in checks(survey("city")) if check.name == "rights"]

    assert (found.state, found.mend) == (State.OK, "")


def test_every_rule_and_every_object_of_the_documented_role_is_used() -> None:
    assert lacking(role()) == []
    for rule in role():
        others = [one for one in role() if one != rule]
        for name in rule.get("resourceNames", [""]):
            left = [one for one in rule.get("resourceNames", []) if one != name]
            assert lacking([*others, {**rule, "resourceNames": left}]), (rule, name)


def test_a_role_for_all_objects_of_a_kind_grants_each_of_them() -> None:
    assert lacking([{k: v for k, v in rule.items() if k != "resourceNames"} for rule in role()]) == []


def test_what_the_doctor_says_of_a_right_is_how_kubectl_would_ask_for_it() -> None:
    names = {right.name for right in RIGHTS}

    assert len(names) == len(RIGHTS)
    assert {"get configmaps/imgflow-store", "get workflowtemplates.argoproj.io/imgflow", "get pods/log"} <= names
