"""Five times the calls that are heard live, by real SIP and RTP: what those who are heard notice, and what is lost.

First as many callers as are heard, alone: the yardstick. Then five times as many at once. Each tells one complaint, is
silent and hangs up. Lost would be: a call unanswered, a draft or recording that the backend has not, a call whose words
never came.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bench.calls import SILENT_SECONDS, SPEAK_AT_SECONDS, begins_loud
from bench.figures import Curve, Figure, PartResult, Plot, median, percentile, spread_of
from bench.hotline_up import Kept, hotline, kept_calls
from bench.journal_times import final_words
from bench.parts import Bench
from bench.sip_callers import Callers, CallRecord, Script
from bench.sounds import Callers as Voices
from ivr.events import CallEnded, CallHeardAgain, Hearing, HearingPostponed, TurnEnded, TurnHeardAgain
from speech.audio import seconds_of

HEARD_LIVE = 4
TIMES = 5
PER_SECOND = 8.0
GAP_SECONDS = 1.0  # between those who find room and the others, so that it is known who is who
ROUNDS = 3
WORDS_SECONDS = 240.0


@dataclass(frozen=True, slots=True)
class Seen:
    """One call. `beyond_seconds`: from the caller's last sound to the final words, less the silence; of a live one.

    `words_after_seconds`: from the end of the call to its words; of one that was not heard live.
    """

    answered: bool
    delivered: bool
    live: bool
    words: bool
    beyond_seconds: float | None = None
    words_after_seconds: float | None = None


def heard_later(kept: Kept) -> CallHeardAgain | None:
    """That the call's words came, or that they cannot."""
    return next((fact for fact in kept.all_of(CallHeardAgain) if fact.hearing is Hearing.LATE), None)


def seen(record: CallRecord, kept: Kept | None, offset: float) -> Seen:
    """`offset`: wall minus loop."""
    if record.answered_at is None or kept is None:
        return Seen(record.answered_at is not None, delivered=False, live=False, words=False)
    live = not kept.all_of(HearingPostponed)
    words = any(fact.text for fact in (*kept.all_of(TurnEnded), *kept.all_of(TurnHeardAgain)))
    beyond = after = None
    if live:
        spoke_until = record.spoke_until
        final = final_words(kept.facts, spoke_until, offset) if spoke_until is not None else None
        beyond = final.beyond_seconds if final is not None else None
    elif (later := heard_later(kept)) is not None and (ended := kept.all_of(CallEnded)):
        after = (later.at - ended[-1].at).total_seconds()
    return Seen(True, kept.done, live, words, beyond, after)


def scripts(voices: Voices, count: int) -> list[Script]:
    """Each speaks once the greeting is under way, a little apart."""
    made = []
    for number in range(count):
        sentence = begins_loud(voices.sentence(number))
        speak_at = round(SPEAK_AT_SECONDS + 0.14 * (number % 7), 2)
        clip = voices.compose([speak_at, sentence], "")
        made.append(Script(f"1391005{number:04}", clip.pcm, speak_at + seconds_of(sentence) + SILENT_SECONDS))
    return made


def measure(bench: Bench) -> PartResult:
    return asyncio.run(_measure(bench))


async def _measure(bench: Bench) -> PartResult:
    voices = bench.callers()
    room = 1 if bench.quick else HEARD_LIVE
    alone: list[Seen] = []
    crowd: list[Seen] = []
    lag = 0.0
    with hotline(TIMES * room, HOTLINE_SPEECH__HEARD_CALLS_MAX=str(room)) as system:
        offset = time.time() - asyncio.get_running_loop().time()
        for number in range(1 if bench.quick else ROUNDS):
            for into, calls in ((alone, room), (crowd, TIMES * room)):
                bench.say(f"round {number + 1}: {calls} calls, {room} can be heard live")
                plan = scripts(voices, calls)
                async with Callers(("127.0.0.1", system.settings.asterisk.sip_port)) as callers:
                    first = asyncio.create_task(callers.call(plan[:room], per_second=PER_SECOND))
                    await asyncio.sleep(room / PER_SECOND + GAP_SECONDS)
                    records = await callers.call(plan[room:], per_second=PER_SECOND)
                    records = [*await first, *records]
                    lag = max(lag, callers.lag_seconds)
                bench.say("waiting for the words of those who were not heard live")
                kept = await _until_words(system, [record.call_id for record in records])
                into += [seen(record, kept.get(record.call_id), offset) for record in records]
    return result_of(alone, crowd, room, lag)


async def _until_words(system: object, call_ids: Sequence[str]) -> dict[str, Kept]:
    """The calls once the backend has all of each and none waits for its words, or when time is over."""
    deadline = time.monotonic() + WORDS_SECONDS
    while True:
        kept = await asyncio.to_thread(kept_calls, system)  # type: ignore[arg-type]
        found = [kept[call_id] for call_id in call_ids if call_id in kept]
        owed = [one for one in found if one.all_of(HearingPostponed) and heard_later(one) is None]
        whole = len(found) == len(call_ids) and all(one.done for one in found) and not owed
        if whole or time.monotonic() > deadline:
            return {call_id: kept[call_id] for call_id in call_ids if call_id in kept}
        await asyncio.sleep(1.0)


def result_of(alone: Sequence[Seen], crowd: Sequence[Seen], room: int, lag: float) -> PartResult:
    name = f"{TIMES * room} calls where {room} are heard live"
    before = [1000 * one.beyond_seconds for one in alone if one.beyond_seconds is not None]
    during = [1000 * one.beyond_seconds for one in crowd if one.beyond_seconds is not None]
    later = [one for one in crowd if one.answered and not one.live]
    waited = [one.words_after_seconds for one in later if one.words_after_seconds is not None]
    unanswered = sum(not one.answered for one in crowd)
    undelivered = sum(one.answered and not one.delivered for one in crowd)
    wordless = sum(one.answered and not one.words for one in crowd)
    figures = (
        Figure(
            f"{name}: end of speech → final words of the live ones, beyond the silence, p95",
            percentile(during, 95) if during else None,
            "ms",
            f"{room} calls alone",
            percentile(before, 95) if before else None,
            goal=150.0,
            spread=f"median {median(during):.0f}, {spread_of(during, 0)}" if during else "",
        ),
        Figure(
            f"{name}: lost",
            float(unanswered + undelivered + wordless),
            "",
            "nothing",
            goal=0.0,
            note=f"of {len(crowd)} calls unanswered {unanswered}, drafts or recordings undelivered {undelivered}, "
            f"without their words {wordless}",
        ),
        Figure(
            f"{name}: words of the others, after the end of their call, p95",
            percentile(waited, 95) if waited else None,
            "s",
            spread=f"median {median(waited):.1f}, {spread_of(waited, 1)}" if waited else "",
        ),
    )
    notes = (
        f"{sum(one.live for one in crowd)} of {len(crowd)} calls were heard live, {len(later)} later, in idle time; "
        f"the generator was at most {1000 * lag:.0f} ms late",
    )
    failure = "" if during and waited else "nobody was heard live, or nobody later: nothing to compare"
    curves = tuple(
        Curve(label, tuple((value, 100 * (at + 1) / len(values)) for at, value in enumerate(sorted(values))))
        for label, values in ((f"{room} calls alone", before), (name, during))
        if values
    )
    plot = Plot("Final words of those who are heard live", "ms beyond the silence", "share of calls within, %", curves)
    return PartResult("overload", figures, (plot,), notes, failure)
