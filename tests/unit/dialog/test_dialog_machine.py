"""The dialog machine: the way of a good call, and every way off it. Understandings are built here, not drafted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cases.schema import (
    AlertKind,
    Asks,
    Caller,
    ComplaintDraft,
    Ended,
    Evidence,
    Place,
    Turn,
    Understood,
    draft_id_of,
)
from ivr.actions import Action, Alarm, Ask, Finish, Say
from ivr.dialog import MAX_TURNS, CallContext, DialogState, advance, answer_of, begin
from ivr.events import CallerHungUp, CallFailed, TurnEnd, TurnEnded
from ivr.menu import load_menu
from ivr.menu_graph import check_menu
from ivr.menu_states import Answer, HumanRoute, Limits, Menu, MenuKind, MenuState
from ivr.texts import read_texts

NOW = datetime(2026, 11, 24, 14, 35, tzinfo=UTC)
CALL = "call-1"
NARRATION = "楼上每天夜里装修，吵得没法睡觉"


def understanding(
    *, place: str | None = None, number: str | None = None, confidential: bool = False, subject: str | None = None
) -> ComplaintDraft:
    """A draft in which these fields are understood."""
    seen = (Evidence(turn=0, start_char=0, end_char=1),)
    caller = Caller(
        callback_number=Understood[str](value=number, confidence=1, evidence=seen) if number else Understood[str](),
        confidential=Understood[bool](value=True, confidence=1, evidence=seen) if confidential else Understood[bool](),
    )
    where = Understood[Place]()
    if place is not None:
        where = Understood[Place](value=Place(district="朝阳区", street=place), confidence=1, evidence=seen)
    about = ComplaintDraft.model_fields["subject"].annotation
    return ComplaintDraft(
        draft_id=draft_id_of(CALL),
        call_id=CALL,
        received_at=NOW,
        caller=caller,
        place=where,
        subject=about(value=subject, confidence=1, evidence=seen) if subject else about(),
        turns=(Turn(step="opening", asks=Asks.NARRATION, text=NARRATION),),
    )


NOTHING = understanding()
PLACED = understanding(place="望京街道", subject="夜间装修噪声")
ALL = understanding(place="望京街道", number="13911112222", subject="夜间装修噪声")


@dataclass
class Talk:
    """A call in the test's hands: say or press something, look at what comes."""

    menu: Menu
    context: CallContext = field(default_factory=lambda: CallContext(CALL, "10234567", "13800001111", time(22, 5)))
    state: DialogState = field(init=False)
    actions: tuple[Action, ...] = field(init=False)
    known: ComplaintDraft | None = None
    seen: list[Action] = field(init=False)

    def __post_init__(self) -> None:
        self.state, self.actions = begin(self.menu, self.context)
        self.seen = list(self.actions)

    @property
    def last(self) -> Action:
        return self.actions[-1]

    @property
    def ask(self) -> Ask:
        assert isinstance(self.last, Ask)
        return self.last

    @property
    def asked(self) -> list[str]:
        return [action.step for action in self.seen if isinstance(action, Ask)]

    def turn(self, text: str = "", digits: str = "", by: TurnEnd | None = None) -> Talk:
        if by is None:
            by = TurnEnd.KEY if digits else TurnEnd.SILENCE if text else TurnEnd.NO_INPUT
        ask = self.ask
        event = TurnEnded(
            CALL, NOW, self.state.turns, ask.step, ask.asks, ask.prompt_text, text, (), digits, by, None, None
        )
        return self.event(event)

    def event(self, event: TurnEnded | CallerHungUp | CallFailed) -> Talk:
        self.state, self.actions = advance(self.menu, self.state, event, self.known)
        self.seen += self.actions
        return self

    def knows(self, known: ComplaintDraft | None) -> Talk:
        self.known = known
        return self


@pytest.fixture
def talk(shipped_menu: Menu) -> Talk:
    return Talk(shipped_menu)


def said(action: Action) -> list[str | None]:
    assert isinstance(action, Say | Ask)
    return [piece.name for piece in action.pieces]


