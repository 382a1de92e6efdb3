"""What ``-o json`` prints, as models: the reference in ``docs`` and its JSON Schemas are made of these."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from imgflow_steps.contract.job import Counts
from imgflow_steps.records.summary import Example, Phase


class RunDocument(BaseModel):
    """A run; keys are only ever added."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str = Field(description="Name of the run.")
    municipality: str = Field(description="Dataset that it worked on.")
    status: Phase = Field(description="Where the run stands.")
    exit: int | None = Field(description="Exit code of the run; null until it has ended.")
    counts: Counts = Field(description="Images by how they ended; once the run has ended, listed is the sum.")
    report: str = Field(description="Address of the report's index.html; empty until there is one.")
    results: str = Field(description="Where its pictures and rows are stored.")
    duplicates: int | None = Field(description="Images that are near-duplicates of another one.")
    left_out: int = Field(description="Images that --once skipped.")
    unlisted: dict[str, int] = Field(description="Files that are not images, by suffix or by reason.")
    absent: int = Field(description="Images that were chosen and no longer exist.")
    examples: list[Example] = Field(description="Some images without a result, failed ones first.")
    message: str = Field(description="What went wrong, if anything did.")
    digest: str = Field(description="16 hex digits over everything that decides the bytes of a result.")
    pipeline: list[str] = Field(description="Its steps, in order.")
    source: str = Field(description="Where the photographs are read, if not from the dataset.")
    engine: str = Field(description="Where its steps ran.")
    store: str = Field(description="Address of the store.")
    layout: str = Field(description="steps or fused; empty until it was listed.")
    shards: int = Field(description="Number of shards.")
    created: float = Field(description="When it was submitted.")
    ended: float | None = Field(description="When it ended.")
    version: str = Field(description="Version of imgflow that submitted it.")


class ErrorBody(BaseModel):
    """What went wrong and what to do next."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: str = Field(description="Kind of fault, one for each exit code, in lower case.")
    exit: int = Field(description="Exit code of the command.")
    message: str = Field(description="What happened, and to which image or run.")
    hint: str = Field(description="What to do next; may be empty.")


class ErrorDocument(BaseModel):
    """The one document of a command that went wrong."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    error: ErrorBody = Field(description="What went wrong: code, exit, message, hint.")
