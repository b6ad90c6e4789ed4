"""The dialog of one call: a pure machine. State and what happened in; the new state and what to do next out.

    state, actions = begin(menu, context)
    while True:
        ... carry out `actions` in order; the last is always an Ask (a listening turn) or a Finish ...
        state, actions = advance(menu, state, event, understanding)

It knows no clock, no sound and no file. It never raises on anything a caller may do, and from every state a bounded
number of turns leads to a Finish: `limits` bounds the stumbles, the menu's own check bounds its loops.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import time

from cases.drafting import EMERGENCY_WATCH, Emergency, hears_emergency, hears_threat, missing, place_choice
from cases.schema import AlertKind, Asks, ComplaintDraft, Ended
from ivr.actions import Action, Alarm, Ask, Finish, Piece, Say
from ivr.answers import MIN_CONTENT_CHARS, answer_of, content_of, given_answer, only_begun, wants_human, was_silent
from ivr.events import CallerHungUp, CallFailed, TurnEnd, TurnEnded
from ivr.menu_states import Condition, Group, Menu, MenuKind, MenuState, Value
from ivr.spoken import digit_pieces, time_pieces

# The menu's check makes these unreachable; they are here because a mistake of ours must not keep a caller for ever.
MAX_TURNS = 40
MAX_STEPS = 200  # states walked through between two turns

__all__ = ["CallContext", "DialogEvent", "DialogState", "advance", "answer_of", "begin"]

DialogEvent = TurnEnded | CallerHungUp | CallFailed


@dataclass(frozen=True, slots=True)
class CallContext:
    """What is known of a call before a word is said. `received_time`: local time of day, for `{time}`.

    `heard`: False when what is said is recognised after the call: the caller is asked by keys where that is possible,
    and taken at his word where it is not.
    """

    call_id: str
    reference: str
    caller_number: str | None = None
    received_time: time | None = None
    heard: bool = True


@dataclass(frozen=True, slots=True)
class DialogState:
    """Where the dialog stands. `step` is the menu state that listens (or ended)."""

    context: CallContext
    step: str
    turns: int = 0
    questions: int = 0
    silences: int = 0
    misunderstandings: int = 0
    went_on: bool = False  # the caller was once asked to go on; not twice
    entered: tuple[tuple[str, int], ...] = ()  # how often each state with `times` was entered
    raised: frozenset[AlertKind] = frozenset()
    emergency: Emergency | None = None
    ended: Ended | None = None

    def times_entered(self, name: str) -> int:
        return dict(self.entered).get(name, 0)


Step = tuple[DialogState, tuple[Action, ...]]


def begin(menu: Menu, context: CallContext) -> Step:
    """The first actions of a call."""
    return _go(menu, DialogState(context, menu.first), menu.first, None, ())


def advance(menu: Menu, state: DialogState, event: DialogEvent, understanding: ComplaintDraft | None) -> Step:
    """What to do after `event`. `understanding` is the draft of everything heard so far, this turn included.

    None as understanding (drafting failed) asks as if nothing were known. After a Finish: no actions.
    """
    if state.ended is not None:
        return state, ()
    if isinstance(event, CallerHungUp):
        return _finish(state, Ended.HUNG_UP)
    if isinstance(event, CallFailed):
        return _go(menu, state, menu.failure_next, understanding, ())
    return _after_turn(menu, replace(state, turns=state.turns + 1), event, understanding)


def _after_turn(menu: Menu, state: DialogState, event: TurnEnded, understanding: ComplaintDraft | None) -> Step:
    if event.ended_by is TurnEnd.HANG_UP:
        return _finish(state, Ended.HUNG_UP)
    at = menu.states[state.step]
    # Before the key to a human: who presses 0 in a fire is put through as well, but hears 119 first.
    emergency = hears_emergency(event.text)
    if emergency is not None:
        state, alarms = _raise(state, AlertKind.EMERGENCY, event.text)
        return _go(menu, replace(state, emergency=emergency), menu.emergency_next, understanding, alarms)
    actions: tuple[Action, ...] = ()
    if hears_threat(event.text) is not None:
        state, actions = _raise(state, AlertKind.THREAT, event.text)
    if wants_human(menu, at, event) or state.turns >= MAX_TURNS:
        return _go(menu, state, menu.human.next, understanding, actions)
    if actions and menu.threat_next is not None:
        return _go(menu, state, menu.threat_next, understanding, actions)
    onward = _understood(menu, at, event, understanding)
    if onward is not None:
        if not state.went_on and only_begun(menu, at, event):
            state = replace(state, went_on=True)
            return state, (*actions, _ask(menu, state, at, ((menu.hearing.go_on,),), understanding))
        return _go(menu, state, onward, understanding, actions)
    if event.pending and event.ended_by is not TurnEnd.NO_INPUT and not event.digits.rstrip(menu.terminator):
        return _go(menu, state, at.next or menu.human.next, understanding, actions)
    if event.ended_by is TurnEnd.FAILED:
        return _go(menu, state, menu.failure_next, understanding, actions)
    return _stumble(menu, state, at, event, understanding, actions)


def _stumble(
    menu: Menu,
    state: DialogState,
    at: MenuState,
    event: TurnEnded,
    understanding: ComplaintDraft | None,
    actions: tuple[Action, ...],
) -> Step:
    """Silence or nothing understood: ask again more kindly, or at the limit put through to a human."""
    if was_silent(menu, event):
        state = replace(state, silences=state.silences + 1)
        over, say = state.silences >= menu.limits.silences, at.silent_say
    else:
        state = replace(state, misunderstandings=state.misunderstandings + 1)
        over, say = state.misunderstandings >= menu.limits.misunderstandings, at.unclear_say
    if over:
        return _go(menu, state, menu.human.next, understanding, actions)
    return state, (*actions, _ask(menu, state, at, say or at.say, understanding))


def _go(
    menu: Menu, state: DialogState, name: str, understanding: ComplaintDraft | None, actions: tuple[Action, ...]
) -> Step:
    """Enter `name` and walk on through states that say or are passed by, up to the next Ask or the end."""
    for _ in range(MAX_STEPS):
        at = menu.states[name]
        if at.times is not None:
            count = state.times_entered(name)
            if count >= at.times and at.after is not None:
                name = at.after
                continue
            state = replace(state, entered=(*(e for e in state.entered if e[0] != name), (name, count + 1)))
        if _passed_by(menu, state, at, understanding):
            name = at.next or menu.human.next
            continue
        state = replace(state, step=name)
        if at.kind is MenuKind.ASK:
            state = replace(state, questions=state.questions + at.question)
            say = at.say if state.context.heard else at.unheard_say or at.say
            return state, (*actions, _ask(menu, state, at, say, understanding))
        pieces = _pieces(menu, state, at.say, understanding)
        if pieces:
            actions = (*actions, Say(name, pieces))
        if at.kind is MenuKind.END:
            ended = at.end or Ended.HUMAN
            return replace(state, ended=ended), (*actions, Finish(ended, name))
        name = at.next or menu.human.next
    return replace(state, ended=Ended.HUMAN), (*actions, Finish(Ended.HUMAN, state.step))


def _passed_by(menu: Menu, state: DialogState, at: MenuState, understanding: ComplaintDraft | None) -> bool:
    if at.question and state.questions >= menu.limits.questions:
        return True
    return not all(_holds(condition, state, understanding) for condition in at.when)


def _holds(condition: Condition, state: DialogState, understanding: ComplaintDraft | None) -> bool:
    match condition:
        case Condition.PLACE_MISSING:
            return understanding is None or "place" in missing(understanding)
        case Condition.PLACE_DOUBTFUL:
            return understanding is not None and place_choice(understanding) is not None
        case Condition.CONTACT_MISSING:
            return understanding is None or "contact" in missing(understanding)
        case Condition.NUMBER_KNOWN:
            return bool(state.context.caller_number)
        case Condition.NUMBER_UNKNOWN:
            return not state.context.caller_number
        case Condition.ANYTHING_UNDERSTOOD:
            return bool(_subject(understanding) or _place(understanding))


def _understood(menu: Menu, at: MenuState, event: TurnEnded, understanding: ComplaintDraft | None) -> str | None:
    """The state to go to when the turn answered what was asked, else None."""
    answer = given_answer(menu, at, event)
    if answer is not None:
        return answer.next or at.next
    if at.asks is Asks.NARRATION:
        return at.next if len(content_of(menu, event.text)) >= MIN_CONTENT_CHARS else None
    if at.asks not in (Asks.PLACE, Asks.CONTACT):
        return None
    if understanding is None:
        return at.next if event.text or event.digits else None
    return None if at.asks.value in missing(understanding) else at.next


def _raise(state: DialogState, kind: AlertKind, text: str) -> tuple[DialogState, tuple[Action, ...]]:
    """An alarm of each kind once a call."""
    if kind in state.raised:
        return state, ()
    return replace(state, raised=state.raised | {kind}), (Alarm(kind, text),)


def _finish(state: DialogState, ended: Ended) -> Step:
    return replace(state, ended=ended), (Finish(ended, state.step),)


def _ask(
    menu: Menu, state: DialogState, at: MenuState, say: tuple[Group, ...], understanding: ComplaintDraft | None
) -> Ask:
    answer_keys = {key for answer in at.answers for key in answer.keys if key != menu.terminator}
    # When digits are collected, only a key that no number begins with may end the turn at once.
    at_once = {key for key in answer_keys if not key.isdigit()} if at.max_digits else answer_keys
    phrases = tuple(phrase for answer in at.answers for phrase in answer.phrases)
    # 换一个 may be followed by the number itself.
    whole = tuple(p for answer in at.answers if not (at.max_digits and answer.next) for p in answer.phrases)
    return Ask(
        step=at.name,
        asks=at.asks,
        pieces=_pieces(menu, state, say, understanding),
        phrases=(*phrases, *menu.human.phrases) if at.restrict else (),
        watch=() if state.went_on else (*menu.human.watch, *EMERGENCY_WATCH),
        keys=frozenset(at_once) if at.max_digits else menu.human.keys | at_once,
        terminator=menu.terminator,
        max_digits=at.max_digits,
        no_input_seconds=at.no_input_seconds,
        end_silence_seconds=at.end_silence_seconds,
        max_seconds=at.max_seconds,
        barge_in=at.barge_in,
        answers=whole,
    )


def _pieces(
    menu: Menu, state: DialogState, say: tuple[Group, ...], understanding: ComplaintDraft | None
) -> tuple[Piece, ...]:
    found: list[Piece] = []
    for group in say:
        parts = [_part(menu, state, item, understanding) for item in group]
        if all(parts):
            found += [piece for part in parts for piece in part]
    return tuple(found)


def _part(menu: Menu, state: DialogState, item: str, understanding: ComplaintDraft | None) -> tuple[Piece, ...]:
    if not item.startswith("{"):
        return (Piece(menu.texts[item].zh, item),)
    match Value(item[1:-1]):
        case Value.SUBJECT:
            text = _subject(understanding)
            return (Piece(text),) if text else ()
        case Value.PLACE:
            text = _place(understanding)
            return (Piece(text),) if text else ()
        case Value.PLACE_FIRST | Value.PLACE_SECOND as which:
            choice = place_choice(understanding) if understanding is not None else None
            return (Piece(choice[which is Value.PLACE_SECOND]),) if choice is not None else ()
        case Value.REFERENCE:
            return digit_pieces(state.context.reference)
        case Value.TIME:
            return time_pieces(state.context.received_time) if state.context.received_time is not None else ()
        case Value.EMERGENCY:
            name = f"emergency_{state.emergency.number}" if state.emergency is not None else ""
            return (Piece(menu.texts[name].zh, name),) if name in menu.texts else ()


def _subject(understanding: ComplaintDraft | None) -> str:
    return (understanding.subject.value or "") if understanding is not None else ""


def _place(understanding: ComplaintDraft | None) -> str:
    """The place as it is read back: official parts, then what was said beyond them."""
    place = understanding.place.value if understanding is not None else None
    if place is None:
        return ""
    community = (place.community or "").removesuffix("居委会").removesuffix("村委会")  # the committee is not the place
    return "".join(part for part in (place.district, place.street, community, place.detail) if part)
