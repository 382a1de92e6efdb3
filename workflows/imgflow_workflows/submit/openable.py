"""Whether the models that a pipeline names can be used, and find what it is to cover: known before anything begins."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from imgflow_steps.contract.step import BadParametersError, Params, file_fields
from imgflow_steps.infer import CUDA, Infer
from imgflow_workflows.submit.patience import patiently

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from imgflow_steps.pipeline.model import Pipeline


def without_card(params: Params) -> Params:
    """Parameters for this machine, which need not have the graphics card of the containers."""
    return params.model_copy(update={"device": "cpu"}) if isinstance(params, Infer) else params


def check(pipeline: Pipeline, files: Mapping[str, Path], *, in_containers: bool = False) -> None:
    """Open a pipeline whose files are all on this machine, by store key. Raises BadParametersError.

    Nothing is opened for a pipeline that names no file, covers nothing and needs nothing of this machine, nor where a
    file is in a store alone: its containers refuse it then. No more where there is no ONNX Runtime.
    """
    named = {str(getattr(call.params, name)) for call in pipeline.steps for name in file_fields(call.params)}
    asked = named or pipeline.hides or (pipeline.container == CUDA and not in_containers)
    if not asked or not named <= files.keys() or find_spec("onnxruntime") is None:
        return
    from imgflow_steps.pipeline.apply import OpenPipeline  # noqa: PLC0415 - loads numpy and whatever steps open

    def here(params: Params) -> Params:
        paths = {name: str(files[getattr(params, name)]) for name in file_fields(params)}
        return (without_card(params) if in_containers else params).model_copy(update=paths)

    try:
        patiently(lambda: OpenPipeline(pipeline, local=here, marked=True), pipeline.limits)
    except BadParametersError as error:
        text = str(error)
        for key, path in files.items():
            text = text.replace(key, str(path))
        raise BadParametersError(text) from None