def test_begins_with_notice_and_open_question_in_one(talk: Talk) -> None:
    assert len(talk.actions) == 1
    assert talk.ask.asks is Asks.NARRATION
    assert "录音" in talk.ask.prompt_text
    assert "0" in talk.ask.prompt_text
    assert talk.ask.keys == {"0"}
    assert talk.ask.terminator == "#"
    assert {"着火", "转人工"} & set(talk.ask.watch)
    assert talk.ask.phrases == ()


def test_good_call_asks_what_is_missing_reads_back_and_tells_the_number(talk: Talk) -> None:
    talk.knows(understanding(subject="夜间装修噪声")).turn(NARRATION)
    assert talk.ask.asks is Asks.PLACE
    talk.knows(PLACED).turn("朝阳区望京街道")
    assert talk.ask.step == "contact"
    talk.turn("可以")
    assert talk.ask.asks is Asks.CONFIRMATION
    assert (
        talk.ask.prompt_text
        == "跟您核对一下。您反映的是：夜间装修噪声，地点：朝阳区望京街道。对吗？是请按1，不是请按2。"
    )
    assert [piece.text for piece in talk.ask.pieces if piece.name is None] == ["夜间装修噪声", "朝阳区望京街道"]
    assert {"是", "不是", "转人工"} <= set(talk.ask.phrases)
    assert talk.ask.keys == {"0", "1", "2"}
    talk.turn("是的")
    say, goodbye, finish = talk.actions
    assert isinstance(say, Say)
    names = [name for name in said(say) if name and name.startswith("digit_")]
    reference = ["digit_1", "digit_0", "digit_2", "digit_3", "digit_4", "digit_5", "digit_6", "digit_7"]
    assert names[-16:] == reference * 2
    assert said(goodbye) == ["goodbye"]
    assert finish == Finish(Ended.COMPLETED, "goodbye")
    assert talk.asked == ["opening", "place", "contact", "confirm"]


def test_nothing_is_asked_that_is_known(talk: Talk) -> None:
    talk.knows(ALL).turn(NARRATION)
    assert talk.ask.step == "confirm"


def test_read_back_leaves_the_place_out_when_there_is_none(talk: Talk) -> None:
    talk.knows(understanding(number="13911112222", subject="夜间装修噪声")).turn(NARRATION).turn("不清楚")
    assert talk.ask.step == "confirm"
    assert "地点" not in talk.ask.prompt_text
    assert "夜间装修噪声" in talk.ask.prompt_text


def test_nothing_understood_is_not_read_back(talk: Talk) -> None:
    talk.knows(understanding(number="13911112222")).turn(NARRATION).turn("不知道")
    assert isinstance(talk.last, Finish)
    assert talk.last.ended is Ended.COMPLETED


def test_drafting_that_failed_asks_everything_and_takes_any_answer(talk: Talk) -> None:
    talk.turn(NARRATION).turn("望京").turn("一三九幺幺幺幺二二二二")
    assert talk.asked == ["opening", "place", "contact"]
    assert talk.last == Finish(Ended.COMPLETED, "goodbye")


def test_no_is_corrected_once_and_not_read_back_again(talk: Talk) -> None:
    talk.knows(ALL).turn(NARRATION).turn("不是")
    assert talk.ask.step == "correct"
    assert talk.ask.asks is Asks.NARRATION
    talk.turn("是通州区梨园")
    assert talk.last == Finish(Ended.COMPLETED, "goodbye")
    assert talk.asked.count("confirm") == 1


@pytest.mark.parametrize(
    ("text", "digits", "step"),
    [
        ("是", "", "reference"),
        ("嗯，对的", "", "reference"),
        ("没错", "", "reference"),
        ("试的", "", "reference"),  # as a recogniser mishears 是的
        ("", "1", "reference"),
        ("不是", "", "correct"),
        ("不对不对", "", "correct"),
        ("", "2", "correct"),
        ("是", "2", "correct"),  # what was pressed outranks what was said
    ],
)
def test_yes_and_no_by_voice_and_key(talk: Talk, text: str, digits: str, step: str) -> None:
    talk.knows(ALL).turn(NARRATION).turn(text, digits)
    steps = [action.step for action in talk.actions if isinstance(action, Say | Ask)]
    assert steps[0] == step


