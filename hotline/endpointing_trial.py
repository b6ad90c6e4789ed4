"""The calls and the figures of `hotline evaluate endpointing`: callers who are known to have finished, and when."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cases.schema import Asks
from ivr.actions import Ask
from ivr.listen import patience_of
from ivr.menu_states import Menu
from speech.audio import FRAME_BYTES, SAMPLE_RATE_HZ
from speech.caller_pace import CallerPace
from speech.endpoint import Patience
from speech.pauses import (
    CallerStyle,
    PausedSpeech,
    Speak,
    clips_turn,
    figures_in_groups,
    read_clips,
    samples_of,
    spoken_turn,
    trimmed,
)
from speech.pauses_trial import (
    FRAME_SECONDS,
    MakePatience,
    Outcome,
    Point,
    TrialCall,
    TrialTurn,
    cut_share_at,
    delay_at,
    point,
    run_calls,
    speech_frames,
)
from speech.recognizer import Partial, Recognizer
from speech.transcribe import SpeechOnly
from speech.vad import SpeechDetector

if TYPE_CHECKING:
    from speech.voice import Voice

FACTORS = (0.35, 0.45, 0.55, 0.65, 0.8, 1.0, 1.2, 1.4, 1.7, 2.0, 2.5)
# The words of a partial are known this long after the sound, when the recogniser keeps up.
PARTIAL_LAG_SECONDS = 0.25
LONGEST_TEXT_CHARS = 150

# Told by nobody: written for this, and for nothing else. `--texts` puts a city's own in their place.
STORIES = (
    "我要投诉，我们小区楼下的烧烤店每天营业到半夜，油烟特别大，窗户都不敢开，请你们管一管",
    "你好，我想反映一个问题，我们楼的电梯坏了快一个星期了，老人上下楼很不方便，物业一直说在等配件，希望尽快修好",
    "我家住在顺义区，门口那条路，坑坑洼洼的，一下雨全是水，孩子上学都得绕着走，什么时候能修",
    "我想问一下，外地户口的孩子上小学，需要准备哪些材料，去哪里办",
    "我们这个公交站，因为修地铁挪走了，挪到了一公里以外，我母亲七十多岁了，走过去要半个小时，能不能，在原来的地方，设一个临时站",
    "举报一个工地，夜里十二点还在打桩，已经连着三天了，我们根本没法睡觉",
    "我的退休金，这个月少发了三百多块，我去社保所问了，他们让我打这个电话，麻烦帮我查一下",
    "小区里有人把电动车推到楼道里充电，物业贴了通知也没有用，上个月隔壁楼，刚着过一次火，我们都很害怕",
    "自来水发黄，有一股怪味，从前天开始的，我们这一栋都是这样，也没有停水的通知",
    "我是开小饭馆的，想咨询一下，食品经营许可证到期了，怎么续，需要本人去吗",
    "我父亲残疾，想申请一个轮椅，社区说要排队，已经等了两个月，没有消息，我想知道，现在排到哪里了",
    "公园里的路灯，有一半不亮，晚上遛弯的人很多，昨天有位大爷就摔了一跤，希望有人来看看",
    "他们收了我五千块钱的培训费，课没上几次，店就关门了，电话也打不通，这个钱，还能不能要回来",
    "要表扬一下你们的工作人员，上次我反映的井盖的事，第二天就来人换了，谢谢",
    "我们村口的那条河，这几天水都是黑的，还冒泡，味道很大，怀疑是上游的厂子，在偷偷排水",
    "楼上漏水，把我家的天花板都泡了，我找过他，他不承认，物业说这是邻里纠纷，他们管不了，我该找谁",
)
PLACES = (
    "朝阳区，望京街道",
    "海淀区，中关村南大街，五号院",
    "就在丰台区，方庄这边，芳古园",
    "昌平，回龙观，龙泽苑东区",
    "东城区，和平里，兴化路",
    "通州区梨园，云景里小区",
    "具体的，我说不上来，在石景山，八角那边",
    "大兴区，亦庄，荣华中路",
)
NUMBERS = ("13910023847", "18611920365", "15010475562", "13701386629", "17801064418")
CONTACTS = ("可以", "可以的", "行，就打这个", "要求保密", "好的")
CONFIRMATIONS = ("对", "对的", "是的", "没错", "不对", "是")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is tried. `voices`: a folder of recorded clips instead of the bundled voice, of which no words are known.

    words: where partial transcripts come from; "none": pauses alone decide, "true": what was said, a little late (a
    recogniser without mistakes), "model": the recogniser, as in a call.
    """

    callers: int = 40
    seed: int = 1
    words: str = "model"
    texts: Path | None = None
    voices: Path | None = None
    model: str | None = None
    factors: tuple[float, ...] = FACTORS


Progress = Callable[[int, int], None]


