"""The published wire models: what a producer (ivr, web form, import) and the case backend say to each other.

Everything here crosses a process, so everything is pydantic and versioned. `draft_json_schema()` is published at
`/api/schema/complaint-draft.json` and every producer is tested against it.

Times are timezone-aware datetimes. `*_seconds` of words and evidence count from the first sample of the recording
(`Recording.uri`). `*_char` are half-open offsets into `Turn.text` in Unicode code points.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID, uuid5

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

SCHEMA_VERSION = 1
SUBJECT_MAX_CHARS = 30
REVISION_MAX = 1000
_DRAFT_NAMESPACE = UUID("8b0b7a50-6f0e-5d6c-9a53-4f1d9f0c1234")

T = TypeVar("T")


class Wire(BaseModel):
    """Base of all wire models: frozen, unknown fields refused so that a typo is seen at once."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=False)


class AppealType(StrEnum):
    """工单类型. Values are the words the hotline itself uses."""

    COMPLAINT = "投诉"
    REPORT = "举报"
    HELP = "求助"
    SUGGESTION = "建议"
    ENQUIRY = "咨询"
    PRAISE = "表扬"


class Urgency(StrEnum):
    ROUTINE = "routine"
    URGENT = "urgent"
    EMERGENCY = "emergency"


class AlertKind(StrEnum):
    """What a human must see at once. `threat` is 扬言; `repeat` a caller or place seen again."""

    THREAT = "threat"
    EMERGENCY = "emergency"
    MINOR = "minor"
    REPEAT = "repeat"


class Channel(StrEnum):
    PHONE = "phone"
    WEB = "web"
    IMPORT = "import"


class Asks(StrEnum):
    """What a turn's prompt asked for; drafting reads a turn by this, never by the menu's step name."""

    NARRATION = "narration"
    PLACE = "place"
    CONTACT = "contact"
    CONFIRMATION = "confirmation"
    CHOICE = "choice"
    NOTHING = "nothing"


class Ended(StrEnum):
    """How the machine's part of the call ended."""

    COMPLETED = "completed"  # nothing was left to ask
    HUNG_UP = "hung_up"  # the caller left
    HUMAN = "human"  # put through to the human queue
    EMERGENCY = "emergency"  # told to ring 119/110/120/122 and put through
    INTERRUPTED = "interrupted"  # something on our side died; drafted from the journal


class Word(Wire):
    """One recognised word. `confidence` 0-1 as the recogniser gives it.

    `heard`: what the recogniser itself understood, where a list of places or words corrected it to `text`.
    """

    text: str
    start_seconds: float = Field(ge=0)
    end_seconds: float = Field(ge=0)
    confidence: float = Field(ge=0, le=1)
    heard: str = ""


class Turn(Wire):
    """One prompt and what was heard. When there are words, `text` is exactly their texts joined without spaces.

    `heard_from_seconds`/`heard_to_seconds`: the span of the recording in which the machine listened, if known.
    `answer`: what the menu took the turn for, by the answer's name: `same` (call me on this number), `confidential`,
    `yes`, `no`, `unknown` …; empty when the words themselves are the answer.
    `final`: False when words may be missing: they are the last partial transcript (the call died before the recogniser
    finished), or the recogniser could not keep up. The recording has all of it.
    `pending`: recorded and not yet transcribed. There is no text yet; a later revision of the draft brings the words.
    """

    step: str
    asks: Asks
    prompt: str = ""
    text: str = ""
    words: tuple[Word, ...] = ()
    digits: str = Field(default="", pattern=r"^[0-9*#A-D]*$", max_length=64)
    answer: str = Field(default="", max_length=32)
    heard_from_seconds: float | None = None
    heard_to_seconds: float | None = None
    final: bool = True
    pending: bool = False

    @model_validator(mode="after")
    def _text_is_its_words(self) -> Turn:
        if self.words and self.text != "".join(word.text for word in self.words):
            raise ValueError("turn.text must be its words joined without spaces")
        if self.pending and (self.text or self.words or self.final):
            raise ValueError("a pending turn has no text yet and is not final")
        return self


