"""A pipeline is data: it reads as it is written, its digest names what decides bytes, its plan decodes no more."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgflow_steps.contract.job import Exit
from imgflow_steps.contract.options import DecodePlan
from imgflow_steps.contract.step import BadParametersError, Role, Step
from imgflow_steps.pipeline import model
from imgflow_steps.pipeline.decode_plan import decode_plan
from imgflow_steps.pipeline.model import Pipeline, parse
from imgflow_steps.pipeline.registry import ALIASES, PIXEL_STEPS, STEPS

scales = st.fixed_dictionaries(
    {},
    optional={
        "width": st.integers(1, 65_535),
        "height": st.integers(1, 65_535),
        "mode": st.sampled_from(["fit", "cover", "exact"]),
        "enlarge": st.booleans(),
    },
)
infers = st.fixed_dictionaries({}, optional={"top": st.integers(1, 100), "width": st.integers(0, 8192)})
calls = st.one_of(
    st.sampled_from(sorted(PIXEL_STEPS)),
    scales.map(lambda params: {"scale": params}),
    infers.map(lambda params: {"infer": params}),
)
documents = st.fixed_dictionaries(
    {
        "steps": st.lists(calls, min_size=1, max_size=6).map(
            lambda steps: ["infer", *steps] if "redact" in steps else steps
        )
    },
    optional={
        "output": st.fixed_dictionaries(
            {}, optional={"format": st.sampled_from(["jpeg", "png", "webp", "none"]), "quality": st.integers(1, 100)}
        ),
        "limits": st.fixed_dictionaries({}, optional={"pixels": st.integers(1, 10**9), "bytes": st.integers(1, 2**33)}),
    },
)


@given(document=documents)
def test_a_pipeline_survives_json_with_its_digest(document: dict[str, Any]) -> None:
    once = parse(document)
    again = Pipeline.model_validate_json(once.model_dump_json())
    assert again == once
    assert again.digest == once.digest
    assert parse(once.model_dump(mode="json")) == once


@given(one=documents, other=documents)
def test_two_pipelines_share_a_digest_only_when_they_are_the_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    first, second = parse(one), parse(other)
    assert (first.digest == second.digest) == (first == second)


BASE = {"steps": [{"scale": {"width": 100}}, "grayscale"]}


@pytest.mark.parametrize(
    "other",
    [
        {"steps": [{"scale": {"width": 101}}, "grayscale"]},
        {"steps": [{"scale": {"width": 100, "mode": "cover"}}, "grayscale"]},
        {"steps": ["grayscale", {"scale": {"width": 100}}]},
        {"steps": [{"scale": {"width": 100}}, "grayscale", "grayscale"]},
        {**BASE, "output": {"format": "png"}},
        {**BASE, "output": {"quality": 84}},
        {**BASE, "limits": {"pixels": 5}},
    ],
    ids=str,
)
def test_whatever_changes_bytes_changes_the_digest(other: dict[str, Any]) -> None:
    assert parse(BASE).digest != parse(other).digest


def test_a_default_written_out_is_the_same_pipeline() -> None:
    assert parse({"steps": ["scale"]}).digest == parse({"steps": [{"scale": {"width": 1024, "height": 768}}]}).digest
    assert parse({"steps": [{"scale": None}]}).digest == parse({"steps": ["scale"]}).digest


def test_a_step_or_door_that_gives_other_bytes_changes_the_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    before = parse(BASE).digest
    scale = PIXEL_STEPS["scale"]
    newer = Step(name="scale", params=scale.params, version=scale.version + 1)
    monkeypatch.setitem(model.PIXEL_STEPS, "scale", newer)
    assert parse(BASE).digest != before
    monkeypatch.undo()
    assert parse(BASE).digest == before
    monkeypatch.setattr(model, "PICTURE_VERSION", 999)
    assert parse(BASE).digest != before


def test_two_sources_never_share_results() -> None:
    base = parse(BASE)
    assert len({base.digest, base.digest_for("s3://one"), base.digest_for("s3://two")}) == 3
    assert base.digest_for("") == base.digest


def test_a_digest_is_16_hex_digits() -> None:
    assert len(parse(BASE).digest) == 16
    int(parse(BASE).digest, 16)


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"steps": []}, "there is no step; steps is a list such as"),
        ({"steps": "scale"}, "this is not a list; steps is a list"),
        ({"steps": ["sharpen"]}, "there is no step 'sharpen'"),
        ({"steps": ["list"]}, "there is no step 'list'"),
        ({"steps": [{"scale": {}, "grayscale": {}}]}, "one name with its parameters"),
        ({"steps": [{"scale": {"width": 0}}]}, "scale.width"),
        ({"steps": [{"scale": {"widht": 9}}]}, "scale.widht"),
        ({"steps": ["scale"], "output": {"format": "bmp"}}, "pipeline: output.format"),
        ({"steps": ["scale"], "output": {"quality": 101}}, "given: 101"),
        (
            {"steps": ["scale"], "outptu": {}},
            "there is no 'outptu'; there are: steps, output, limits; did you mean 'output'?",
        ),
        ([], "pipeline: a pipeline is a mapping such as"),
        (None, "pipeline: a pipeline is a mapping such as"),
    ],
)
def test_a_fault_is_told_with_its_place(document: Any, told: str) -> None:
    with pytest.raises(BadParametersError) as error:
        parse(document)
    assert told in str(error.value)


def test_every_fault_is_told_at_once() -> None:
    with pytest.raises(BadParametersError) as error:
        parse({"steps": ["scale"], "output": {"quality": 0}, "limits": {"seconds": 0}}, where="flow.yaml")
    assert len(str(error.value).splitlines()) == 2
    assert "flow.yaml: output.quality" in str(error.value)


def test_what_was_given_is_told_in_short() -> None:
    with pytest.raises(BadParametersError) as error:
        parse({"steps": [["scale"] * 10_000]})
    assert len(str(error.value)) < 200


def test_one_parameter_changes_at_one_place() -> None:
    base = parse({"steps": ["scale", "grayscale", "scale"]})
    changed = base.with_params(3, width=7)
    assert [call.params for call in changed.steps][:2] == [call.params for call in base.steps][:2]
    assert changed.steps[2].params.model_dump()["width"] == 7
    with pytest.raises(ValueError, match="width"):
        base.with_params(3, width=0)


def test_labels_are_unique_by_position() -> None:
    assert parse({"steps": ["scale", "grayscale", "scale"]}).labels == ["scale.1", "grayscale", "scale.3"]


def box(width: int, height: int, mode: str = "fit") -> dict[str, Any]:
    return {"scale": {"width": width, "height": height, "mode": mode}}


@pytest.mark.parametrize(
    ("steps", "plan"),
    [
        ([box(10, 20)], DecodePlan(width=10, height=20)),
        ([box(10, 20, "cover")], DecodePlan(width=10, height=20, mode="cover")),
        ([box(10, 20, "exact"), "grayscale"], DecodePlan(luma=True, width=10, height=20, mode="exact")),
        (["grayscale", box(10, 20)], DecodePlan(luma=True, width=10, height=20)),
        (["grayscale"], DecodePlan(luma=True)),
        (["infer"], DecodePlan()),
        (["grayscale", "infer"], DecodePlan(luma=True)),
        (["infer", box(10, 20), "grayscale"], DecodePlan()),
        ([box(10, 20), "infer", "grayscale"], DecodePlan(width=10, height=20)),
        ([box(10, 20), box(5, 5)], DecodePlan(width=10, height=20)),
        ([box(5, 5), box(10, 20)], DecodePlan(width=5, height=5)),
        ([box(10, 20), "grayscale", "infer"], DecodePlan(luma=True, width=10, height=20)),
        (["scale:50%", "grayscale"], DecodePlan(luma=True)),
        (["grayscale", "scale:50%", box(10, 20)], DecodePlan(luma=True)),
        (["rotate", "crop", "split", "blur", "grayscale", box(10, 20)], DecodePlan(luma=True)),
        ([box(10, 20), "rotate", "blur:gaussian", "grayscale"], DecodePlan(luma=True, width=10, height=20)),
        ([box(10, 20), "blur:median", "grayscale"], DecodePlan(width=10, height=20)),
        ([box(10, 20), "normalize", "grayscale"], DecodePlan(width=10, height=20)),
        ([box(10, 20), "augment", "grayscale"], DecodePlan(width=10, height=20)),
    ],
    ids=str,
)
def test_no_more_is_decoded_than_the_first_step_needs(steps: list[Any], plan: DecodePlan) -> None:
    assert decode_plan(parse({"steps": steps})) == plan


@given(document=documents)
def test_colour_is_dropped_only_when_nothing_before_grayscale_needs_it(document: dict[str, Any]) -> None:
    names = [call.name for call in parse(document).steps]
    before = names[: names.index("grayscale")] if "grayscale" in names else ["infer"]
    assert decode_plan(parse(document)).luma == (not {"infer", "normalize", "augment"} & {*before})


def test_every_step_has_its_place_and_its_words() -> None:
    assert [name for name, step in STEPS.items() if step.role is Role.FIRST] == ["list"]
    assert [name for name, step in STEPS.items() if step.role is Role.LAST] == ["collect"]
    assert all(name == step.name and step.summary.endswith(".") for name, step in STEPS.items())


def test_no_container_ends_as_argos_own_executor_does() -> None:
    assert 64 not in set(Exit)


@pytest.mark.parametrize(
    "written",
    [
        {"scale": {"width": 200, "height": 300}},
        {"scale": "200x300"},
        "scale:200x300",
        " scale : 200x300 ",
        ["scale", "200x300"],
        ("scale", {"width": "200", "height": 300}),
    ],
    ids=str,
)
def test_a_step_is_written_in_any_of_these_ways(written: Any) -> None:
    assert parse({"steps": [written]}) == parse({"steps": [box(200, 300)]})


@pytest.mark.parametrize("written", ["split", {"split": None}, ["split"], "split:"], ids=str)
def test_a_step_without_parameters_takes_its_defaults(written: Any) -> None:
    assert parse({"steps": [written]}) == parse({"steps": [{"split": {"columns": 2, "rows": 1}}]})


@pytest.mark.parametrize(
    ("short", "params"),
    [
        ("scale:50%", {"percent": 50}),
        ("scale:300x", {"width": 300, "height": 65_535}),
        ("scale:x300", {"width": 65_535, "height": 300}),
        ("split:quarters", {"columns": 2, "rows": 2}),
        ("split:3x4", {"columns": 3, "rows": 4}),
        ("split:512px", {"tile": 512}),
        ("blur:median", {"kind": "median"}),
        ("blur:median:7", {"kind": "median", "radius": 7}),
        ("rotate:-12.5", {"degrees": -12.5}),
        ("crop:16:9", {"aspect": "16:9"}),
        ("crop:40x30", {"width": 40, "height": 30}),
        ("crop:40x30+5+0", {"width": 40, "height": 30, "left": 5, "top": 0}),
        ("normalize:equalize", {"method": "equalize"}),
        ("augment:9", {"variants": 9}),
        ("augment:9:7", {"variants": 9, "seed": 7}),
        ("infer:./model.onnx", {"model": "./model.onnx"}),
    ],
)
def test_a_short_form_says_what_parameters_would(short: str, params: dict[str, Any]) -> None:
    name = short.partition(":")[0]
    assert parse({"steps": [short]}) == parse({"steps": [{name: params}]})


@pytest.mark.parametrize("step", PIXEL_STEPS.values(), ids=PIXEL_STEPS.keys())
def test_short_forms_name_parameters_that_there_are(step: Step) -> None:
    for form, fixed in step.short.items():
        named = {*fixed, *re.findall(r"\{(\w+)\}", form)}
        assert named <= step.params.model_fields.keys()
        step.params.model_validate(fixed)


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("blurr", "did you mean 'blur'?"),
        ("resise:50%", "did you mean 'resize'?"),
        ({"scale": {"widht": 9}}, "did you mean 'width'?"),
        ("scale:1024", "scale:PERCENT% or scale:WIDTHxHEIGHT or scale:WIDTHx or scale:xHEIGHT"),
        ("scale:axb", "step 1, scale.width: Input should be a valid integer"),
        ("blur:medain", "step 1, blur.kind: Input should be 'gaussian', 'updownsampling', 'bilateral' or 'median'"),
        ("grayscale:dark", "takes no parameters in short"),
        ({"scale": [1, 2]}, "step 1, scale: '[1, 2]' cannot be read; write scale:PERCENT%"),
        ("scale:0%", "step 1, scale: '0%' cannot be read"),
        ("split:0px", "step 1, split: '0px' cannot be read"),
        ("crop:0x9", "step 1, crop: '0x9' cannot be read"),
        (7, "one name with its parameters"),
        ([], "one name with its parameters"),
    ],
    ids=str,
)
def test_a_step_that_cannot_be_read_is_told_with_what_would_do(written: Any, told: str) -> None:
    with pytest.raises(BadParametersError) as error:
        parse({"steps": [written]})
    assert told in str(error.value)


def test_operations_of_a_request_in_json_are_a_pipeline() -> None:
    request = {"operations": [["resize", "200x300"], ["split", True], ["blur", "updownsampling"]], "output": "jpg"}
    told = parse(request)
    assert told.labels == ["scale", "split", "blur"]
    assert told.output.format == "jpeg"
    assert parse(told.model_dump(mode="json")) == told


@pytest.mark.parametrize("written", [["split", True], {"split": True}], ids=str)
def test_true_for_split_is_quarters_as_requests_of_image_services_mean_it(written: Any) -> None:
    assert parse({"steps": [written]}) == parse({"steps": ["split:quarters"]})


@pytest.mark.parametrize("step", PIXEL_STEPS.values(), ids=PIXEL_STEPS.keys())
def test_true_is_parameters_of_the_step(step: Step) -> None:
    before = ["infer"]  # redact asks for one
    assert parse({"steps": [*before, [step.name, True]]}) == parse({"steps": [*before, {step.name: dict(step.true)}]})


def test_false_leaves_a_step_out_and_places_of_faults_stay_those_of_the_document() -> None:
    assert parse({"steps": [["split", False], "grayscale"]}) == parse({"steps": ["grayscale"]})
    with pytest.raises(BadParametersError, match="step 2: there is no step 'blurr'"):
        parse({"steps": [["split", False], "blurr"]})
    with pytest.raises(BadParametersError, match="step 1: there is no step 'splitt'"):
        parse({"steps": [["splitt", False], "blur"]})
    with pytest.raises(BadParametersError, match="false removes every step"):
        parse({"steps": [["split", False]]})


@pytest.mark.parametrize(
    "written", [["resize", "200x300"], " resize : 200x300 ", {"resize": {"width": 200, "height": 300}}], ids=str
)
def test_resize_to_two_sides_is_exactly_that_size_whatever_the_image(written: Any) -> None:
    exact = {"scale": {"width": 200, "height": 300, "mode": "exact", "enlarge": True}}
    assert parse({"steps": [written]}) == parse({"steps": [exact]})


@pytest.mark.parametrize("short", ["50%", "300x", "x300"])
def test_resize_by_one_number_keeps_proportions_as_scale_does(short: str) -> None:
    assert parse({"steps": [["resize", short]]}) == parse({"steps": [["scale", short]]})


def test_what_resize_says_of_itself_holds() -> None:
    told = parse({"steps": [{"resize": {"width": 200, "height": 300, "mode": "fit", "enlarge": False}}]})
    assert told == parse({"steps": [box(200, 300)]})


def test_aliases_are_nobody_s_name() -> None:
    assert not ALIASES.keys() & STEPS.keys()