def read_texts(path: Path) -> list[str]:
    """The stories of a file, one a line, the first column of a TSV (a head `text` is left out). ValueError, named."""
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: cannot be read as UTF-8 text: {error}") from error
    texts = [line.split("\t")[0].strip()[:LONGEST_TEXT_CHARS] for line in lines]
    texts = [text for text in texts if text and text != "text"]
    for number, text in enumerate(texts, 1):
        if not any("\u4e00" <= char <= "\u9fff" for char in text):
            raise ValueError(f"{path}: text {number} has no Chinese in it: {text[:40]!r}")
    if not texts:
        raise ValueError(f"{path}: there is no text in it; write one story a line")
    return texts


def asks_of(menu: Menu) -> dict[str, Ask]:
    """The Ask of each step that listens, for its base silence and its kind."""
    return {
        state.name: Ask(
            state.name,
            state.asks,
            (),
            end_silence_seconds=state.end_silence_seconds,
            max_digits=state.max_digits,
            answers=tuple(
                phrase
                for answer in state.answers
                if not (state.max_digits and answer.next)
                for phrase in answer.phrases
            ),
        )
        for state in menu.states.values()
        if state.asks is not Asks.NOTHING
    }


def steps_by_kind(menu: Menu) -> dict[Asks, str]:
    """The first step of each kind of question."""
    found: dict[Asks, str] = {}
    for state in menu.states.values():
        if state.asks is not Asks.NOTHING:
            found.setdefault(state.asks, state.name)
    return found


def speaker(voice: Voice) -> Speak:
    def speak(text: str, speed: float) -> Any:
        return trimmed(samples_of(voice.speak(text, speed=round(speed, 2))))

    return speak


def told_by(
    number: int, plan: Plan, texts: list[str], speak: Speak | None, clips: list[list[Any]]
) -> list[tuple[Asks, PausedSpeech]]:
    """One call: a story, a place, how to call back, and yes or no. The same number and seed make the same call."""
    rng = np.random.default_rng([plan.seed, number])
    style = CallerStyle.draw(rng)
    if clips:
        own = clips[number % len(clips)]
        turns = []
        for kind, count in ((Asks.NARRATION, 5), (Asks.PLACE, 2), (Asks.CONFIRMATION, 1)):
            chosen = [own[int(n)] for n in rng.choice(len(own), size=count)]
            turns.append((kind, clips_turn(chosen, style, rng)))
        return turns
    assert speak is not None
    if rng.random() < 0.4:
        contact = figures_in_groups(NUMBERS[int(rng.integers(len(NUMBERS)))])
    else:
        contact = CONTACTS[int(rng.integers(len(CONTACTS)))]
    said = (
        (Asks.NARRATION, texts[int(rng.integers(len(texts)))]),
        (Asks.PLACE, PLACES[int(rng.integers(len(PLACES)))]),
        (Asks.CONTACT, contact),
        (Asks.CONFIRMATION, CONFIRMATIONS[int(rng.integers(len(CONFIRMATIONS)))]),
    )
    return [(kind, spoken_turn(text, style, speak, rng)) for kind, text in said]


def true_partials(told: PausedSpeech) -> tuple[tuple[float, str], ...]:
    """The words as a recogniser without mistakes tells them: each character a little after it was said."""
    found: list[tuple[float, str]] = []
    text = ""
    for stretch in told.stretches:
        seconds = (stretch.end_seconds - stretch.start_seconds) / max(1, len(stretch.text))
        for number, char in enumerate(stretch.text, 1):
            text += char
            found.append((stretch.start_seconds + number * seconds + PARTIAL_LAG_SECONDS, text))
    return tuple(found)


async def model_partials(told: PausedSpeech, recognizer: Recognizer) -> tuple[tuple[float, str], ...]:
    """The recogniser's partials, fed as in a call; the sound waits for it, so that the machine's load tells nothing."""
    found: list[tuple[float, str]] = []
    at = 0.0

    def tell(partial: Partial) -> None:
        found.append((at + PARTIAL_LAG_SECONDS, partial.text))

    stream = recognizer.open(on_partial=tell, background=True)  # no load of callers: nothing is shed for it
    try:
        only = SpeechOnly()
        for start in range(0, len(told.pcm) - FRAME_BYTES + 1, FRAME_BYTES):
            at = start / 2 / SAMPLE_RATE_HZ
            for frame, at_seconds in only.take(told.pcm[start : start + FRAME_BYTES], at):
                stream.feed(frame, at_seconds)
            while stream.backlog_seconds >= 0.1:  # noqa: ASYNC110 - the seam has no event for it
                await asyncio.sleep(0.001)
        await stream.finish()
    finally:
        stream.close()
    return tuple(found)


