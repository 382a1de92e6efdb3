"""Where each thing lies in the store, and which names are possible. Pure functions over strings.

datasets/<municipality>/images/…               what comes in
datasets/<municipality>/catalog.parquet        what is told of it: a row per image
datasets/<municipality>/boxes.jsonl            boxes that people gave, which redact covers: a row per image
results/<municipality>/<digest>/images/…       pictures that go out
results/<municipality>/<digest>/rows/…         what is known about each image
results/<municipality>/<digest>/thumbs/…       small pictures for reports
runs/<run>/run.json, shards/…, report/…        one run
costs/<municipality>/<digest>/…                what its steps took, for the next one's prediction
scratch/<run>/<position>/<shard>.tar           between steps
models/<sha256>                                files that parameters name
jobs/<id>/…                                    what was sent to the image service, and what became of it
cache/<digest>/<sha256[:2]>/<sha256>…          what the image service has made, by the content it was made of
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from urllib.parse import quote, unquote

from imgflow_steps.contract import foreign
from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.store.names import KEY_BYTES, SEGMENT_BYTES, local_name, unstorable

CACHE, JOBS, CLAIMS = "cache/", "jobs/", "jobs-claimed/"  # prefixes of the image service

IMAGE_SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .png .webp .tif .tiff .gif .bmp .dib .mpo .heic .heif .hif .avif".split()  # noqa: SIM905 - reads as a list
)
SYSTEM = frozenset(
    {
        "@eadir",  # previews of a Synology
        "@recycle",
        "@recently-snapshot",
        "@tmp",
        "#recycle",
        "#snapshot",
        "~snapshot",  # of a NetApp
        "$recycle.bin",
        "recycler",
        "system volume information",
        "lost+found",
        "network trash folder",  # of a Mac that shares its disk
        "__macosx",  # what a Mac adds to a zip
    }
)
CUT = 180  # bytes of a name that remain where it would be too long with its suffix
RUN = re.compile(r"[a-z0-9]([-a-z0-9]{0,51}[a-z0-9])?")


def encode(municipality: str) -> str:
    """A municipality as one path segment that no template, shell or URL changes; ``Utrecht`` stays itself.

    Raises BadParametersError for a name that is empty or too long.
    """
    name = unicodedata.normalize("NFC", municipality.strip())
    try:
        segment = quote(name, safe="")
    except UnicodeEncodeError:
        raise BadParametersError("the municipality's name is not Unicode; check the terminal's encoding") from None
    if segment in {".", ".."}:  # quote() leaves dots alone, paths do not
        segment = segment.replace(".", "%2E")
    if not name or len(segment) > SEGMENT_BYTES:
        raise BadParametersError(
            f"a municipality's name has 1 to {SEGMENT_BYTES} characters, percent-encoded; this one has {len(segment)}"
        )
    return segment


def decode(segment: str) -> str:
    """The municipality behind a path segment or a workflow parameter."""
    return unicodedata.normalize("NFC", unquote(segment))


def slug(municipality: str) -> str:
    """A label value for people and selectors: lower case, ASCII, at most 40 characters; "x" when nothing is left."""
    ascii_only = unicodedata.normalize("NFKD", municipality.casefold()).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", ascii_only).strip("-")[:40].strip("-") or "x"


def check_run(run: str) -> str:
    """The run id itself, or BadParametersError when it cannot name a Workflow, its pods and a folder."""
    if not RUN.fullmatch(run):
        raise BadParametersError(
            f"{run!r} cannot name a run: 1 to 53 of a-z, 0-9 and '-', beginning and ending with a letter or digit"
        )
    return run


def problem(image: str) -> str:
    """Why an image's key can never be processed, or "" when it can."""
    if why := unstorable(image):
        return why
    if (length := len(image.encode())) > KEY_BYTES - 128:
        return f"its name has {length} bytes; keys end at {KEY_BYTES}, with room for the result's own prefix"
    return ""


def is_hidden(part: str) -> bool:
    """Whether a part of a key is hidden, or a folder that systems keep for themselves: trash, previews, snapshots."""
    return part.startswith(".") or part.casefold() in SYSTEM or part.endswith("_$folder$")


def is_image(key: str) -> bool:
    """Whether a key may be listed as an image by its name: its suffix is an image's, or it has none, and is not hidden.

    Where it has none its first bytes decide, see ``is_bare``.
    """
    return has_image_name(key) and not any(map(is_hidden, key.split("/")))


