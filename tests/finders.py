"""Models that say the same of every picture: constants, beside an input of any size or of a given one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LABELS = ("face", "plate")
Box = tuple[str, float, float, float, float, float]  # label, score, left, upper, width, height


def saying(folder: Path, outputs: Mapping[str, Any], side: int = 0, **metadata: str) -> Path:
    """Write a model that gives these outputs for every picture; 0 is a free input."""
    nodes = [
        helper.make_node("Constant", [], [name], value=numpy_helper.from_array(value, name))
        for name, value in outputs.items()
    ]
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, side or "height", side or "width"])
    made = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
        for name, value in outputs.items()
    ]
    graph = helper.make_graph(nodes, "said", [given], made)
    built = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(built, metadata)
    path = folder / "model.onnx"
    onnx.save(built, path)
    return path


def constant(folder: Path, *boxes: Box) -> Path:
    """Write a model into a folder. Its input is as large as a picture whose sides are multiples of 32."""
    corners = np.array([[x, y, x + w, y + h] for _, _, x, y, w, h in boxes], np.float32).reshape(-1, 4)
    said = {
        "boxes": corners,
        "labels": np.array([LABELS.index(box[0]) for box in boxes], np.int64),
        "scores": np.array([box[1] for box in boxes], np.float32),
    }
    return saying(folder, said, names=repr(dict(enumerate(LABELS))))
