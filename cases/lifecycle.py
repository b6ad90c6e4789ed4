"""The life of a draft, decided purely: (state, command, actor, now, rules) → transition, or a CasesError.

    waiting ──take──► taken ──confirm──► confirmed      undo (its actor, within undo_seconds) goes back to taken;
       ▲  ▲             │  └──reject───► rejected       undo of a confirm voids the case's number: kept, never reused
       │  └──return─────┘
       └──stale (system: nobody was at it for take_minutes)

`version` rises with every transition and with nothing else; edits carry a counter of their own, so somebody who types
fast never conflicts with himself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from cases.errors import CasesError


class Status(StrEnum):
    WAITING = "waiting"
    TAKEN = "taken"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"


class Action(StrEnum):
    RECEIVED = "received"
    TAKE = "take"
    TAKE_OVER = "take_over"
    RETURN = "return"
    STALE = "stale"
    CONFIRM = "confirm"
    REJECT = "reject"
    UNDO = "undo"
    REVISED = "revised"  # the producer heard the call better: shown from now on
    OFFERED = "offered"  # the same, while an operator was at it: only offered
    ADOPT = "adopt"  # its taker changes to another revision, or back
    DISMISS = "dismiss"  # its taker wants none of what is offered, or thinks better of it


class Role(StrEnum):
    OPERATOR = "operator"
    SUPERVISOR = "supervisor"
    ADMIN = "admin"


OPEN = frozenset({Status.WAITING, Status.TAKEN})
MAY_TAKE_OVER = frozenset({Role.SUPERVISOR, Role.ADMIN})


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts. `user_id` None: the system itself."""

    user_id: int | None
    name: str
    display_name: str
    role: Role


SYSTEM = Actor(None, "system", "系统", Role.ADMIN)


@dataclass(frozen=True, slots=True)
class Rules:
    undo_seconds: float
    take_minutes: float


@dataclass(frozen=True, slots=True)
class DraftState:
    """What the life cycle knows of a draft. `touched_at`: the taker's last sign of life."""

    status: Status
    version: int
    taken_by: int | None = None
    taken_at: datetime | None = None
    touched_at: datetime | None = None
    undo_until: datetime | None = None
    undo_by: int | None = None
    reject_reason: str | None = None
    case_number: str | None = None

    @property
    def is_open(self) -> bool:
        return self.status in OPEN


@dataclass(frozen=True, slots=True)
class Transition:
    """`state` after; `opens_case`: a number must be drawn; `voids_case`: this number is void from now on."""

    action: Action
    before: DraftState
    state: DraftState
    reason: str | None = None
    opens_case: bool = False
    voids_case: str | None = None


def changed(state: DraftState) -> CasesError:
    return CasesError(
        "draft-changed",
        "the draft has changed since you looked at it; load it again",
        status=409,
        extra={"version": state.version, "draft_status": state.status.value},
    )


def taken(state: DraftState, actor: Actor, rules: Rules, now: datetime) -> CasesError:
    """Who has it is added by the service (names live in the database)."""
    return CasesError(
        "draft-taken",
        "somebody else has taken this draft",
        status=409,
        extra={
            "version": state.version,
            "taken_by_id": state.taken_by,
            "taken_at": state.taken_at.isoformat() if state.taken_at else None,
            "may_take_over": actor.role in MAY_TAKE_OVER or is_stale(state, rules, now),
        },
    )


def is_stale(state: DraftState, rules: Rules, now: datetime) -> bool:
    last = state.touched_at or state.taken_at
    return state.status is Status.TAKEN and last is not None and last <= stale_before(rules, now)


def stale_before(rules: Rules, now: datetime) -> datetime:
    """A take whose last sign of life is not after this is stale."""
    return now - timedelta(minutes=rules.take_minutes)


def require_taker(state: DraftState, actor: Actor, rules: Rules, now: datetime) -> None:
    """Only its taker edits, confirms, rejects or returns a draft."""
    if state.status is Status.TAKEN and state.taken_by != actor.user_id:
        raise taken(state, actor, rules, now)
    if state.status is not Status.TAKEN:
        raise CasesError(
            "draft-not-taken",
            f"the draft is {state.status.value}; take it first",
            status=409,
            extra={"version": state.version, "draft_status": state.status.value},
        )


