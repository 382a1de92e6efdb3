#!/usr/bin/env python3
"""Build what a release consists of, the same bytes for the same commit: wheel, sdist, chart package, SBOMs, checksums.

``make release`` writes ``dist``; ``make version VERSION=0.2.0`` writes a version into every place that has one.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from release import audit, sbom

ROOT = Path(__file__).parents[1]
CHART = ROOT / "charts/imgflow"
PLACES = {  # every file with the version of this project, and what stands around it
    "steps/imgflow_steps/__init__.py": r'(?m)^__version__ = "(.+)"$',
    "pyproject.toml": r'(?m)^version = "(.+)"$',
    "charts/imgflow/Chart.yaml": r"(?m)^(?:version|appVersion): (.+)$",
    "CHANGELOG.md": r"(?m)\A(?:(?!^## ).*\n)*^## \[(.+)\]",
    "README.md": r"(?:TAG|containers\.tag)=(\d[\w.]*)",
    "docs/cluster.md": r"(?:TAG=|containers\.tag=|imgflow-scale:)(\d[\w.]*)",
}


def versions(root: Path = ROOT) -> dict[str, set[str]]:
    """The versions in each place; a release has one."""
    return {name: set(re.findall(around, (root / name).read_text(encoding="utf-8"))) for name, around in PLACES.items()}


def write_version(version: str, root: Path = ROOT) -> None:
    """Write a version into every place; the changelog's newest heading, too."""
    if not re.fullmatch(r"\d+\.\d+\.\d+(rc\d+)?", version):
        raise SystemExit(f"{version!r} is not a version such as 0.2.0 or 0.2.0rc1")
    for name, around in PLACES.items():
        path = root / name
        text = path.read_text(encoding="utf-8")
        for match in reversed(list(re.finditer(around, text))):
            text = text[: match.start(1)] + version + text[match.end(1) :]
        path.write_text(text, encoding="utf-8")


def build(into: Path, images: list[str] | None = None) -> list[Path]:
    """All files of a release, ``images`` are those whose SBOM is wanted; raises CalledProcessError."""
    [version] = set.union(*versions().values())
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    epoch = _git("log", "-1", "--format=%ct") or "315532800"  # 1980, the first that a zip can say
    environment = {**os.environ, "SOURCE_DATE_EPOCH": epoch}
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(into)]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    package_chart(into / f"imgflow-{version}.tgz", int(epoch))
    (into / "sbom").mkdir()
    [wheel] = into.glob("*.whl")
    (into / f"sbom/imgflow-{version}.cdx.json").write_text(sbom.of_wheel(wheel, version, int(epoch)), encoding="utf-8")
    locks = [lock for lock in sorted(ROOT.glob("images/*/requirements.txt")) if _wanted(lock, images)]
    with ThreadPoolExecutor(2) as pool:
        names = [into / f"sbom/imgflow-{lock.parent.name}-{version}.cdx.json" for lock in locks]
        for _written in pool.map(sbom.of_container, locks, names):
            pass
    files = sorted(path for path in into.rglob("*") if path.is_file())
    sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(into).as_posix()}\n" for path in files]
    (into / "SHA256SUMS").write_text("".join(sums), encoding="ascii")
    return [*files, into / "SHA256SUMS"]


def _wanted(lock: Path, images: list[str] | None) -> bool:
    return images is None or lock.parent.name in images


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S607 - a developer's
    return done.stdout.strip()


def package_chart(path: Path, epoch: int) -> None:
    """The chart as ``helm package`` packs it, with the time of the commit in place of the clock."""
    ignored = [line.rstrip("/") for line in (CHART / ".helmignore").read_text().splitlines() if line and line[0] != "#"]
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for file in sorted(CHART.rglob("*"), key=lambda file: (file.name != "Chart.yaml", file.as_posix())):
            name = file.relative_to(CHART)
            if file.is_file() and name.parts[0] not in ignored:
                entry = tarfile.TarInfo(f"imgflow/{name.as_posix()}")
                entry.size, entry.mtime, entry.mode = file.stat().st_size, epoch, 0o644
                with file.open("rb") as data:
                    archive.addfile(entry, data)
    path.write_bytes(gzip.compress(packed.getvalue(), mtime=epoch))


def steps(version: str) -> str:
    """What a person has to do with the files, and where."""
    [python] = audit.bases((ROOT / "images/base/Dockerfile").read_text(encoding="utf-8"))
    name, _, digest = python.partition("@")
    of = f"PYTHON_IMAGE={re.sub(r':[^:/]+$', '', name)}@{digest or 'sha256:…'}"
    said = f"""
Nothing was pushed. To publish {version}, a person with the rights:
  1. git tag --sign v{version} && git push --tags        the tag, in the repository
  2. twine upload dist/*.whl dist/*.tar.gz               wheel and sdist, to a Python package index
  3. make containers PREFIX=REGISTRY/imgflow- TAG={version} {of}
     then docker push each                               container images, to a registry
  4. helm push dist/imgflow-{version}.tgz oci://REGISTRY/charts      the chart, to the same registry
  5. attach dist/SHA256SUMS, signed, and dist/sbom/* to the release's page
"""
    return (
        said
        if digest
        else f"{said}\nWARNING: {python} is a tag that moves: for 3. look up its digest, see docs/operations.md\n"
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--version"]:
        write_version(sys.argv[2])
    else:
        for made in build(ROOT / "dist"):
            sys.stdout.write(f"{made.relative_to(ROOT)}\n")
        sys.stdout.write(steps(*set.union(*versions().values())))