@pytest.mark.parametrize(
    ("text", "digits", "by"),
    [
        ("可以", "", None),
        ("就用这个号", "", None),
        ("保密", "", None),
        ("我要求保密", "", None),
        ("", "#", TurnEnd.TERMINATOR),
        ("", "", TurnEnd.TERMINATOR),  # a listener that does not report the terminator
        ("", "*", TurnEnd.KEY),
        ("", "1", TurnEnd.NO_INPUT),
        ("", "2#", TurnEnd.TERMINATOR),
    ],
)
def test_contact_is_answered_by_a_word_or_a_key(talk: Talk, text: str, digits: str, by: TurnEnd | None) -> None:
    talk.knows(PLACED).turn(NARRATION)
    assert talk.ask.step == "contact"
    assert talk.ask.max_digits >= 11
    assert talk.ask.keys == {"*"}  # a mobile number begins with 1, one with an area code with 0
    talk.turn(text, digits, by)
    assert talk.ask.step == "confirm"


def test_a_number_with_an_area_code_can_be_keyed_and_zero_alone_is_a_human(talk: Talk) -> None:
    talk.knows(PLACED).turn(NARRATION)
    talk.knows(ALL).turn("", "01065123456#", TurnEnd.TERMINATOR)
    assert talk.ask.step == "confirm"


def test_zero_alone_at_the_contact_question_is_a_human(talk: Talk) -> None:
    talk.knows(PLACED).turn(NARRATION)
    talk.turn("", "0", TurnEnd.KEY)
    assert isinstance(talk.last, Finish)
    assert talk.last.ended is Ended.HUMAN


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("可以", "same"),
        ("不用保密", "same"),
        ("请给我保密", "confidential"),
        ("不可以", "other"),
        ("不是", "other"),
        ("不行，换一个吧", "other"),
        ("就这个号码", "same"),
        ("就这个", "same"),
        ("嗯就用这个", "same"),
        ("嗯，那个，保密", "confidential"),
        ("一三九一二三四五六七八", ""),
        ("换一个号码", "other"),
    ],
)
def test_what_a_contact_turn_is_taken_for(shipped_menu: Menu, text: str, answer: str) -> None:
    event = TurnEnded(CALL, NOW, 1, "contact", Asks.CONTACT, "", text, (), "", TurnEnd.SILENCE, None, None)
    assert answer_of(shipped_menu, event) == answer


def test_contact_takes_a_number_that_drafting_understood(talk: Talk) -> None:
    talk.knows(PLACED).turn(NARRATION).knows(ALL).turn("", "13911112222", TurnEnd.TERMINATOR)
    assert talk.ask.step == "confirm"


def test_only_saying_that_it_is_another_number_is_asked_for_it(talk: Talk) -> None:
    talk.knows(PLACED).turn(NARRATION).turn("换一个吧")
    assert said(talk.ask) == ["contact_other"]
    assert talk.state.misunderstandings == 0
    talk.knows(ALL).turn("", "13911112222#", TurnEnd.TERMINATOR)
    assert talk.ask.step == "confirm"


def test_half_a_number_is_misunderstood_and_asked_again(talk: Talk) -> None:
    talk.knows(PLACED).turn(NARRATION).turn("", "139", TurnEnd.TERMINATOR)
    assert talk.ask.step == "contact"
    assert said(talk.ask) == ["contact_again"]


def test_withheld_number_gets_its_own_question(shipped_menu: Menu) -> None:
    talk = Talk(shipped_menu, CallContext(CALL, "10234567", None)).knows(PLACED).turn(NARRATION)
    assert talk.ask.step == "contact_no_number"
    talk.turn("保密")
    assert talk.ask.step == "confirm"


def test_silence_is_asked_again_kindly_and_then_a_human(talk: Talk) -> None:
    talk.turn()
    assert said(talk.ask) == ["opening_silent"]
    talk.turn()
    say, finish = talk.actions
    assert said(say) == ["human_wait"]
    assert finish == Finish(Ended.HUMAN, "human")


def test_two_misunderstandings_reach_a_human(talk: Talk) -> None:
    talk.turn("", by=TurnEnd.SILENCE)
    assert said(talk.ask) == ["opening_unclear"]
    talk.turn("嗯，那个")
    assert talk.last == Finish(Ended.HUMAN, "human")


def test_one_silence_and_one_misunderstanding_are_not_two(talk: Talk) -> None:
    talk.turn().turn("嗯")
    assert isinstance(talk.last, Ask)
    talk.knows(ALL).turn(NARRATION)
    assert talk.ask.step == "confirm"


