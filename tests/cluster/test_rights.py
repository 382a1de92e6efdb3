"""Every command by somebody who has exactly the Role of docs/operations.md, on a real cluster."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from tests import photographs
from tests.cluster.conftest import run
from tests.workflows.doctor.test_rights import role

from imgflow_cli.app import COMMANDS

if TYPE_CHECKING:
    from tests.cluster.conftest import Place

pytestmark = pytest.mark.cluster

# These ask no cluster, or nothing that others of the list do not ask: of a run's results, as export and query do.
ELSEWHERE = {"serve", "send", "try", "lint", "steps", "completion", "version", "view", "evaluate"}
# In this order; each ends with 0. OUT is a folder of the test's own.
LINES = """
config
doctor
ingest OUT/in -m citizen
boxes OUT/boxes.csv -m citizen
boxes -m citizen
plan -m citizen
render -m citizen
submit -m citizen --run citizens --steps scale:64x64 --wait
submit -m citizen --run citizens-nightly --steps scale:64x64 --cron "0 3 * * *"
ls
get citizens
watch citizens
report citizens
logs citizens
why 0.jpg -m citizen
tune citizens
diff citizens citizens
verify citizens
query "SELECT count(*) FROM results" -m citizen
similar 0.jpg -m citizen
fetch citizens OUT/fetched
export OUT/exported -m citizen
doctor citizens
retry citizens --wait
process OUT/in OUT/out --steps scale:32x32
prune -m citizen
prune -m citizen --older-than 0h --yes
submit -m citizen --run citizens-last --steps scale:48x48
stop citizens-last
delete citizens --yes
"""


@pytest.fixture
def citizen(place: Place, tmp_path: Path) -> dict[str, str]:
    """The environment of somebody who has exactly the documented Role."""
    rules = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "imgflow-user"}}
    file = tmp_path / "role.yaml"
    file.write_text(yaml.safe_dump({**rules, "rules": role()}))
    place.kubectl("apply", "-f", str(file))
    who = f"--serviceaccount={place.namespace}:citizen"
    place.kubectl("create", "serviceaccount", "citizen")
    place.kubectl("create", "rolebinding", "citizen", "--role=imgflow-user", who)
    token = place.kubectl("create", "token", "citizen").strip()
    config = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())
    for user in config["users"]:
        user["user"] = {"token": token}
    mine = tmp_path / "kubeconfig"
    mine.write_text(yaml.safe_dump(config))
    return {"KUBECONFIG": str(mine)}


Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def imgflow(place: Place, citizen: dict[str, str]) -> Command:
    """The command line of that person, who has nothing else: where the store is, the cluster says."""

    def said(*arguments: str) -> subprocess.CompletedProcess[str]:
        where = {"IMGFLOW_ENGINE": "argo", "IMGFLOW_NAMESPACE": place.namespace, **citizen}
        return run(sys.executable, "-m", "imgflow_cli", *arguments, **where)

    return said


def test_under_exactly_the_documented_role_everything_works_and_doctor_warns_of_nothing(
    place: Place, imgflow: Command, tmp_path: Path
) -> None:
    photographs.folder(tmp_path / "in", 1)
    (tmp_path / "boxes.csv").write_text("image,x0,y0,x1,y1\na/000.jpg,1,1,9,9\n")
    lines = [shlex.split(line.replace("OUT", str(tmp_path))) for line in LINES.strip().splitlines()]
    assert {line[0] for line in lines} == COMMANDS.keys() - ELSEWHERE
    try:
        for line in lines:
            done = imgflow(*line)
            assert done.returncode == 0, f"imgflow {shlex.join(line)}\n{done.stdout}\n{done.stderr}"
        checks = json.loads(imgflow("doctor", "-o", "json").stdout)["checks"]
    finally:
        place.kubectl("delete", "cronworkflow", "citizens-nightly", "--ignore-not-found")
    assert [one for one in checks if one["state"] == "wrong"] == []
    assert {one["name"]: one["state"] for one in checks if one["name"] in {"rights", "limits", "quotas"}} == {
        "rights": "ok",
        "limits": "ok",
        "quotas": "ok",
    }
