"""Who may import whom and what, how long a module is, and what no file may say."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PACKAGES = [
    "steps/imgflow_steps",
    "workflows/imgflow_workflows",
    "cli/imgflow_cli",
    "client/imgflow",
    "service/imgflow_service",
]
OURS = [*PACKAGES, "tests", "bench", "images", "charts", ".ci"]
LINES = 400
NAMES = {"utils", "util", "common", "core", "helper", "helpers", "manager", "misc"}
ELSEWHERE = re.compile(
    r"/(?:home|Users)/(?!user/|nonroot)[a-z]\w*/"  # somebody's home
    r"|--(?:extra-)?index-url|https?://\S+/simple\b"  # somebody's package registry
)
DECLARATIONS = [
    "imgflow_steps.pipeline.model",
    "imgflow_steps.pipeline.lint",
    "imgflow_steps.records.sharding",
    "imgflow_steps.records.keys",
    "imgflow_workflows.submit.default",
    "imgflow_workflows.submit.launch",  # tells a webhook at the end of a run, if there is one
    "imgflow_steps.__main__",  # the start of every container…
    "imgflow_steps.worker.pool",  # …whose computing processes alone touch pixels
    "imgflow",
]
HEAVY = {"PIL", "numpy", "cv2", "minio", "hera", "onnxruntime", "kubernetes", "rich", "typer"}
HEAVY |= {"pandas", "pyarrow", "duckdb", "IPython", "urllib3"}
PART_OF = {"pydantic_core", "IPython"}  # of pydantic, and of any notebook that shows what is imported with it


def files(root: Path, folders: list[str]) -> Iterator[Path]:
    for folder in folders:
        for path in sorted((root / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path


@pytest.mark.parametrize("module", DECLARATIONS)
def test_declarations_load_nothing_heavy(module: str) -> None:
    script = f"import sys, {module}; print(sorted({HEAVY!r} & set(sys.modules)))"

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_import_contracts_are_kept(root: Path) -> None:
    lint = Path(sys.executable).with_name("lint-imports")

    done = subprocess.run([lint, "--no-cache"], cwd=root, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout


def test_every_library_that_is_imported_is_declared(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    declared = {canonicalize_name(Requirement(one).name) for one in wanted}
    trees = (ast.parse(path.read_text(encoding="utf-8")) for path in files(root, PACKAGES) if path.suffix == ".py")
    nodes = [node for tree in trees for node in ast.walk(tree)]
    modules = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    known = packages_distributions()

    of = {name: {canonicalize_name(one) for one in known.get(name, [])} for name in {m.split(".")[0] for m in modules}}

    ours = {Path(package).name for package in PACKAGES}
    foreign = {name for name in of if name not in sys.stdlib_module_names | ours | PART_OF}
    assert {name: of[name] for name in foreign if not of[name] & declared} == {}


def test_no_module_outgrows_a_reader_s_patience(root: Path) -> None:
    lengths = {
        path.relative_to(root): len(path.read_text(encoding="utf-8").splitlines())
        for path in files(root, [*PACKAGES, "tests"])
        if path.suffix == ".py"
    }

    assert {str(path): length for path, length in lengths.items() if length > LINES} == {}


def test_no_module_is_called_something_that_says_nothing(root: Path) -> None:
    assert [str(path) for path in files(root, OURS) if path.stem in NAMES] == []


def test_no_file_says_where_it_was_written(root: Path) -> None:
    found = {}
    for path in [*files(root, OURS), *root.glob("*.md"), *root.glob("*.toml"), root / "Makefile"]:
        if path == Path(__file__):
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:  # a picture or a model
            continue
        if match := ELSEWHERE.search(text) or re.search(re.escape(f"{root}/"), text):
            found[str(path.relative_to(root))] = match.group()

    assert found == {}