def has_image_name(key: str) -> bool:
    """The same of the name alone, hidden or not. Photographs that are not read are listed, too: a run rejects them."""
    name = key.rsplit("/", 1)[-1]
    dot = name.rfind(".")
    return bool(name) and (dot < 0 or name[dot:].lower() in IMAGE_SUFFIXES | foreign.SUFFIXES)


def is_bare(key: str) -> bool:
    """Whether a key's name has no suffix."""
    return "." not in key.rsplit("/", 1)[-1]


def images(municipality: str) -> str:
    """Prefix of a municipality's photographs; ends with '/', so that mun-1 never sees mun-10."""
    return f"datasets/{encode(municipality)}/images/"


def catalog(municipality: str) -> str:
    """What is told of a municipality's photographs: Parquet, a row per image."""
    return f"datasets/{encode(municipality)}/catalog.parquet"


def boxes(municipality: str) -> str:
    """Boxes that people gave for a municipality's photographs."""
    return f"datasets/{encode(municipality)}/boxes.jsonl"


def results(municipality: str, digest: str) -> str:
    """Prefix of everything a pipeline made of a municipality."""
    return f"results/{encode(municipality)}/{digest}/"


def rows(municipality: str, digest: str) -> str:
    """Prefix of the sorted row files: together they are the index of what is done."""
    return results(municipality, digest) + "rows/"


def pruning(municipality: str, digest: str) -> str:
    """The mark of a deletion under way."""
    return results(municipality, digest) + "pruning"


def published(municipality: str, digest: str, image: str, piece: str, suffix: str) -> str:
    """Where a result picture lies. Injective: no two of (image, piece) ever share a key.

    The suffix is always added (``x.jpg`` and ``x.png`` stay apart), a piece follows one tilde, and
    tildes of the last part are doubled. A last part that would grow over 255 bytes is cut and gets two hashes: of the
    image's last part, and of all.
    """
    folder, _, own = image.rpartition("/")
    name = own.replace("~", "~~")
    name = f"{name}~{piece}.{suffix}" if piece else f"{name}.{suffix}"
    if len(name.encode()) > SEGMENT_BYTES:
        name = f"{_cut(name)}~_{_stamp(own)}{_stamp(name)}.{suffix}"
    path = f"{folder}/{name}" if folder else name
    return results(municipality, digest) + "images/" + path


def _cut(name: str) -> str:
    return name.encode()[:CUT].decode(errors="ignore").rstrip("~")  # half a pair would make it another's name


def _stamp(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:16]


def pictures(municipality: str, digest: str, image: str) -> str:
    """Prefix of all pieces of an image, and of other images' whose names begin alike: ``is_of`` tells them apart."""
    folder, slash, name = image.rpartition("/")
    return f"{results(municipality, digest)}images/{folder}{slash}{_cut(name.replace('~', '~~'))}"


def is_of(key: str, image: str) -> bool:
    """Whether the picture at a key below ``pictures`` is of the image."""
    whose = unpublished(key)
    if whose is None or whose[2]:
        return whose is not None and whose[2] == image
    folder, _, own = image.rpartition("/")
    where, _, name = key.split("/", 4)[4].rpartition("/")  # below results/<municipality>/<digest>/images
    return where == folder and name.rpartition("~_")[2].startswith(_stamp(own))


def thumb(municipality: str, digest: str, image: str, version: str, side: str) -> str:
    """Where a small picture for reports lies; side is ``before`` or ``after``."""
    stamp = hashlib.sha256(f"{image}\0{version}".encode()).hexdigest()[:24]
    return f"{results(municipality, digest)}thumbs/{stamp}-{side}.jpg"


def whole_run(run: str) -> str:
    """Prefix of everything about one run."""
    return f"runs/{run}/"


def run_json(run: str) -> str:
    """What the run was asked to do."""
    return f"runs/{run}/run.json"


def selection(run: str) -> str:
    """The images that a run is about, where it is not about all."""
    return f"runs/{run}/selection.jsonl"


def sections(run: str) -> str:
    """What the catalog tells of each image in the column by which the report has sections."""
    return f"runs/{run}/sections.jsonl"


def left_out(run: str) -> str:
    """Near-duplicates that a run leaves out, and what each looks like, as a table."""
    return f"runs/{run}/left-out.csv"


def listing_json(run: str) -> str:
    """What list found and decided."""
    return f"runs/{run}/listing.json"


def progress(run: str) -> str:
    """Prefix of how far each container is with its shard."""
    return f"runs/{run}/progress/"


