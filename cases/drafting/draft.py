"""A call's transcript becomes a ComplaintDraft: every field with the words it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

from cases.drafting.alerts import alerts
from cases.drafting.appeal_type import appeal_type
from cases.drafting.calibration import SURE_FROM
from cases.drafting.caller_name import caller_name
from cases.drafting.category import classify
from cases.drafting.contact import callback_number, confidential
from cases.drafting.narrative import narrative
from cases.drafting.occurred import occurred
from cases.drafting.place import place
from cases.drafting.place_choice import spoken
from cases.drafting.place_readings import near_readings
from cases.drafting.request import request
from cases.drafting.subject import subject
from cases.drafting.urgency import urgency
from cases.schema import Asks, Caller, CallTranscript, ComplaintDraft, Ended, Turn, draft_id_of

Missing = Literal["place", "contact"]
_PLACE_ENOUGH = 0.6
_NUMBER_ENOUGH = 0.5  # digits that make no number are kept for the operator, but asked for again


def draft(transcript: CallTranscript) -> ComplaintDraft:
    """The draft of a call, or of what is known of a live one. Pure and repeatable; never raises for what was said."""
    turns = transcript.turns
    classified = classify(turns)
    kind = appeal_type(turns, classified)
    where = place(turns)
    return ComplaintDraft(
        draft_id=transcript.draft_id,
        call_id=transcript.call_id,
        reference=transcript.reference,
        received_at=transcript.received_at,
        channel=transcript.channel,
        caller=Caller(
            number=transcript.caller_number,
            name=caller_name(turns),
            callback_number=callback_number(turns, transcript.caller_number),
            confidential=confidential(turns),
        ),
        appeal_type=kind,
        category=classified.category,
        place=where,
        occurred=occurred(turns, transcript.received_at, kind.value),
        subject=subject(turns, where, classified, kind),
        narrative=narrative(turns),
        request=request(turns, where),
        urgency=urgency(turns, kind.value, classified),
        alerts=alerts(turns),
        turns=turns,
        recording=transcript.recording,
        ended=transcript.ended,
        complete=transcript.ended is Ended.COMPLETED,
        hung_up_at_step=transcript.hung_up_at_step,
        caller_agreed=_agreed(turns),
    )


def _agreed(turns: Sequence[Turn]) -> bool | None:
    """The last answer to the read-back; None when it was not asked or not answered."""
    answers = [turn.answer for turn in turns if turn.asks is Asks.CONFIRMATION and turn.answer in ("yes", "no")]
    return answers[-1] == "yes" if answers else None


def warm_up() -> None:
    """Reads all tables and the learned model now (about half a second) rather than at the first draft.

    Raises CasesError `drafting-table-broken` naming every problem of the first broken table.
    """
    turn = Turn(step="warm-up", asks=Asks.NARRATION, text="我在望京昨天停水希望尽快处理电话幺三八我要投诉")
    contact = Turn(step="warm-up", asks=Asks.CONTACT, text="不用保密")
    draft(
        CallTranscript(
            call_id="warm-up",
            draft_id=draft_id_of("warm-up"),
            received_at=datetime(2026, 1, 1, tzinfo=UTC),
            caller_number="10000",
            turns=(turn, contact),
        )
    )


def place_choice(draft: ComplaintDraft) -> tuple[str, str] | None:
    """Two places to ask the caller about, as they are said; None unless two readings are near and neither is sure."""
    if draft.place.confidence >= SURE_FROM:
        return None
    near = near_readings(draft.turns)
    return (spoken(near[0]), spoken(near[1])) if near else None


def missing(draft: ComplaintDraft) -> tuple[Missing, ...]:
    """What a call should still ask, most useful first.

    place: no street and no detail is known, or neither is sure enough and the caller was not asked yet.
    contact: neither a number to ring back nor a word about confidentiality.
    """
    asked = {turn.asks for turn in draft.turns if turn.text or turn.digits}
    wanted: list[Missing] = []
    known = draft.place.value
    unknown = known is None or not (known.street or known.community or known.detail)
    unsure = draft.place.confidence < _PLACE_ENOUGH and Asks.PLACE not in asked
    if unknown or unsure:
        wanted.append("place")
    number = draft.caller.callback_number
    if (number.value is None or number.confidence < _NUMBER_ENOUGH) and draft.caller.confidential.value is None:
        wanted.append("contact")
    return tuple(wanted)