class Evidence(Wire):
    """The words (or digits) that a field comes from: `turns[turn].text[start_char:end_char]`.

    Digits pressed are evidence with start_char = end_char = 0 and the turn's `digits` non-empty.
    Seconds are None when the turn has no word times (typed text, digits).
    """

    turn: int = Field(ge=0)
    start_char: int = Field(ge=0)
    end_char: int = Field(ge=0)
    start_seconds: float | None = None
    end_seconds: float | None = None


class Alternative(Wire, Generic[T]):
    value: T
    confidence: float = Field(ge=0, le=1)


class Understood(Wire, Generic[T]):
    """One understood field. Without evidence there is no value: empty, never guessed."""

    value: T | None = None
    confidence: float = Field(default=0.0, ge=0, le=1)
    evidence: tuple[Evidence, ...] = ()
    alternatives: tuple[Alternative[T], ...] = ()

    @model_validator(mode="after")
    def _no_value_without_evidence(self) -> Understood[T]:
        if self.value is not None and not self.evidence:
            raise ValueError("a field without evidence is empty")
        return self


class Category(Wire):
    """一级/二级/三级分类; names as in the versioned table of `cases/drafting/data/`."""

    level1: str
    level2: str | None = None
    level3: str | None = None


class Place(Wire):
    """发生地址. Official names where they are sure; `detail` is what was said and is in no gazetteer (estate, door)."""

    district: str | None = None
    street: str | None = None
    community: str | None = None
    detail: str | None = None


class Occurred(Wire):
    """事发时间. `end` None: still going on. `said` is the caller's expression (上礼拜, 每天夜里)."""

    start: AwareDatetime | None = None
    end: AwareDatetime | None = None
    said: str = ""


class Caller(Wire):
    """来电人. `number` is signalled by the line, so it is not understood but known; the rest was said or pressed."""

    number: str | None = Field(default=None, max_length=32)
    name: Understood[str] = Understood[str]()
    callback_number: Understood[str] = Understood[str]()
    confidential: Understood[bool] = Understood[bool]()


class Alert(Wire):
    """`confidence`: how often such an alert was right; a human looks at every one."""

    kind: AlertKind
    confidence: float = Field(default=1.0, ge=0, le=1)
    evidence: tuple[Evidence, ...] = ()


class Recording(Wire):
    """`uri` is relative to the backend (`/api/recordings/<call_id>`)."""

    uri: str
    seconds: float = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class ComplaintDraft(Wire):
    """What a producer hands over: not yet confirmed by a human. `draft_id` is made once, by the producer.

    `revision` rises when the producer heard the call better (words that came late, a second pass) and sends the whole
    draft again. A backend that has this revision or a higher one has nothing to do.
    """

    schema_version: Literal[1] = 1
    draft_id: UUID
    revision: int = Field(default=0, ge=0, le=REVISION_MAX)
    call_id: str = Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._-]+$")
    reference: str = Field(default="", max_length=16, pattern=r"^[0-9]*$")  # the number the caller was told
    received_at: AwareDatetime
    channel: Channel = Channel.PHONE
    caller: Caller = Caller()
    appeal_type: Understood[AppealType] = Understood[AppealType]()
    category: Understood[Category] = Understood[Category]()
    place: Understood[Place] = Understood[Place]()
    occurred: Understood[Occurred] = Understood[Occurred]()
    subject: Understood[Annotated[str, StringConstraints(max_length=SUBJECT_MAX_CHARS)]] = Understood[
        Annotated[str, StringConstraints(max_length=SUBJECT_MAX_CHARS)]
    ]()
    narrative: Understood[str] = Understood[str]()
    request: Understood[str] = Understood[str]()
    urgency: Understood[Urgency] = Understood[Urgency]()  # empty reads as routine
    alerts: tuple[Alert, ...] = ()
    turns: tuple[Turn, ...] = ()
    recording: Recording | None = None
    ended: Ended = Ended.COMPLETED
    complete: bool = True  # nothing was left to ask when the call ended
    hung_up_at_step: str | None = None
    caller_agreed: bool | None = None  # answer to the read-back; None: not asked or not answered

    @model_validator(mode="after")
    def _evidence_points_into_turns(self) -> ComplaintDraft:
        for name, evidence in iter_evidence(self):
            if evidence.turn >= len(self.turns):
                raise ValueError(f"{name}: evidence names turn {evidence.turn}, there are {len(self.turns)}")
            if not evidence.start_char <= evidence.end_char <= len(self.turns[evidence.turn].text):
                raise ValueError(f"{name}: evidence lies outside its turn's text")
        return self