def take(
    state: DraftState, actor: Actor, version: int, now: datetime, rules: Rules, *, force: bool = False
) -> Transition | None:
    """None: the actor already has it (a repeated request), only his sign of life is new.

    `force` is a supervisor's take-over of a draft that is not stale.
    """
    if state.status is Status.TAKEN and state.taken_by == actor.user_id:
        return None
    action = Action.TAKE
    if state.status is Status.TAKEN:
        if not is_stale(state, rules, now) and not (force and actor.role in MAY_TAKE_OVER):
            raise taken(state, actor, rules, now)
        action = Action.TAKE_OVER
    elif state.status is not Status.WAITING or version != state.version:
        raise changed(state)
    return _to(
        state, action, Status.TAKEN, taken_by=actor.user_id, taken_at=now, touched_at=now, undo_until=None, undo_by=None
    )


def give_back(
    state: DraftState, actor: Actor, version: int, now: datetime, rules: Rules, reason: str | None = None
) -> Transition:
    require_taker(state, actor, rules, now)
    if version != state.version:
        raise changed(state)
    return _to(state, Action.RETURN, Status.WAITING, reason=reason, **_undoable(actor, now, rules), **_NOBODY)


def confirm(state: DraftState, actor: Actor, version: int, now: datetime, rules: Rules) -> Transition:
    require_taker(state, actor, rules, now)
    if version != state.version:
        raise changed(state)
    return _to(state, Action.CONFIRM, Status.CONFIRMED, opens_case=True, **_undoable(actor, now, rules))


def reject(state: DraftState, actor: Actor, version: int, now: datetime, rules: Rules, reason: str) -> Transition:
    require_taker(state, actor, rules, now)
    if version != state.version:
        raise changed(state)
    if not reason.strip():
        raise CasesError(
            "reason-missing",
            "say why the draft is rejected",
            status=422,
            errors=[{"field": "reason", "code": "required", "message": "must not be empty"}],
        )
    return _to(
        state, Action.REJECT, Status.REJECTED, reason=reason, reject_reason=reason, **_undoable(actor, now, rules)
    )


def undo(state: DraftState, actor: Actor, version: int, now: datetime, rules: Rules) -> Transition:
    """Back to taken by the one who confirmed, rejected or returned, and by nobody else."""
    if version != state.version:
        raise changed(state)
    if state.undo_until is None or now > state.undo_until:
        raise CasesError("undo-over", "this can no longer be undone", status=409, extra={"version": state.version})
    if state.undo_by != actor.user_id:
        raise CasesError("undo-not-yours", "only the one who did it can undo it", status=403)
    return _to(
        state,
        Action.UNDO,
        Status.TAKEN,
        voids_case=state.case_number,
        taken_by=actor.user_id,
        taken_at=now,
        touched_at=now,
        undo_until=None,
        undo_by=None,
        reject_reason=None,
        case_number=None,
    )


def go_stale(state: DraftState, now: datetime, rules: Rules) -> Transition | None:
    """The system gives a draft with nobody at it back to the queue; what was typed stays."""
    if not is_stale(state, rules, now):
        return None
    return _to(state, Action.STALE, Status.WAITING, undo_until=None, undo_by=None, **_NOBODY)


_NOBODY: dict[str, Any] = {"taken_by": None, "taken_at": None, "touched_at": None}


def _undoable(actor: Actor, now: datetime, rules: Rules) -> dict[str, Any]:
    return {"undo_until": now + timedelta(seconds=rules.undo_seconds), "undo_by": actor.user_id}


def _to(
    state: DraftState,
    action: Action,
    status: Status,
    *,
    reason: str | None = None,
    opens_case: bool = False,
    voids_case: str | None = None,
    **changes: Any,
) -> Transition:
    after = replace(state, status=status, version=state.version + 1, **changes)
    return Transition(action, state, after, reason, opens_case, voids_case)
