"""The shapes of the archivist's answers, for the API's description."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field


class NodesPart(BaseModel):
    """Whether a node has carried an erasure out on its own copy of the keys, files and figures."""

    node: str
    name: str
    carried_out_at: str | None


class Protocol(BaseModel):
    """A protocol of an erasure; `subjects` are left out in lists. It holds nothing personal."""

    status: str | None = Field(default=None, description="accepted or nothing_to_do")
    number: str | None
    authority: str | None = None
    rule: str | None = None
    reference: str | None = None
    purpose: str | None = None
    registrar: str | None = None
    cases: int | None = None
    callers: int | None = None
    keys: int | None = None
    attachments: int | None = None
    again: str | None = None
    shard: str | None = None
    position: int | None = None
    decided_at: str | None = None
    carried_out_at: str | None = None
    complete: bool | None = Field(
        default=None, description="gone from every node, and from the log's topic of keys"
    )
    completed_at: str | None = Field(
        default=None, description="when that was recorded; null where the log is on one machine"
    )
    waiting_for: list[str] | None = Field(
        default=None, description="here, nodes, compaction, keys; left out in lists"
    )
    copies: int | None = Field(
        default=None, description="destroyed keys that compaction has not removed yet"
    )
    compaction_s: float | None = Field(
        default=None, description="within how long it removes them, in seconds"
    )
    nodes: list[NodesPart] | None = None
    subjects: list[str] | None = None


class Protocols(BaseModel):
    """Protocols, the latest first."""

    protocols: list[Protocol]


class Proposal(BaseModel):
    """A case that is due; `lacks` is what has to be done before: registry, archive or nothing."""

    case: str
    number: str | None
    case_type: str | None
    closed_at: str
    due_at: str
    rule: str
    what: str
    lacks: str | None


class Proposals(BaseModel):
    """What retention rules propose, the longest due first."""

    proposals: list[Proposal]


class MaskedPart(BaseModel):
    """What was not shown, or not whole."""

    part: str
    mask: str
    reason: str


class Disclosure(BaseModel):
    """A copy of a case, with what was masked and why."""

    number: str
    case: str
    authority: str
    made_at: str
    registrar: str
    purpose: str
    recipient: str | None
    rows: list[dict[str, Any]]
    masked: list[MaskedPart]


class AttachmentAdded(BaseModel):
    """A file that a case has; `already` where the very same request came again."""

    address: str
    size_bytes: int
    already: bool


class Attachment(BaseModel):
    """A file of a case; without name where it was erased."""

    address: str
    media_type: str
    size_bytes: int
    name: str | None
    erased: bool


class Attachments(BaseModel):
    """The files of a case."""

    attachments: list[Attachment]