@pytest.mark.parametrize("text", ["人工", "转人工", "请帮我转接人工", "喂，我要人工服务", "仁工"])
def test_asking_for_a_human_by_word(talk: Talk, text: str) -> None:
    talk.turn(text)
    assert talk.last == Finish(Ended.HUMAN, "human")


def test_a_story_about_people_and_lakes_is_no_request_for_a_human(talk: Talk) -> None:
    talk.knows(NOTHING).turn("小区门口的人工湖一到夏天就发臭，物业一直没有处理")
    assert talk.ask.step == "place"


def test_asking_for_a_human_within_a_narration_that_it_cut_short(talk: Talk) -> None:
    talk.turn("你们这个机器我说不清楚，给我转人工", by=TurnEnd.KEYWORD)
    assert talk.last == Finish(Ended.HUMAN, "human")


def test_key_to_a_human_works_in_every_step(talk: Talk) -> None:
    talk.knows(understanding(subject="噪声"))
    steps = [(NARRATION, NOTHING), ("望京", PLACED), ("可以", ALL), ("不是", ALL)]
    for text, known in [("", None), *steps]:
        if text:
            talk.knows(known).turn(text)
        pressed = replace_talk(talk).turn("", "0")
        assert pressed.last == Finish(Ended.HUMAN, "human"), talk.asked
    assert talk.asked == ["opening", "place", "contact", "confirm", "correct"]


def replace_talk(talk: Talk) -> Talk:
    copy = Talk(talk.menu, talk.context)
    copy.state, copy.actions, copy.known = talk.state, talk.actions, talk.known
    return copy


def test_zero_within_a_telephone_number_is_a_digit(talk: Talk) -> None:
    talk.knows(PLACED).turn(NARRATION).knows(ALL).turn("", "13800001111", TurnEnd.TERMINATOR)
    assert talk.ask.step == "confirm"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("我家着火了，快来人", "119"),
        ("有人晕倒了，叫不醒", "120"),
        ("有人在打人，拿着刀", "110"),
        ("这里刚发生车祸，有人受伤", "122"),
    ],
)
def test_emergency_hears_the_number_to_ring_and_goes_to_a_human(talk: Talk, text: str, number: str) -> None:
    talk.turn(text, by=TurnEnd.KEYWORD)
    alarm, say, finish = talk.actions
    assert alarm == Alarm(AlertKind.EMERGENCY, text)
    assert said(say) in ([f"emergency_{number}", "human_wait"], ["emergency_120", "human_wait"])
    assert finish == Finish(Ended.EMERGENCY, "emergency")


def test_emergency_in_a_later_step_is_heard_too(talk: Talk) -> None:
    talk.knows(NOTHING).turn(NARRATION).turn("现在楼道里着火了")
    assert isinstance(talk.last, Finish)
    assert talk.last.ended is Ended.EMERGENCY


def test_zero_pressed_in_a_fire_still_hears_119(talk: Talk) -> None:
    talk.turn("着火了", "0")
    assert said(talk.actions[1])[0] == "emergency_119"


def test_watched_phrase_that_was_none_lets_the_caller_go_on(talk: Talk) -> None:
    talk.knows(NOTHING).turn("去年这里着火以后物业一直没有修消防通道", by=TurnEnd.KEYWORD)
    assert talk.ask.step == "opening"
    assert said(talk.ask) == ["go_on"]
    assert talk.ask.watch == ()
    talk.turn("现在消防通道还是堵着")
    assert talk.ask.step == "place"


@pytest.mark.parametrize("text", ["你好，我要反映一个问题", "喂您好我想投诉一下", "我想问一下"])
def test_announcement_only_is_asked_on(talk: Talk, text: str) -> None:
    talk.knows(NOTHING).turn(text)
    assert said(talk.ask) == ["go_on"]
    assert talk.state.misunderstandings == 0
    talk.turn(NARRATION)
    assert talk.ask.step == "place"


def test_announcing_twice_is_asked_on_once(talk: Talk) -> None:
    talk.knows(NOTHING).turn("我要反映一个问题").turn("我要反映一个问题")
    assert talk.ask.step == "place"


