"""Whether the models that a pipeline names can be used, and find what it is to cover: known before anything begins."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from imgflow_steps.contract.step import BadParametersError, Params, file_fields

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from imgflow_steps.pipeline.model import Pipeline


def check(pipeline: Pipeline, files: Mapping[str, Path]) -> None:
    """Open a pipeline whose files are all on this machine, by store key. Raises BadParametersError.

    Nothing is opened for a pipeline that names no file and covers nothing, nor where a file is in a store alone: its
    containers refuse it then. No more where there is no ONNX Runtime.
    """
    named = {str(getattr(call.params, name)) for call in pipeline.steps for name in file_fields(call.params)}
    if not (named or pipeline.hides) or not named <= files.keys() or find_spec("onnxruntime") is None:
        return
    from imgflow_steps.pipeline.apply import OpenPipeline  # noqa: PLC0415 - loads numpy and whatever steps open

    def here(params: Params) -> Params:
        paths = {name: str(files[getattr(params, name)]) for name in file_fields(params)}
        return params.model_copy(update=paths)

    try:
        OpenPipeline(pipeline, local=here, marked=True)
    except BadParametersError as error:
        text = str(error)
        for key, path in files.items():
            text = text.replace(key, str(path))
        raise BadParametersError(text) from None
