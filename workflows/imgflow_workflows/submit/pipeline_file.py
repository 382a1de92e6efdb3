"""Pipelines as people write them, in a file or in short; every fault is told with its place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from imgflow_steps.contract.step import file_fields
from imgflow_steps.pipeline.model import BadPipelineError, Fault, Pipeline, parse
from imgflow_steps.store import expanded
from imgflow_workflows import yaml_size
from imgflow_workflows.errors import ImgflowError

NUMBERS = {"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"}


class Loader(yaml_size.Loader):
    """Safe YAML that leaves numbers to the parameters they are for: in YAML 1.1, 16:9 is 969 and 010 is 8."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own attribute
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in NUMBERS]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


@dataclass(frozen=True, slots=True)
class LocatedFault:
    """A fault of a document, and its line and column, counted from 1; 0 where the document has none."""

    fault: Fault
    line: int = 0
    column: int = 0


@dataclass(frozen=True, slots=True)
class Written:
    """A pipeline as somebody wrote it: where, what it says, and its nodes where it has lines."""

    where: str
    data: Any
    node: yaml.Node | None = None
    folder: Path = Path()  # of its file

    def pipeline(self) -> Pipeline:
        """The pipeline itself. Raises ImgflowError, one line per fault."""
        faults = self.faults()
        if faults:
            raise ImgflowError("\n".join(self.worded(found) for found in faults))
        return parse(self.data)

    def openable(self) -> Pipeline:
        """The pipeline with paths where it names files of this machine. Raises as ``pipeline``."""
        pipeline = self.pipeline()
        for i, call in enumerate(pipeline.steps, 1):
            named = {name: file_of(getattr(call.params, name), self.folder) for name in file_fields(call.params)}
            pipeline = pipeline.with_params(i, **{name: str(path) for name, path in named.items() if path})
        return pipeline

    def faults(self) -> list[LocatedFault]:
        """Why it is no pipeline: nothing where it is one."""
        twice = list(_twice(self.node, ())) if self.node else []
        try:
            parse(self.data)
        except BadPipelineError as error:
            return [*twice, *map(self.located, error.faults)]
        return twice

    def located(self, fault: Fault) -> LocatedFault:
        """A fault with its place."""
        return _at(_node(self.node, fault.place), fault) if self.node else LocatedFault(fault)

    def worded(self, found: LocatedFault) -> str:
        """A fault as compilers say it: ``pipeline.yaml:3:10: step 1, scale.width: …``."""
        at = f":{found.line}:{found.column}" if found.line else ""
        return f"{self.where}{at}: {found.fault}"


def read(path: Path, *, flag: str = "--pipeline") -> Written:
    """A pipeline file, YAML or JSON. A list alone is its steps. Raises ImgflowError when it cannot be read.

    ``@FILE`` is FILE, as ``--steps`` takes it, unless a file is called so.
    """
    if str(path).startswith("@") and not path.exists():
        path = expanded(str(path)[1:])
    where = str(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
        loader = Loader(text.replace("\t", " ") if text.lstrip()[:1] in {"[", "{"} else text)  # JSON may have tabs
        node = loader.get_single_node()
        yaml_size.check_size(node)
        data = loader.construct_document(node) if node else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        at = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise ImgflowError(f"{where}{at}: this is neither YAML nor JSON: {error.problem or error.context}") from error
    except OSError as error:
        raise ImgflowError(f"{flag} {path} cannot be read: {error.strerror}".strip()) from error
    except UnicodeDecodeError as error:
        raise ImgflowError(f"{flag} {path} cannot be read: it is not text in UTF-8".strip()) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ImgflowError(f"{flag} {path} cannot be read as YAML or JSON: {yaml_size.said(error)}".strip()) from error
    return Written(where, _whole(data), node, path.parent)


def file_of(value: str, folder: Path) -> Path | None:
    """The file that a parameter names: from the current directory, else beside the pipeline's own file, else None."""
    return next((path for path in (Path() / expanded(value), folder / expanded(value)) if path.is_file()), None)


def short(text: str) -> Written:
    """Steps as ``--steps`` takes them: ``scale:1024x768,blur:median``, or ``@FILE``. Raises as ``read``."""
    if text.startswith("@"):
        return read(expanded(text[1:]), flag="--steps")
    return Written("--steps", _whole([step.strip() for step in text.split(",")]))


def given(data: Any) -> Written:
    """A pipeline as a program has it: what a file would hold."""
    return Written("pipeline", _whole(data))


def _whole(data: Any) -> Any:
    return {"steps": data} if isinstance(data, list) else data


def _at(node: yaml.Node, fault: Fault) -> LocatedFault:
    return LocatedFault(fault, node.start_mark.line + 1, node.start_mark.column + 1)


def _node(node: yaml.Node, place: tuple[str | int, ...]) -> yaml.Node:
    """The node at a place, or the last one on the way there: a short form has no nodes of its own."""
    for part in place:
        if isinstance(node, yaml.MappingNode):
            behind = next((value for key, value in node.value if key.value == part), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            behind = node.value[part] if part < len(node.value) else None
        elif isinstance(node, yaml.SequenceNode) and part == "steps":
            behind = node  # the document is the list of steps
        elif isinstance(node, yaml.SequenceNode) and len(node.value) == 2 and node.value[0].value == part:  # noqa: PLR2004 - [name, parameters]
            behind = node.value[1]
        else:
            behind = None
        if behind is None:
            return node
        node = behind
    return node


def _twice(node: yaml.Node, place: tuple[str | int, ...]) -> Iterator[LocatedFault]:
    """Names that stand in a mapping more than once; YAML would take the last one in silence."""
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if key.value in seen:
                yield _at(key, Fault((*place, key.value), "is given here more than once"))
            seen.add(key.value)
            yield from _twice(value, (*place, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for i, value in enumerate(node.value):
            yield from _twice(value, (*place, i))
