"""What parses but makes no sense: pure functions over a pipeline, by what its steps declare."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from imgflow_steps.pipeline.model import Fault, Pipeline


def doubts(pipeline: Pipeline) -> list[Fault]:
    """Steps that do nothing or too much where they stand, in order."""
    found = [*_colourless(pipeline), *_idle(pipeline), *_pieces(pipeline), *_lost(pipeline), *_hidden(pipeline)]
    return sorted(found, key=lambda fault: (fault.place[0] != "steps", fault.place[1]))


def _colourless(pipeline: Pipeline) -> Iterator[Fault]:
    dropping = [i for i, call in enumerate(pipeline.steps) if call.step.drops_colour]
    for i in dropping[1:]:
        yield _fault(pipeline, i, f"does nothing: {_name(pipeline, dropping[0])} has dropped the colour already")


def _idle(pipeline: Pipeline) -> Iterator[Fault]:
    for i, call in enumerate(pipeline.steps):
        if call.step.idle(call.params):
            yield _fault(pipeline, i, "does nothing with these parameters; leave it out")


def _pieces(pipeline: Pipeline) -> Iterator[Fault]:
    """The step at which an image is in more pieces than allowed; tiles, whose number depends on it, count as one."""
    numbers = [max(1, call.step.pieces(call.params)) for call in pipeline.steps]
    for i in range(len(numbers)):
        if (many := prod(numbers[: i + 1])) > pipeline.limits.pieces:
            text = f"makes {many:,} pictures of each image; limits.pieces allows {pipeline.limits.pieces:,}"
            yield _fault(pipeline, i, text)
            return


def _lost(pipeline: Pipeline) -> Iterator[Fault]:
    """Where no picture is published, only what finds something matters, and what stands before it."""
    if pipeline.output.format != "none":
        return
    finding = [i for i, call in enumerate(pipeline.steps) if call.step.finds]
    if not finding:
        yield Fault(("output", "format"), "none publishes findings only, and no step finds anything; add infer")
        return
    for i in range(finding[-1] + 1, len(pipeline.steps)):
        last = _name(pipeline, finding[-1])
        yield _fault(
            pipeline, i, f"is for nothing: output none publishes findings only, and {last} is the last to find any"
        )


READ = ("plate", "text", "number", "document")  # parts of labels of things that people read
FEW = 2  # cells from which no plate could be told from 4,000 in more than a tenth of the cases


BY_PEOPLE = (
    "has no model before it: it covers only boxes that people gave with `imgflow boxes`, and rejects an image of which "
    "they said nothing; for what a model finds add infer"
)


def _hidden(pipeline: Pipeline) -> Iterator[Fault]:
    """What would not protect, and models that are shown pictures in which what they look for is covered."""
    hiding = [i for i, call in enumerate(pipeline.steps) if call.step.hides]
    for i in hiding:
        params = pipeline.steps[i].params.model_dump()
        least = min((getattr(one.params, "score", 0.0) for one in pipeline.steps[:i] if one.step.finds), default=None)
        if least is None:
            yield _fault(pipeline, i, BY_PEOPLE)
        elif 0 < params.get("score", 0) < least:
            text = f"score: {params['score']:g} covers no more: infer keeps nothing below its own {least:g}; lower that"
            yield _fault(pipeline, i, text)
        named = [label for label in params.get("labels", ()) if any(word in label.lower() for word in READ)]
        if named and params.get("by") != "fill" and params.get("cells", 0) > FEW:
            text = f"{', '.join(named)} can be read from {params['cells']} cells; take by: fill, or cells: {FEW}"
            yield _fault(pipeline, i, text)
    for i, call in enumerate(pipeline.steps):
        if hiding and i < hiding[-1] and getattr(call.params, "read", "") == "vector":
            text = "keeps vectors of what is covered after it; of faces these are biometric data (GDPR, article 9)"
            yield _fault(pipeline, i, text)
        if hiding and i > hiding[0] and call.step.finds:
            yield _fault(pipeline, i, f"sees only what {_name(pipeline, hiding[0])} leaves; put it before that")


def _fault(pipeline: Pipeline, i: int, text: str) -> Fault:
    return Fault(("steps", i, pipeline.steps[i].name), text)


def _name(pipeline: Pipeline, i: int) -> str:
    return f"step {i + 1}, {pipeline.steps[i].name},"