async def make_calls(
    plan: Plan,
    menu: Menu,
    speak: Speak | None,
    recognizer: Recognizer | None,
    progress: Progress = lambda _done, _all: None,
) -> list[TrialCall]:
    """The calls of a plan, ready to be heard any number of times."""
    texts = read_texts(plan.texts) if plan.texts is not None else list(STORIES)
    clips = list(read_clips(plan.voices).values()) if plan.voices is not None else []
    steps = steps_by_kind(menu)
    calls: list[TrialCall] = []
    for number in range(plan.callers):
        told = await asyncio.to_thread(told_by, number, plan, texts, speak, clips)
        detector = SpeechDetector()
        turns = []
        for kind, speech in told:
            if kind not in steps:
                continue
            partials: tuple[tuple[float, str], ...] = ()
            if plan.words == "true":
                partials = true_partials(speech)
            elif plan.words == "model" and recognizer is not None:
                partials = await model_partials(speech, recognizer)
            turns.append(
                TrialTurn(
                    steps[kind],
                    speech_frames(speech.pcm, detector),
                    partials,
                    speech.end_seconds,
                    speech.stretches[-1].start_seconds,
                    speech.pauses,
                )
            )
        calls.append(tuple(turns))
        progress(number + 1, plan.callers)
    return calls


def adaptive(menu: Menu, asks: bool, tune: Callable[[Patience], Patience] = lambda p: p) -> Callable[[], MakePatience]:
    """A caller not known before, met as a call meets him. `asks`: whether he may be asked 还有吗."""
    by_step = asks_of(menu)
    endpointing = replace(menu.endpointing, adaptive=True)

    def of_caller() -> MakePatience:
        pace = CallerPace()

        def make(step: str) -> Patience | None:
            patience = patience_of(
                endpointing, menu.hearing.openers, by_step[step], pace, can_ask=asks and bool(endpointing.more)
            )
            return tune(patience) if patience is not None else None

        return make

    return of_caller


WAYS = ("fixed", "adaptive", "asking")


def measure(calls: list[TrialCall], menu: Menu, factors: tuple[float, ...]) -> dict[str, dict[float, list[Outcome]]]:
    """Outcomes by way of deciding and factor of the base silences."""
    bases = {name: ask.end_silence_seconds for name, ask in asks_of(menu).items()}
    ways = {"fixed": None, "adaptive": adaptive(menu, asks=False), "asking": adaptive(menu, asks=True)}
    return {
        name: {factor: run_calls(calls, bases, factor, of_caller) for factor in factors}
        for name, of_caller in ways.items()
    }


def curve_of(outcomes: dict[float, list[Outcome]], step: str | None = None) -> list[Point]:
    return [
        point([outcome for outcome in found if step in (None, outcome.step)], factor)
        for factor, found in outcomes.items()
    ]


def summary(plan: Plan, calls: list[TrialCall], menu: Menu) -> dict[str, Any]:
    """The report's figures, as JSON."""
    outcomes = measure(calls, menu, plan.factors)
    curves = {way: curve_of(found) for way, found in outcomes.items()}
    steps = sorted({turn.step for call in calls for turn in call})
    pauses = [pause for call in calls for turn in call for pause in turn.pauses]
    bases = {name: ask.end_silence_seconds for name, ask in asks_of(menu).items()}
    return {
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "plan": {
            "callers": plan.callers,
            "seed": plan.seed,
            "words": plan.words,
            "texts": plan.texts.name if plan.texts else "built in",
            "voices": plan.voices.name if plan.voices else "bundled",
            "menu": menu.digest,
            "sound": hashlib.sha256(repr([turn.frames for call in calls for turn in call]).encode()).hexdigest()[:12],
        },
        "turns": sum(len(call) for call in calls),
        "pauses": {
            "count": len(pauses),
            "median_seconds": round(float(np.median(pauses)), 3) if pauses else None,
            "p95_seconds": round(float(np.percentile(pauses, 95)), 3) if pauses else None,
        },
        "bases_seconds": {step: bases[step] for step in steps},
        "curves": {way: [asdict(p) for p in curve] for way, curve in curves.items()},
        "by_step": {
            step: {way: [asdict(p) for p in curve_of(found, step)] for way, found in outcomes.items()} for step in steps
        },
        "at_equal_cut_offs": [
            {
                "cut_share": share,
                **{way: delay_at(curve, share, lambda p: p.delay_mean_seconds) for way, curve in curves.items()},
            }
            for share in (0.02, 0.05, 0.1, 0.15, 0.2)
        ],
        "at_equal_delay": [
            {
                "delay_seconds": seconds,
                **{way: cut_share_at(curve, seconds, lambda p: p.delay_mean_seconds) for way, curve in curves.items()},
            }
            for seconds in (0.8, 1.0, 1.25, 1.5, 2.0)
        ],
        "frame_seconds": FRAME_SECONDS,
    }
