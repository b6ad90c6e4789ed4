"""The life of a draft: every step, who may take it, and a machine that tries them in any order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from cases import lifecycle
from cases.errors import CasesError
from cases.lifecycle import Action, Actor, DraftState, Role, Rules, Status

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
RULES = Rules(undo_seconds=10, take_minutes=15)
LI = Actor(1, "li", "李", Role.OPERATOR)
ZHAO = Actor(2, "zhao", "赵", Role.OPERATOR)
BOSS = Actor(3, "boss", "孙", Role.SUPERVISOR)


def seconds(count: float) -> datetime:
    return NOW + timedelta(seconds=count)


def taken_by_li() -> DraftState:
    step = lifecycle.take(DraftState(Status.WAITING, 1), LI, 1, NOW, RULES)
    assert step is not None
    return step.state


def code_of(error: pytest.ExceptionInfo[CasesError]) -> tuple[str, int]:
    return error.value.code, error.value.status


def test_take_then_confirm_opens_a_case() -> None:
    state = taken_by_li()
    assert (state.status, state.version, state.taken_by) == (Status.TAKEN, 2, 1)
    step = lifecycle.confirm(state, LI, 2, seconds(30), RULES)
    assert step.opens_case
    assert step.voids_case is None
    assert (step.state.status, step.state.version, step.state.undo_until) == (Status.CONFIRMED, 3, seconds(40))


def test_taking_again_is_a_sign_of_life_and_not_a_step() -> None:
    assert lifecycle.take(taken_by_li(), LI, 1, seconds(5), RULES) is None


def test_somebody_else_hears_that_it_is_taken() -> None:
    with pytest.raises(CasesError) as error:
        lifecycle.take(taken_by_li(), ZHAO, 2, seconds(5), RULES)
    assert code_of(error) == ("draft-taken", 409)
    assert error.value.extra["taken_at"] == NOW.isoformat()
    assert error.value.extra["may_take_over"] is False


@pytest.mark.parametrize(
    ("actor", "force", "at", "allowed"),
    [
        (ZHAO, False, 15 * 60, True),  # stale: anybody
        (ZHAO, True, 60, False),  # force is a supervisor's word
        (BOSS, False, 60, False),  # and must be said
        (BOSS, True, 60, True),
    ],
)
def test_take_over(actor: Actor, force: bool, at: float, allowed: bool) -> None:
    if allowed:
        step = lifecycle.take(taken_by_li(), actor, 2, seconds(at), RULES, force=force)
        assert step is not None
        assert (step.action, step.state.taken_by, step.state.version) == (Action.TAKE_OVER, actor.user_id, 3)
    else:
        with pytest.raises(CasesError) as error:
            lifecycle.take(taken_by_li(), actor, 2, seconds(at), RULES, force=force)
        assert code_of(error) == ("draft-taken", 409)


def test_undo_of_a_confirm_voids_its_number() -> None:
    confirmed = lifecycle.confirm(taken_by_li(), LI, 2, NOW, RULES).state
    numbered = DraftState(**{**_values(confirmed), "case_number": "20261124000001"})
    step = lifecycle.undo(numbered, LI, 3, seconds(10), RULES)
    assert step.voids_case == "20261124000001"
    assert (step.state.status, step.state.case_number, step.state.taken_by) == (Status.TAKEN, None, 1)


def test_undo_is_over_after_its_time_and_only_once() -> None:
    rejected = lifecycle.reject(taken_by_li(), LI, 2, NOW, RULES, "重复").state
    with pytest.raises(CasesError) as error:
        lifecycle.undo(rejected, LI, 3, seconds(10.1), RULES)
    assert code_of(error) == ("undo-over", 409)
    with pytest.raises(CasesError) as error:
        lifecycle.undo(rejected, BOSS, 3, seconds(1), RULES)
    assert code_of(error) == ("undo-not-yours", 403)
    back = lifecycle.undo(rejected, LI, 3, seconds(1), RULES).state
    assert back.reject_reason is None
    with pytest.raises(CasesError) as error:
        lifecycle.undo(back, LI, back.version, seconds(2), RULES)
    assert code_of(error) == ("undo-over", 409)


def test_a_return_that_somebody_else_took_is_not_undone() -> None:
    waiting = lifecycle.give_back(taken_by_li(), LI, 2, NOW, RULES).state
    assert (waiting.status, waiting.taken_by) == (Status.WAITING, None)
    step = lifecycle.take(waiting, ZHAO, 3, seconds(1), RULES)
    assert step is not None
    with pytest.raises(CasesError) as error:
        lifecycle.undo(step.state, LI, 3, seconds(2), RULES)
    assert code_of(error) == ("draft-changed", 409)
    with pytest.raises(CasesError) as error:
        lifecycle.undo(step.state, LI, step.state.version, seconds(2), RULES)
    assert code_of(error) == ("undo-over", 409)


def test_reject_wants_a_reason() -> None:
    with pytest.raises(CasesError) as error:
        lifecycle.reject(taken_by_li(), LI, 2, NOW, RULES, "  ")
    assert code_of(error) == ("reason-missing", 422)
    assert error.value.errors[0]["field"] == "reason"


@pytest.mark.parametrize("version", [0, 1, 3])
def test_a_stale_version_changes_nothing(version: int) -> None:
    for step in (lifecycle.confirm, lifecycle.give_back):
        with pytest.raises(CasesError) as error:
            step(taken_by_li(), LI, version, NOW, RULES)
        assert code_of(error) == ("draft-changed", 409)


def test_stale_takes_go_back() -> None:
    assert lifecycle.go_stale(taken_by_li(), seconds(15 * 60 - 1), RULES) is None
    step = lifecycle.go_stale(taken_by_li(), seconds(15 * 60), RULES)
    assert step is not None
    assert (step.state.status, step.state.taken_by) == (Status.WAITING, None)


def _values(state: DraftState) -> dict[str, object]:
    return {name: getattr(state, name) for name in DraftState.__dataclass_fields__}


class AnyOrder(RuleBasedStateMachine):
    """Whatever people press in whatever order: the state stays one of the picture in lifecycle.py."""

    actors = st.sampled_from([LI, ZHAO, BOSS])

    def __init__(self) -> None:
        super().__init__()
        self.state = DraftState(Status.WAITING, 1)
        self.now = NOW
        self.steps = 0
        self.opened = self.voided = 0
        self.refused: set[int] = set()

    def _try(self, decide: object, *args: object, **more: object) -> None:
        before = self.state
        try:
            step = decide(before, *args, **more)  # type: ignore[operator]
        except CasesError as error:
            self.refused.add(error.status)
            return
        if step is None:
            return
        assert step.before is before
        assert step.state.version == before.version + 1
        self.steps += 1
        self.state = step.state
        if step.opens_case:
            self.opened += 1
            self.state = DraftState(**{**_values(step.state), "case_number": str(self.opened)})
        if step.voids_case:
            assert step.voids_case == str(self.opened)
            self.voided += 1

    @rule(actor=actors, off=st.sampled_from([0, 0, 0, 1]), force=st.booleans())
    def take(self, actor: Actor, off: int, force: bool) -> None:
        self._try(lifecycle.take, actor, self.state.version - off, self.now, RULES, force=force)

    @rule(actor=actors, off=st.sampled_from([0, 0, 0, 1]))
    def confirm(self, actor: Actor, off: int) -> None:
        self._try(lifecycle.confirm, actor, self.state.version - off, self.now, RULES)

    @rule(actor=actors, reason=st.sampled_from(["", "重复"]))
    def reject(self, actor: Actor, reason: str) -> None:
        self._try(lifecycle.reject, actor, self.state.version, self.now, RULES, reason)

    @rule(actor=actors)
    def give_back(self, actor: Actor) -> None:
        self._try(lifecycle.give_back, actor, self.state.version, self.now, RULES)

    @rule(actor=actors)
    def undo(self, actor: Actor) -> None:
        self._try(lifecycle.undo, actor, self.state.version, self.now, RULES)

    @rule()
    def go_stale(self) -> None:
        self._try(lifecycle.go_stale, self.now, RULES)

    @rule(passed=st.sampled_from([1, 11, 16 * 60]))
    def time_passes(self, passed: int) -> None:
        self.now += timedelta(seconds=passed)

    @invariant()
    def the_picture_holds(self) -> None:
        state = self.state
        assert self.refused <= {403, 409, 422}
        assert state.version == 1 + self.steps
        assert (state.taken_by is None) == (state.status is Status.WAITING)
        assert (state.case_number is not None) == (state.status is Status.CONFIRMED)
        assert (state.reject_reason is not None) == (state.status is Status.REJECTED)
        assert self.opened - self.voided == (1 if state.status is Status.CONFIRMED else 0)


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = hypothesis_settings(max_examples=60, stateful_step_count=30, deadline=None)