def test_a_menu_that_goes_round_for_ever_unchecked_still_lets_the_caller_out(shipped_menu: Menu) -> None:
    states = dict(shipped_menu.states) | {
        "a": MenuState("a", MenuKind.SAY, next="b"),
        "b": MenuState("b", MenuKind.SAY, next="a"),
    }
    talk = Talk(replace(shipped_menu, states=states, first="a"))
    assert isinstance(talk.last, Finish)
    assert talk.last.ended is Ended.HUMAN


def test_threat_alarms_once_and_goes_on(talk: Talk) -> None:
    threat = "你们再不解决我就要炸了居委会，跟他们同归于尽"
    talk.knows(NOTHING).turn(threat)
    alarm, ask = talk.actions
    assert alarm == Alarm(AlertKind.THREAT, threat)
    assert isinstance(ask, Ask)
    talk.turn(threat)
    assert not any(isinstance(action, Alarm) for action in talk.actions)


def test_threat_goes_to_a_human_when_the_menu_says_so(shipped_menu: Menu) -> None:
    talk = Talk(replace(shipped_menu, threat_next="human")).turn("再不解决我就跟他们同归于尽")
    assert [type(action) for action in talk.actions] == [Alarm, Say, Finish]


@pytest.mark.parametrize("step", [0, 1, 2])
def test_hang_up_is_only_a_finish(talk: Talk, step: int) -> None:
    for text in (NARRATION, "望京")[:step]:
        talk.knows(NOTHING if text == NARRATION else PLACED).turn(text)
    where = talk.state.step
    by_turn = replace_talk(talk).turn("说到一半", by=TurnEnd.HANG_UP)
    assert by_turn.actions == (Finish(Ended.HUNG_UP, where),)
    by_fact = talk.event(CallerHungUp(CALL, NOW, where))
    assert by_fact.actions == (Finish(Ended.HUNG_UP, where),)
    assert by_fact.event(CallerHungUp(CALL, NOW, where)).actions == ()


def test_failure_apologises_and_goes_to_a_human(talk: Talk) -> None:
    talk.event(CallFailed(CALL, NOW, "speech-model-broken", "gone"))
    say, finish = talk.actions
    assert said(say) == ["apology", "human_wait"]
    assert finish == Finish(Ended.HUMAN, "failed")


def test_failed_recogniser_without_a_digit_is_a_failure_with_one_it_is_not(talk: Talk) -> None:
    assert replace_talk(talk).turn(by=TurnEnd.FAILED).last == Finish(Ended.HUMAN, "failed")
    talk.knows(ALL).turn(NARRATION).turn("", "1", TurnEnd.FAILED)
    assert talk.last == Finish(Ended.COMPLETED, "goodbye")


def test_question_limit_of_the_menu_is_kept(shipped_menu: Menu) -> None:
    talk = Talk(replace(shipped_menu, limits=Limits(questions=1))).knows(understanding(subject="噪声"))
    talk.turn(NARRATION).turn("不知道").turn("不对")
    assert talk.asked == ["opening", "place", "confirm"]
    assert isinstance(talk.last, Finish)


TEXTS = st.sampled_from(
    [
        "",
        NARRATION,
        "嗯",
        "是",
        "不是",
        "人工",
        "保密",
        "不知道",
        "着火了",
        "跟他们同归于尽",
        "一三九",
        "我想投诉",
        "😀",
        "abc",
    ]
) | st.text(max_size=30)
DIGITS = st.just("") | st.text("0123456789*#", max_size=14)
KNOWN = st.sampled_from([None, NOTHING, PLACED, ALL, understanding(subject="噪声"), understanding(confidential=True)])
EVENTS = st.lists(st.tuples(TEXTS, DIGITS, st.sampled_from(list(TurnEnd)), KNOWN), min_size=12, max_size=12)


