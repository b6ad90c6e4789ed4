"""What the API answers to a desk. The published shapes of its JSON (they make the OpenAPI document)."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AwareDatetime, Field, JsonValue, StringConstraints

from cases.fields import FieldView, Sureness
from cases.lifecycle import Action, Role, Status
from cases.schema import REVISION_MAX, ComplaintDraft, Recording, Wire
from cases.what_changed import Rehearing

__all__ = ["FieldView", "Sureness"]

REASON_MAX_CHARS = 500
# PostgreSQL keeps no NUL in a text.
Reason = Annotated[str, StringConstraints(max_length=REASON_MAX_CHARS, pattern=r"^[^\x00]*$")]


class Credentials(Wire):
    username: str = Field(min_length=1, max_length=64)
    password: str = Field(min_length=1, max_length=256)


class UserView(Wire):
    name: str
    display_name: str
    role: Role


class SessionView(Wire):
    """`csrf` goes into the header X-CSRF-Token of every unsafe request."""

    user: UserView
    csrf: str
    expires_at: AwareDatetime


class QueueItem(Wire):
    """One waiting or taken draft. `taken_by` is a user's name, `taken_by_name` what people call him.

    unsure: how many fields are to be checked. rank: 0 alert, 1 emergency, 2 urgent, 3 routine (the queue's order).
    pending: something that was said is recorded and not yet transcribed. revision: of the draft as it is shown, from 0.
    offered: a newer revision lies beside it and waits for an operator's yes or no.
    """

    draft_id: str
    call_id: str
    version: int
    status: Status
    rank: int
    subject: str
    category: str
    place: str
    urgency: str
    alerts: tuple[str, ...]
    received_at: AwareDatetime
    ended: str
    complete: bool
    taken_by: str | None = None
    taken_by_name: str | None = None
    taken_at: AwareDatetime | None = None
    unsure: int
    pending: bool
    revision: int
    offered: bool
    has_recording: bool


class LiveCallView(Wire):
    """A call that goes on, or whose draft is on the way (`ended`). `text`: what was said last, partial or final."""

    call_id: str
    started_at: AwareDatetime
    caller_number: str | None
    step: str
    prompt: str
    text: str
    fields: dict[str, str]
    alerts: tuple[str, ...]
    ended: bool


class QueuePage(Wire):
    """`urgent`, `waiting`: waiting drafts in all (whatever `q` says); `next`: pass it as `after` for the next page."""

    urgent: int
    waiting: int
    items: tuple[QueueItem, ...]
    live: tuple[LiveCallView, ...]
    next: str | None = None


class QueueChange(Wire):
    """SSE event `queue`. change: added | changed | removed; `item` is null when it was removed."""

    change: str
    draft_id: str
    item: QueueItem | None = None
    urgent: int
    waiting: int


class DraftChange(Wire):
    """SSE event `draft`: something of this draft is new (status, edits, recording, or a revision of its words).

    `newest`: the highest revision that came; `dismissed`: up to which an operator wants none.
    """

    draft_id: str
    version: int
    status: Status
    edits_count: int
    taken_by: str | None = None
    taken_by_name: str | None = None
    has_recording: bool
    revision: int
    newest: int
    dismissed: int


class HistoryEntry(Wire):
    """`actor` is a user's name, or producer or system."""

    at: AwareDatetime
    actor: str
    actor_name: str
    action: Action
    from_status: Status | None = None
    to_status: Status
    reason: str | None = None
    case_number: str | None = None


class DraftView(Wire):
    """One draft with everything a desk shows. `may_undo`: the one who asks can undo until `undo_until`.

    `replaced`: what this revision of the draft has replaced. `offered`: a newer revision, that came when an operator was
    at the draft already; its taker may adopt it, and go back, or dismiss it. Of a closed draft it is for information.
    """

    draft: ComplaintDraft
    fields: tuple[FieldView, ...]
    status: Status
    version: int
    edits_count: int
    taken_by: str | None = None
    taken_by_name: str | None = None
    taken_at: AwareDatetime | None = None
    recording: Recording | None = None
    case_number: str | None = None
    reject_reason: str | None = None
    undo_until: AwareDatetime | None = None
    may_undo: bool = False
    may_take_over: bool = False
    replaced: Rehearing | None = None
    offered: Rehearing | None = None
    dismissed: int = 0
    history: tuple[HistoryEntry, ...] = ()


class EditReceipt(Wire):
    """Answer to an edit: every field as it stands now. `revision`: of the draft that they were understood from."""

    draft_id: str
    version: int
    revision: int
    edits_count: int
    unsure: int
    fields: tuple[FieldView, ...]


class VersionBody(Wire):
    version: int = Field(ge=0)


class AdoptBody(VersionBody):
    """`revision`: the one offered, or the one before to go back."""

    revision: int = Field(ge=0, le=REVISION_MAX)


class DismissBody(VersionBody):
    """Nothing up to `revision` is offered any more; 0 offers again what was dismissed."""

    revision: int = Field(ge=0, le=REVISION_MAX)


class TakeBody(VersionBody):
    """`force`: a supervisor takes over what somebody else has."""

    force: bool = False


class ReturnBody(VersionBody):
    reason: Reason | None = None


class RejectBody(VersionBody):
    reason: Reason


class EditBody(VersionBody):
    """`edits`: path -> the whole new value, null to empty the field. `revert`: paths that go back to the machine's."""

    edits: dict[str, JsonValue] = Field(default_factory=dict, max_length=32)
    revert: tuple[str, ...] = Field(default=(), max_length=32)


class CaseView(Wire):
    """工单. `voided_at`: its confirmation was undone; the number stays and is never used again."""

    number: str
    draft_id: str
    call_id: str
    opened_at: AwareDatetime
    opened_by: str
    opened_by_name: str
    voided_at: AwareDatetime | None = None
    fields: dict[str, Any]
    edited: tuple[str, ...] = ()
    recording: Recording | None = None


class CasePage(Wire):
    """`searched_since`: words of `q` were looked for only in cases opened after this; null: in all of them."""

    items: tuple[CaseView, ...]
    next: str | None = None
    searched_since: AwareDatetime | None = None


class Level3View(Wire):
    name: str


class Level2View(Wire):
    name: str
    children: tuple[Level3View, ...]


class Level1View(Wire):
    name: str
    children: tuple[Level2View, ...]


class CategoriesView(Wire):
    """The table of categories by level."""

    version: str
    categories: tuple[Level1View, ...]


class Health(Wire):
    status: str
    database: str