UNDERSTOOD_FIELDS = ("appeal_type", "category", "place", "occurred", "subject", "narrative", "request", "urgency")
CALLER_FIELDS = ("name", "callback_number", "confidential")


def iter_evidence(draft: ComplaintDraft) -> list[tuple[str, Evidence]]:
    """Every (field path, evidence) of a draft, `caller.` fields and alerts included."""
    found = [(name, e) for name in UNDERSTOOD_FIELDS for e in getattr(draft, name).evidence]
    found += [(f"caller.{name}", e) for name in CALLER_FIELDS for e in getattr(draft.caller, name).evidence]
    found += [(f"alerts.{alert.kind}", e) for alert in draft.alerts for e in alert.evidence]
    return found


def draft_id_of(call_id: str) -> UUID:
    """The one draft id of a call (RFC 9562 version 5), so that however often a process dies it stays the same."""
    return uuid5(_DRAFT_NAMESPACE, call_id)


class CallTranscript(Wire):
    """What drafting reads: everything known of a call and nothing inferred. A live call's transcript is a prefix."""

    call_id: str
    draft_id: UUID
    reference: str = ""
    received_at: AwareDatetime
    channel: Channel = Channel.PHONE
    caller_number: str | None = None
    turns: tuple[Turn, ...] = ()
    recording: Recording | None = None
    ended: Ended = Ended.COMPLETED
    hung_up_at_step: str | None = None


class LiveKind(StrEnum):
    STARTED = "started"  # the call is here
    PROMPT = "prompt"  # `text` is being said to the caller
    PARTIAL = "partial"  # `text` replaces the previous partial of `turn`
    FINAL = "final"  # `text` is what turn `turn` said
    DIGITS = "digits"
    FIELDS = "fields"  # `fields` as understood so far
    ALERT = "alert"  # `text` names the AlertKind
    ENDED = "ended"


LIVE_FIELDS_MAX = 16


def _cut(max_chars: int) -> BeforeValidator:
    return BeforeValidator(lambda value: value[:max_chars] if isinstance(value, str) else value)


def _cut_fields(value: Any) -> Any:
    if not isinstance(value, dict) or not all(isinstance(x, str) for pair in value.items() for x in pair):
        return value
    return {name[:64]: shown[:300] for name, shown in list(value.items())[:LIVE_FIELDS_MAX]}


_LiveName = Annotated[str, StringConstraints(max_length=64)]
_LiveShown = Annotated[str, StringConstraints(max_length=300)]


class LiveUpdate(Wire):
    """One step of a live call for the desk. Lossy on purpose: a lost one is repaired by the next, never waited for.

    `fields`: field path -> short display value (place, appeal_type, category, callback_number …). What is too long is
    cut and never refused: a call must not stumble over what is only shown.
    """

    call_id: str = Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._-]+$")
    sequence: int = Field(ge=0)  # rises within a call
    at: AwareDatetime
    kind: LiveKind
    step: Annotated[str, _cut(64)] = Field(default="", max_length=64)
    turn: int = Field(default=0, ge=0)
    text: str = Field(default="", max_length=4000)
    caller_number: Annotated[str | None, _cut(32)] = Field(default=None, max_length=32)
    fields: Annotated[dict[_LiveName, _LiveShown], BeforeValidator(_cut_fields)] = Field(
        default_factory=dict, max_length=LIVE_FIELDS_MAX
    )


class DraftReceipt(Wire):
    """Answer to a delivered draft: `created` False when the backend already had it (same draft_id)."""

    draft_id: UUID
    created: bool
    status: str


class Problem(BaseModel):
    """RFC 9457 problem details; `code` is our stable error code."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str = ""
    code: str
    errors: list[dict[str, Any]] = Field(default_factory=list)


def draft_json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of ComplaintDraft."""
    return ComplaintDraft.model_json_schema()