def shard_progress(run: str, position: int, shard: int) -> str:
    """How far one container is, rewritten while it works."""
    return f"{progress(run)}{position:03d}-{shard:05d}.json"


def prediction_json(run: str) -> str:
    """What list expected the run to take."""
    return f"runs/{run}/prediction.json"


def costs(municipality: str = "", digest: str = "") -> str:
    """Prefix of what runs took: of a municipality's pipeline, of a municipality, of all."""
    return "costs/" + "".join(f"{part}/" for part in (municipality and encode(municipality), digest) if part)


def summary_json(run: str) -> str:
    """How the run ended, written by collect."""
    return f"runs/{run}/summary.json"


def lease(run: str) -> str:
    """Who works on the run just now."""
    return f"runs/{run}/lease.json"


def stopped(run: str) -> str:
    """There when somebody has stopped the run, until it goes on."""
    return f"runs/{run}/stop"


def listing(run: str) -> str:
    """Every listed image in order, for collect to account for."""
    return f"runs/{run}/listing.jsonl"


def manifest(run: str, shard: int) -> str:
    """The images of one shard."""
    return f"runs/{run}/shards/{shard:05d}.jsonl"


def scratch(run: str, position: int, shard: int) -> str:
    """A shard after the step at ``position``."""
    return f"scratch/{run}/{position}/{shard:05d}.tar"


def all_scratch(run: str) -> str:
    """Prefix of all shards between steps."""
    return f"scratch/{run}/"


def results_jsonl(run: str) -> str:
    """One verdict per listed image, whole."""
    return f"runs/{run}/results.jsonl"


def results_csv(run: str) -> str:
    """The same as a flat table."""
    return f"runs/{run}/results.csv"


def logs(run: str) -> str:
    """Prefix of the containers' logs that Argo keeps: a folder per pod, as the chart's artifact repository says."""
    return f"runs/{run}/logs/"


def report(run: str) -> str:
    """Prefix of the report's directory."""
    return f"runs/{run}/report/"


def model(sha256: str, suffix: str) -> str:
    """A file that a parameter names, by its content; the suffix tells people and loaders its kind."""
    return f"models/{sha256}{suffix}"


def cached(digest: str, sha256: str, piece: str, suffix: str) -> str:
    """Where the image service keeps a result, by the SHA-256 of its source."""
    return f"{CACHE}{digest}/{sha256[:2]}/{sha256}{f'~{piece}' if piece else ''}.{suffix}"


def job(identity: str, path: str) -> str:
    """Where the image service keeps a part of a job; with "" the prefix of all of it."""
    return f"{JOBS}{identity}/{path}"


def job_open(identity: str) -> str:
    """The mark of a job that is not closed; with "" the prefix of all of them."""
    return f"jobs-open/{identity}"


def job_claim(client_key: str) -> str:
    """Which job an idempotency key of a client stands for."""
    return f"{CLAIMS}{hashlib.sha256(client_key.encode(errors='surrogatepass')).hexdigest()}"


def in_folder(image: str, piece: str, key: str) -> list[str]:
    """Paths that a result at ``key`` may have in a folder of somebody's, the best readable first.

    ``a/x.jpg`` gives ``a/x.png``, then with its source's whole name ``a/x.jpg.png``, then with a hash of the key. What
    comes of a key that ``published`` did not make may be anything: see ``unstorable``.
    """
    folder, slash, name = image.rpartition("/")
    whole = key.rpartition("/")[2]
    stem, dot, suffix = name.rpartition(".")
    if not (stem and dot + suffix.lower() in IMAGE_SUFFIXES):
        stem = name
    short = f"{stem}~{piece}" if piece else stem
    return [folder + slash + one for one in (f"{short}.{whole.rpartition('.')[2]}", whole, local_name(key))]


def unpublished(key: str) -> tuple[str, str, str] | None:
    """Municipality, digest and image behind what ``published`` gives; None for any other key.

    The image is "" where its name was cut: only a row knows it.
    """
    match = re.fullmatch(r"results/([^/]+)/([0-9a-f]{16})/images/((?:.*/)?)([^/]+)\.[a-z]+", key, re.DOTALL)
    if not match:
        return None
    municipality, digest, folder, name = match.groups()
    whole = re.fullmatch(r"((?:[^~]|~~)*)(?:~[a-z0-9-]+)?", name, re.DOTALL)
    return decode(municipality), digest, folder + whole[1].replace("~~", "~") if whole else ""
