"""Open a model once and ask it about every sample."""

from __future__ import annotations

import dataclasses
import mmap
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read once, when it is loaded: it would report to its maker
import onnxruntime as ort

from imgflow_steps.contract.sample import Apply, Rejected, Sample, beside
from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.infer import Infer
from imgflow_steps.infer.finder import Ask, Finder, Summary, accustomed, completed
from imgflow_steps.infer.findings import Outlet, labels_of, outlets
from imgflow_steps.infer.intake import Intake, intake
from imgflow_steps.infer.layouts import BOXES, Told, layout

if TYPE_CHECKING:
    from imgflow_steps.contract.sample import Pixels

PROVIDERS = {  # of a device; what a card cannot do, the processor does
    "cpu": ["CPUExecutionProvider"],
    "cuda": ["CUDAExecutionProvider", "CPUExecutionProvider"],
}
# An entry of TensorProto.external_data (field 13 of it): key "location", and the length and text of its value.
OUTSIDE = re.compile(rb"\x6a..?\x0a\x08location\x12(.)(.{1,127})", re.DOTALL)
TRIALS = ((256, 256), (192, 320))  # height and width of two trial pictures, where the model leaves them free


def build(params: Infer) -> Apply:
    """Open the model and give the function that asks it.

    Findings go beside those of earlier models in ``Sample.found``; pixels pass through unchanged.
    An image on which the model fails is Rejected as ``model-failed``.

    Raises BadParametersError when the model cannot be used, or not with these parameters.
    """
    session = _open(params.model, params.device)
    metadata = session.get_modelmeta().custom_metadata_map
    params = completed(params, metadata)
    entry = intake(session.get_inputs(), params)
    labels = labels_of(params.labels, metadata)
    names = [output.name for output in session.get_outputs()]
    trials = _trials(session, entry)
    told = Told(names, trials, [_size(entry, size) for size in TRIALS], labels, metadata)
    kind = layout(told, params.read)
    params = accustomed(params, kind, entry)
    entry = intake(session.get_inputs(), params)
    ask = partial(_ask, session, entry)
    if kind in BOXES:
        return Finder(kind, entry, told, params, ask)
    if kind:
        return Summary(kind, told, params, ask)
    return Classifier(outlets(names, trials, labels, params), ask)


@dataclass(frozen=True, slots=True)
class Classifier:
    """Numbers, labels and class scores of the whole picture."""

    readers: list[Outlet]
    ask: Ask

    def __call__(self, sample: Sample) -> Iterable[Sample]:
        """The sample with what the model said of it beside what others found."""
        values = self.ask(sample.pixels)
        found = {reader.name: reader.read(value) for reader, value in zip(self.readers, values, strict=True)}
        yield dataclasses.replace(sample, found=beside(sample.found, found))


def _open(model: str, device: str) -> ort.InferenceSession:
    if model and not Path(model).is_file():
        raise BadParametersError(f"there is no model file {model}")
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # processes, not threads, fill the cores
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.enable_mem_pattern = False  # it plans memory per input shape, and images come in many
    options.log_severity_level = 4  # what goes wrong comes as an exception
    for pool in ("intra", "inter"):
        options.add_session_config_entry(f"session.{pool}_op.allow_spinning", "0")
    providers = PROVIDERS[device]
    if providers[0] not in ort.get_available_providers():
        raise BadParametersError(
            f"device: {device}: the ONNX Runtime of this machine has no {providers[0]}; the container image cuda has "
            "one, and so has the package onnxruntime-gpu[cuda,cudnn] in place of onnxruntime. device: cpu needs neither"
        )
    if device == "cuda":
        ort.preload_dlls()  # NVIDIA's libraries are packages of Python, too, where no loader looks
    if model and (beside := weights_beside(Path(model))):
        raise BadParametersError(
            f"{model} keeps its weights in another file, {beside}, and a run takes along one file; write it as one: "
            "onnx.save(onnx.load(FILE), NEW_FILE)"
        )
    source = model or resources.files("imgflow_steps.infer").joinpath("quality.onnx").read_bytes()
    try:
        session = ort.InferenceSession(source, options, providers=providers)
    except Exception as error:  # noqa: BLE001 - ONNX Runtime's exceptions share no base
        _raise_memory(error)
        raise BadParametersError(
            f"ONNX Runtime {ort.__version__} cannot open {model or 'quality.onnx'}: {error}"
        ) from None
    if session.get_providers()[0] != providers[0]:  # it goes on with the processor, and says so in its log alone
        raise BadParametersError(
            f"device: {device}: ONNX Runtime cannot use an NVIDIA card here; `nvidia-smi` shows whether there is one, "
            "and whether its driver is new enough. device: cpu needs none"
        )
    return session


def weights_beside(model: Path) -> str:
    """The first file beside a model in which its weights are; "" where it has all of them itself."""
    with model.open("rb") as file:
        if not model.stat().st_size:
            return ""
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            found = OUTSIDE.search(content)
            return found[2][: found[1][0]].decode(errors="replace") if found else ""


def _trials(session: ort.InferenceSession, entry: Intake) -> list[list[Any]]:
    """What the model gives for two pictures of noise; that tells the shapes of its outputs."""
    random = np.random.default_rng(0)
    shapes = [(*_size(entry, size), 3) for size in TRIALS]
    try:
        return [_ask(session, entry, random.integers(0, 256, shape, np.uint8)) for shape in shapes]
    except Rejected as verdict:
        raise BadParametersError(
            f"the model fails on a picture of noise; give it the width and height that it was made for. "
            f"{verdict.message}"
        ) from None


def _size(entry: Intake, size: tuple[int, int]) -> tuple[int, int]:
    return entry.height or size[0], entry.width or size[1]


def _ask(session: ort.InferenceSession, entry: Intake, pixels: Pixels) -> list[Any]:
    try:
        values: list[Any] = session.run(None, {entry.name: entry.tensor(pixels)})
    except Exception as error:  # noqa: BLE001 - ONNX Runtime's exceptions share no base
        _raise_memory(error)
        raise Rejected("model-failed", f"the model failed on {pixels.shape[1]}x{pixels.shape[0]}: {error}") from None
    return values


def _raise_memory(error: Exception) -> None:
    """Want of memory is the process's trouble, and ONNX Runtime says it in words only."""
    if isinstance(error, MemoryError) or "allocate memory" in str(error) or "bad_alloc" in str(error):
        raise MemoryError(str(error)) from None
