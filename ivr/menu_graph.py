"""What only the whole menu shows: ways that lead nowhere, loops, keys that mean two things. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from cases.schema import Asks, Ended
from ivr.menu_states import Condition, Menu, MenuKind, MenuState
from ivr.spoken import SPOKEN_TEXTS

Report = Callable[..., None]
"""report(path, code, message, severity='error')"""

DIALPLAN_TEXTS = ("fallback_apology", "human_wait", "leave_message", "goodbye", "queue_busy", "apology")
EMERGENCY_TEXTS = tuple(f"emergency_{number}" for number in ("119", "120", "110", "122"))
REQUIRED_TEXTS = (*DIALPLAN_TEXTS, *EMERGENCY_TEXTS, *SPOKEN_TEXTS)


def check_menu(menu: Menu, report: Report) -> None:
    """Report everything that is wrong with the menu as a whole."""
    for name in REQUIRED_TEXTS:
        if name not in menu.texts:
            report(
                ("texts", name), "missing-text", f"texts.toml has to have the text {name}: the hotline itself says it"
            )
    _check_routes(menu, report)
    for state in menu.states.values():
        _check_state(menu, state, report)
    _check_reachable(menu, report)
    _check_way_out(menu, report)
    _check_loops(menu, report)
    _check_depth(menu, report)


def _check_routes(menu: Menu, report: Report) -> None:
    """The fixed routes exist, and lead to their end without another question."""
    routes = {
        ("first",): (menu.first, None),
        ("human", "next"): (menu.human.next, Ended.HUMAN),
        ("emergency", "next"): (menu.emergency_next, Ended.EMERGENCY),
        ("failure", "next"): (menu.failure_next, Ended.HUMAN),
    }
    if menu.threat_next is not None:
        routes[("threat", "next")] = (menu.threat_next, None)
    for at, (name, end) in routes.items():
        if not name:
            report(at, "unknown-next", f"{'.'.join(at)} is missing: name the state to go to")
        elif name not in menu.states:
            report(at, "unknown-next", f"there is no state {name}")
        elif end is not None and (found := _straight_end(menu, name)) is not end:
            leads = f"ends as {found.value}" if found else "does not lead straight to an end"
            report(at, "no-way-out", f"{name} {leads}; it has to end as {end.value} without asking anything")


def _straight_end(menu: Menu, name: str) -> Ended | None:
    """How a chain of states that only say ends; None when it asks, branches, is broken or goes round."""
    seen: set[str] = set()
    while name in menu.states and name not in seen:
        seen.add(name)
        state = menu.states[name]
        if state.kind is MenuKind.END:
            return state.end
        if state.kind is MenuKind.ASK or state.next is None:
            return None
        name = state.next
    return None


def _check_state(menu: Menu, state: MenuState, report: Report) -> None:
    at = ("states", state.name)
    if state.kind is MenuKind.END:
        return
    targets = [((*at, "next"), state.next), ((*at, "after"), state.after)]
    targets += [((*at, "answers"), answer.next) for answer in state.answers]
    for where, name in targets:
        if name is not None and name not in menu.states:
            report(where, "unknown-next", f"there is no state {name}")
    if state.next is None and (state.kind is MenuKind.SAY or _needs_next(state)):
        report(at, "unknown-next", "next is missing: where does the call go from here?")
    if (state.times is None) != (state.after is None):
        report(at, "bad-limit", "times and after belong together: how often, and where to when that is used up")
    if state.kind is MenuKind.ASK:
        _check_ask(menu, state, at, report)


def _needs_next(state: MenuState) -> bool:
    free = state.asks in (Asks.NARRATION, Asks.PLACE, Asks.CONTACT)
    return free or bool(state.when) or state.question or any(answer.next is None for answer in state.answers)


def _check_ask(menu: Menu, state: MenuState, at: tuple[str, ...], report: Report) -> None:
    if not state.say:
        report((*at, "say"), "missing-text", "a state that asks has to say something")
    if state.asks in (Asks.CONFIRMATION, Asks.CHOICE) and not state.answers:
        report(at, "no-answers", f"asks {state.asks.value} without answers: write [[states.{state.name}.answers]]")
    if state.restrict and not any(answer.phrases for answer in state.answers):
        report((*at, "restrict"), "no-answers", "restrict listens for the answers' phrases, and there are none")
    if state.max_seconds <= state.end_silence_seconds:
        report((*at, "max_seconds"), "bad-limit", "max_seconds has to be longer than end_silence_seconds")
    taken: dict[str, str] = dict.fromkeys(menu.human.keys, "the way to a human")
    said: dict[str, str] = dict.fromkeys(menu.human.phrases, "the way to a human")
    for answer in state.answers:
        for kind, words, owners in (("key", answer.keys, taken), ("phrase", answer.phrases, said)):
            for word in words:
                if word in owners:
                    report((*at, "answers"), f"duplicate-{kind}", f"{word} means both {owners[word]} and {answer.name}")
                owners.setdefault(word, answer.name)


def _edges(state: MenuState) -> set[str]:
    return {name for name in (state.next, state.after, *(answer.next for answer in state.answers)) if name is not None}


def _global_edges(menu: Menu) -> set[str]:
    routes = (menu.human.next, menu.emergency_next, menu.failure_next, menu.threat_next)
    return {name for name in routes if name is not None}


def _closure(start: Iterable[str], edges: Callable[[str], Iterable[str]], states: Mapping[str, MenuState]) -> set[str]:
    found: set[str] = set()
    waiting = [name for name in start if name in states]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [following for following in edges(name) if following in states]
    return found


def _check_reachable(menu: Menu, report: Report) -> None:
    if menu.first not in menu.states:
        return  # everything would be unreachable; first is the fault and is reported
    reached = _closure({menu.first} | _global_edges(menu), lambda name: _edges(menu.states[name]), menu.states)
    for name in menu.states:
        if name not in reached:
            report(("states", name), "unreachable", "no state leads here; name it somewhere or delete it")


def _check_way_out(menu: Menu, report: Report) -> None:
    """From every state that listens an answering caller comes to an end, not only by asking for a human."""
    for state in menu.states.values():
        if state.kind is not MenuKind.ASK:
            continue
        reached = _closure([state.name], lambda name: _edges(menu.states[name]), menu.states)
        if not any(menu.states[name].kind is MenuKind.END for name in reached):
            report(("states", state.name), "no-way-out", "however the caller answers, no end is ever reached")


def _check_loops(menu: Menu, report: Report) -> None:
    """A loop is allowed only through a state with `times`: without its `after` ways the menu has to be free of loops."""

    def lasting(name: str) -> set[str]:
        state = menu.states[name]
        if state.times is not None:
            return {state.after} if state.after is not None else set()
        return _edges(state) - {state.after}

    reported: set[str] = set()
    for name in menu.states:
        if name in reported:
            continue
        behind = _closure((n for n in lasting(name)), lasting, menu.states)
        if name in behind:
            loop = {other for other in behind if name in _closure(lasting(other), lasting, menu.states)}
            reported |= loop
            message = f"{', '.join(sorted(loop))} go round for ever: give one of them times and after"
            report(("states", name), "unbounded-loop", message)


def _check_depth(menu: Menu, report: Report) -> None:
    """Citizens hate long menus: one level of choices is the most."""
    choices = [state for state in menu.states.values() if state.asks is Asks.CHOICE and state.kind is MenuKind.ASK]
    for state in choices:
        behind = _closure(_edges(state), lambda name: _edges(menu.states[name]), menu.states)
        deeper = [other.name for other in choices if other.name in behind and other.name != state.name]
        if deeper:
            message = f"a second level of choices ({', '.join(deeper)}) follows; callers hang up on deep menus"
            report(("states", state.name), "menu-too-deep", message, "warning")
    first = menu.states.get(menu.first)
    if first is not None and Condition.PLACE_MISSING in first.when:
        report(("states", first.name), "menu-too-deep", "the first state should be the open question", "warning")