@given(events=EVENTS, number=st.sampled_from([None, "13800001111"]))
@settings(max_examples=200, deadline=None)
def test_any_call_ends_soon_with_few_questions(
    shipped_menu: Menu, events: list[tuple[str, str, TurnEnd, ComplaintDraft | None]], number: str | None
) -> None:
    talk = Talk(shipped_menu, CallContext(CALL, "10234567", number, time(0, 0)))
    turns = 0
    for text, digits, by, known in events:
        if isinstance(talk.last, Finish):
            break
        assert_listens_within_limits(talk.ask)
        was = talk.ask
        talk.knows(known).turn(text, digits, by)
        turns += 1
        assert sum(isinstance(action, Ask | Finish) for action in talk.actions) == 1
        assert isinstance(talk.last, Ask | Finish)
        pressed_zero = digits.rstrip("#") == "0" if was.max_digits else digits.startswith("0")
        if pressed_zero and by is not TurnEnd.HANG_UP:
            assert isinstance(talk.last, Finish)
            assert talk.last.ended in (Ended.HUMAN, Ended.EMERGENCY), was.step
    # opening, three questions, read-back, asked on once, one silence, one misunderstanding
    assert isinstance(talk.last, Finish)
    assert turns <= 8
    questions = {step for step in talk.asked if shipped_menu.states[step].question}
    assert len(questions) <= 3
    assert talk.state.questions == len(questions)


def assert_listens_within_limits(ask: Ask) -> None:
    assert ask.pieces
    assert all(piece.text or (piece.name or "").startswith("silence_") for piece in ask.pieces)
    assert 0 < ask.end_silence_seconds < ask.max_seconds <= 600
    assert 0 < ask.no_input_seconds <= 30
    assert "0" in ask.keys or ask.max_digits  # where a number is keyed, 0 alone counts once no digit follows


NAMES = ("a", "b", "c")
TARGETS = st.sampled_from((*NAMES, "bye"))


@st.composite
def menus(draw: st.DrawFn) -> Menu:
    """Small menus of any shape; most are broken."""
    states = {
        "bye": MenuState("bye", MenuKind.END, end=Ended.COMPLETED),
        "human": MenuState("human", MenuKind.END, end=Ended.HUMAN),
        "emergency": MenuState("emergency", MenuKind.END, end=Ended.EMERGENCY),
    }
    for name in NAMES:
        times = draw(st.none() | st.integers(1, 2))
        asks = draw(st.booleans())
        answers = (Answer("x", frozenset("1"), (), draw(st.none() | TARGETS)),) if asks and draw(st.booleans()) else ()
        states[name] = MenuState(
            name,
            MenuKind.ASK if asks else MenuKind.SAY,
            say=(("opening",),),
            next=draw(TARGETS),
            asks=Asks.NARRATION,
            question=draw(st.booleans()),
            times=times,
            after=draw(TARGETS) if times else None,
            answers=answers,
        )
    human = HumanRoute(frozenset("0"), (), (), "human")
    return Menu(draw(TARGETS), states, _TEXTS, Limits(), human, "emergency", "human")


_TEXTS = read_texts(Path(__file__).parents[3] / "prompts")[0]


@given(menu=menus(), pressed=st.lists(st.booleans(), min_size=MAX_TURNS, max_size=MAX_TURNS))
@settings(max_examples=300, deadline=None)
def test_a_menu_that_passes_the_check_never_goes_round_for_ever(menu: Menu, pressed: list[bool]) -> None:
    found: list[str] = []
    check_menu(menu, lambda _at, code, _message, severity="error": found.append(code))
    if "unbounded-loop" in found:
        return
    talk = Talk(menu).knows(NOTHING)
    for press in pressed:
        if isinstance(talk.last, Finish):
            break
        talk.turn("" if press else NARRATION, "1" if press else "")
    assert isinstance(talk.last, Finish)
    assert talk.state.turns < MAX_TURNS


def test_menu_with_a_bounded_loop_walks_it_so_often_and_no_more(with_menu: Callable[[str], Path]) -> None:
    menu = load_menu(
        with_menu(
            """
first = "open"
[human]
keys = ["0"]
next = "human"
[emergency]
next = "emergency"
[failure]
next = "human"
[states.open]
asks = "choice"
say = ["place"]
times = 3
after = "bye"
[[states.open.answers]]
name = "again"
keys = ["1"]
next = "open"
[states.bye]
say = ["goodbye"]
end = "completed"
[states.human]
end = "human"
[states.emergency]
end = "emergency"
"""
        )
    )
    talk = Talk(menu)
    for _ in range(3):
        talk.turn("", "1")
    assert talk.asked == ["open"] * 3
    assert talk.last == Finish(Ended.COMPLETED, "bye")
