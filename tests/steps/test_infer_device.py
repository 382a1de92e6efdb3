"""``infer: {device: cuda}`` as far as it shows without a card: what is asked for, and what is refused and how."""

from __future__ import annotations

from typing import Any

import onnxruntime as ort
import pytest

from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.infer import Infer
from imgflow_steps.infer.work import build
from imgflow_steps.pipeline.model import parse
from imgflow_steps.worker.reach import Reach

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The providers that sessions are asked for, in an ONNX Runtime that says it has CUDA; what opens has the CPU."""
    told: list[list[str]] = []
    real = ort.InferenceSession

    def session(source: Any, options: Any, providers: list[str]) -> Any:
        told.append(providers)
        return real(source, options, providers=[CPU])

    monkeypatch.setattr(ort, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(ort, "InferenceSession", session)
    return told


def test_the_processor_computes_unless_a_card_is_asked_for_whatever_the_runtime_has(asked: list[list[str]]) -> None:
    build(Infer())

    assert asked == [[CPU]]


def test_a_card_that_the_runtime_cannot_use_is_an_error_and_never_the_processor_in_silence(
    asked: list[list[str]],
) -> None:
    with pytest.raises(BadParametersError, match="cannot use an NVIDIA card here; `nvidia-smi` shows"):
        build(Infer(device="cuda"))

    assert asked == [[CUDA, CPU]]


def test_a_runtime_without_cuda_is_an_error_that_names_the_container_and_the_package() -> None:
    if CUDA in ort.get_available_providers():
        pytest.skip("the ONNX Runtime of this machine has CUDA")
    with pytest.raises(BadParametersError, match="the container image cuda has one, and so has the package"):
        build(Infer(device="cuda"))


def test_the_device_is_in_the_digest_and_leaves_that_of_pipelines_without_it_as_it_was() -> None:
    plain, said, card = (
        parse({"steps": [{"infer": params}]}) for params in ({}, {"device": "cpu"}, {"device": "cuda"})
    )

    assert plain.digest == said.digest
    assert plain.digest != card.digest


def test_steps_that_need_a_card_have_a_container_of_their_own_and_others_stay_where_they_are() -> None:
    pipeline = parse({"steps": ["grayscale", {"infer": {"device": "cuda"}}]})

    assert [call.container for call in pipeline.steps] == ["grayscale", "cuda"]
    assert pipeline.container == "cuda"
    assert parse({"steps": ["grayscale", "infer"]}).container == "fused"


def test_computing_processes_reach_cards_only_in_that_container() -> None:
    reach = Reach(write=("/there",))

    assert reach.of_container("fused") == reach
    assert reach.of_container("cuda").write[:1] == ("/there",)
    assert all(path.startswith("/dev/nvidia") for path in reach.of_container("cuda").write[1:])
