# noqa: INP001 - a script beside what it describes, no package
"""What releases are made of: licences of all packages in container images and of the wheel, and hashes of all pins.

``make audit`` says what is wrong and ends with 1. What it cannot see here it names.
"""

from __future__ import annotations

import re
import sys
import tomllib
from importlib.metadata import Distribution, distributions
from pathlib import Path

ROOT = Path(__file__).parents[1]
LIST = ROOT / "release/licences.toml"
PIN = re.compile(r"^([a-z0-9][a-z0-9.-]*)==([^\s\\]+)", re.MULTILINE)
LOCKS = {"images/*/requirements.txt": "make pins", "release/locks/*.txt": "make lock"}  # and what writes them
HASHED = re.compile(r"--hash=sha256:[0-9a-f]{64}")
BASE = re.compile(r"^FROM (?:--\S+ )*(\S+)(?: AS (\S+))?", re.MULTILINE | re.IGNORECASE)
ARGUMENT = re.compile(r"^ARG (\w+)=(\S+)", re.MULTILINE)
STARTED = re.compile(r"^\s*image: (?:&\w+ )?([\w./:@-]+)", re.MULTILINE)  # by compose.yaml and by the chart
OURS = "localhost/imgflow-"  # what images/build makes of the others


def held() -> set[str]:
    """All packages that any container image holds or the wheel requires, by normalised name."""
    locks = [*ROOT.glob("images/*/requirements.txt"), ROOT / "release/locks/wheel.txt"]
    return {name for lock in locks for name, _ in PIN.findall(lock.read_text())}


def licences(found: Distribution, meant: dict[str, str]) -> set[str]:
    """What a package says of itself, as SPDX where that is known."""
    about = found.metadata
    if expression := about.get("License-Expression"):
        return set(re.split(r" AND | OR |[()]", expression)) - {""}
    classifiers = [one.rpartition(" :: ")[2] for one in about.get_all("Classifier") or [] if one.startswith("License")]
    said = classifiers or [(about.get("License") or "unknown").strip().partition("\n")[0]]
    return {meant.get(one, one) for one in said}


def words() -> dict[str, str]:
    """What older packages call a licence, and what that is as SPDX."""
    known: dict[str, str] = tomllib.loads(LIST.read_text(encoding="utf-8"))["words"]
    return known


def strange(installed: dict[str, Distribution], names: set[str]) -> list[str]:
    """Packages under a licence that nobody has looked at."""
    known = tomllib.loads(LIST.read_text(encoding="utf-8"))
    looked_at = {name: licences(installed[name], words()) for name in names & installed.keys()}
    more = {name: of - set(known["allowed"]) for name, of in sorted(looked_at.items()) if name not in known["packages"]}
    return [
        f"{name}: {', '.join(sorted(of))}; look at it, and add it to release/licences.toml or drop it"
        for name, of in more.items()
        if of
    ]


def without_hash(root: Path = ROOT) -> list[str]:
    """Lines of locks that would install whatever an index has."""
    return [
        f"{lock.relative_to(root)}: {line.strip()} has no hash; run {renewed}"
        for places, renewed in LOCKS.items()
        for lock in sorted(root.glob(places))
        for line in lock.read_text().replace("\\\n", " ").splitlines()
        if line.strip() and not line.startswith("#") and not HASHED.search(line)
    ]


def bases(dockerfile: str) -> set[str]:
    """What a Dockerfile begins with unless somebody sets its arguments; stages of its own do not count."""
    given = dict(ARGUMENT.findall(dockerfile))
    found = BASE.findall(dockerfile)
    named = {re.sub(r"\$\{?(\w+)\}?", lambda match: given.get(match[1], match[0]), base) for base, _stage in found}
    return named - {stage for _base, stage in found}


def moving(root: Path = ROOT) -> dict[str, list[str]]:
    """Container images of others that are named by a tag, not by a digest, and where."""
    found: dict[str, set[str]] = {
        str(file.relative_to(root)): bases(file.read_text()) for file in root.glob("images/*/Dockerfile")
    }
    for name in ("compose.yaml", "charts/imgflow/values.yaml"):
        found[name] = set(STARTED.findall((root / name).read_text()))
    return {
        image: sorted(name for name, images in found.items() if image in images)
        for image in sorted(set().union(*found.values()))
        if "@sha256:" not in image and not image.startswith(OURS)
    }


def here() -> dict[str, Distribution]:
    """What is installed beside this script."""
    return {re.sub(r"[-_.]+", "-", one.metadata["Name"]).lower(): one for one in distributions()}


def main() -> int:
    """Say what is wrong, and what was not looked at; gives the exit code."""
    installed, names = here(), held()
    wrong = [*strange(installed, names), *without_hash()]
    for line in wrong:
        sys.stderr.write(f"{line}\n")
    seen = len(names & installed.keys())
    sys.stdout.write(f"{seen} of {len(names)} packages of images and wheel have a licence that was looked at\n")
    if unseen := sorted(names - installed.keys()):
        sys.stdout.write(f"not looked at, since they are not installed here: {', '.join(unseen)}\n")
    for image, places in moving().items():
        more = f" and {len(places) - 1} more" if len(places) > 1 else ""
        sys.stdout.write(f"without a digest: {image}, in {places[0]}{more}\n")
    sys.stdout.write(
        "not looked at: advisories; where their service can be reached, run pip-audit on images/*/requirements.txt\n"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
