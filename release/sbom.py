# noqa: INP001 - part of a script, no package
"""What a release is made of, as CycloneDX, with the same bytes for the same commit: no clock, and no random number."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import Distribution
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from release import audit

ROOT = Path(__file__).parents[1]
REQUIRED = ROOT / "release/locks/wheel.txt"


def of_wheel(wheel: Path, version: str, epoch: int) -> str:
    """The wheel with its hash, and the versions of all that it requires that tests ran with, under their licences."""
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    itself = _component("imgflow", version, {project["license"]})
    itself.type = ComponentType.APPLICATION
    itself.hashes.add(HashType(alg=HashAlgorithm.SHA_256, content=digest))

    installed, words = audit.here(), audit.words()
    required: dict[str, list[Component]] = {}  # several versions where a newer Python gets a newer one
    for name, pinned in audit.PIN.findall(REQUIRED.read_text()):
        required.setdefault(name, []).append(_component(name, pinned, _licences(installed.get(name), words)))

    bom = Bom(
        components=[one for versions in required.values() for one in versions],
        serial_number=uuid5(NAMESPACE_URL, digest),
        metadata=BomMetaData(component=itself, timestamp=datetime.fromtimestamp(epoch, UTC)),
    )
    bom.register_dependency(itself, _known(project["dependencies"], required))
    for name, versions in required.items():
        for one in versions:
            bom.register_dependency(one, _known(_requirements(installed.get(name)), required))
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"


def _component(name: str, version: str, said: set[str]) -> Component:
    url = PackageURL("pypi", None, name, version)
    licences = [LicenseFactory().make_from_string(one) for one in sorted(said)]
    return Component(name=name, version=version, purl=url, bom_ref=str(url), licenses=licences)


def _licences(found: Distribution | None, words: dict[str, str]) -> set[str]:
    if found is None:  # of another platform
        return set()
    expression = found.metadata.get("License-Expression")
    return {expression} if expression else audit.licences(found, words)


def _requirements(found: Distribution | None) -> list[str]:
    return found.requires or [] if found else []


def _known(requirements: list[str], required: Mapping[str, list[Component]]) -> list[Component]:
    """What is required, whatever the machine and without extras, in all versions that are pinned."""
    always = (one for one in map(Requirement, requirements) if "extra ==" not in str(one.marker))
    names = {canonicalize_name(one.name) for one in always}
    return [one for name in sorted(names & required.keys()) for one in required[name]]


def of_container(lock: Path, into: Path) -> None:
    """Write what one container image holds of PyPI, from the hashes that it is built with."""
    words = ["requirements", str(lock), "--pyproject", str(ROOT / "pyproject.toml"), "--output-reproducible"]
    command = [sys.executable, "-m", "cyclonedx_py", *words, "-o", str(into)]
    subprocess.run(command, check=True, capture_output=True)
