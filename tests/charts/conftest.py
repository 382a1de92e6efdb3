"""helm, and what it renders."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

CHART = Path(__file__).parents[2] / "charts/imgflow"
ARGO = "argoproj.io/v1alpha1/WorkflowTemplate"
OPERATOR = "monitoring.coreos.com/v1/PodMonitor"

Helm = Callable[..., subprocess.CompletedProcess[str]]
Render = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="session")
def helm() -> Helm:
    """Runs helm; a machine without it may skip unless the cluster's tests are required."""
    if not shutil.which("helm"):
        missing = "no helm on PATH; see https://helm.sh/docs/intro/install"
        if "cluster" in os.environ.get("IMGFLOW_REQUIRE", ""):
            pytest.fail(f"IMGFLOW_REQUIRE names cluster, but there is {missing}", pytrace=False)
        pytest.skip(f"there is {missing}")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["helm", *arguments], capture_output=True, text=True, check=False, timeout=300)

    return run


@pytest.fixture(scope="session")
def render(helm: Helm) -> Render:
    """What the chart renders with a values file of ``ci/`` and further flags, once; no cluster is asked."""

    @cache
    def text(values: str, *flags: str) -> str:
        file = CHART / f"ci/{values}-values.yaml"
        there = ("--api-versions", ARGO, "--api-versions", OPERATOR)
        done = helm("template", "imgflow", str(CHART), "-n", "there", "-f", str(file), *there, *flags)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def objects(values: str = "default", *flags: str) -> list[dict[str, Any]]:
        return [document for document in yaml.load_all(text(values, *flags), yaml.CSafeLoader) if document]

    return objects
