"""Whom a whole folder is compared with, each as its own documentation tells to write it.

``python peers.py NAME IN OUT --side 1024 768 --workers 2`` writes every JPEG below IN, scaled into the box and grey, to
OUT, and prints the seconds that took. Loading the framework and starting it does not count, since with more
images it would count for nothing. It runs under a Python that has the frameworks, and knows nothing of imgflow.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Callable
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

QUALITY = 85

Box = tuple[int, int]
Work = Callable[[], object]


def small(data: bytes, box: Box) -> Image.Image:
    """Pillow as everybody writes it first: decode, turn upright, LANCZOS into the box."""
    with Image.open(BytesIO(data)) as opened:
        image = ImageOps.exif_transpose(opened)
    if image.width > box[0] or image.height > box[1]:
        image = ImageOps.contain(image, box, Image.Resampling.LANCZOS)
    return image


def write(path: str, data: bytes, out: Path, box: Box) -> int:
    """The naive chain for one file that has been read; says how many bytes came out."""
    encoded = BytesIO()
    small(data, box).convert("L").save(encoded, "JPEG", quality=QUALITY)
    return (out / Path(path).name).write_bytes(encoded.getvalue())


def pool(folder: Path, out: Path, box: Box, workers: int) -> Work:
    """A plain multiprocessing pool."""

    def work() -> None:
        with multiprocessing.Pool(workers) as processes:
            processes.map(partial(_file, out=out, box=box), sorted(folder.rglob("*.jpg")), chunksize=1)

    return work


def _file(path: Path, out: Path, box: Box) -> int:
    return write(str(path), path.read_bytes(), out, box)


def ray(folder: Path, out: Path, box: Box, workers: int) -> Work:
    """Ray Data, reading and writing in its own tasks."""
    import ray  # noqa: PLC0415 - a framework of several, and slow to load

    ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False

    def one(row: dict[str, Any]) -> dict[str, int]:
        return {"bytes": write(row["path"], row["bytes"], out, box)}

    return lambda: ray.data.read_binary_files(str(folder), include_paths=True).map(one).materialize()


def daft(folder: Path, out: Path, box: Box, workers: int) -> Work:
    """Daft on its native runner, the naive chain as a function over rows in ``workers`` processes."""
    import daft  # noqa: PLC0415 - a framework of several, and slow to load

    daft.set_runner_native()

    @daft.cls(use_process=True, max_concurrency=workers)
    class Naive:
        def __call__(self, path: str, data: bytes) -> int:
            return write(path, data, out, box)

    one = Naive()
    frame = daft.from_glob_path(f"{folder}/*.jpg")
    path = daft.col("path")
    return lambda: frame.select(one(path, path.download())).to_pydict()


def img2dataset(folder: Path, out: Path, box: Box, workers: int) -> Work:
    """img2dataset, its downloader on file URLs; it keeps colour, and its box is a square."""
    from img2dataset import download  # noqa: PLC0415 - as above

    urls = [path.as_uri() for path in sorted(folder.rglob("*.jpg"))]
    listing = out.parent / "urls.txt"
    listing.write_text("\n".join(urls), encoding="utf-8")
    return partial(
        download,
        url_list=str(listing),
        output_folder=str(out),
        processes_count=workers,
        thread_count=8,
        image_size=max(box),
        resize_mode="keep_ratio_largest",
        resize_only_if_bigger=True,
        encode_quality=QUALITY,
        number_sample_per_shard=-(-len(urls) // workers),  # it loads itself anew for each
    )


PEERS: dict[str, Callable[[Path, Path, Box, int], Work]] = {
    "pool": pool,
    "ray": ray,
    "daft": daft,
    "img2dataset": img2dataset,
}


def main() -> None:
    """Run one of them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--side", type=int, nargs=2, default=(1024, 768))
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    work = PEERS[asked.peer](asked.folder.resolve(), asked.out.resolve(), tuple(asked.side), asked.workers)
    started = time.perf_counter()
    work()
    print(time.perf_counter() - started, flush=True)


if __name__ == "__main__":
    main()
