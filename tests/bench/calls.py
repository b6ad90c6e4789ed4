"""Real calls to a whole hotline (Asterisk, ivr, cases): how long a caller waits for what.

Measured on the caller's wire, packet by packet: a caller barges in by voice or presses a key while a steady sound plays
as the first prompt, tells a complaint, is silent, hangs up. Few calls at once: waiting, not load, is measured.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Sequence

from bench.figures import Curve, Figure, PartResult, Plot, median, percentile, spread_of
from bench.hotline_up import Kept, hotline, steady_prompts, until_done
from bench.journal_times import final_words, partial_ages
from bench.parts import Bench
from bench.sip_callers import LOUD_RMS, Callers, CallRecord, Script
from bench.sip_wire import alaw_encode, alaw_rms
from bench.sounds import Callers as Voices
from hotline.calling import CallOrder
from hotline.phone import Speak
from ivr.events import PromptStopped
from speech.audio import BYTES_PER_SECOND, FRAME_BYTES, seconds_of, write_wav

AT_ONCE = 4
SPEAK_AT_SECONDS = 3.0
KEY_AT_SECONDS = 1.5
SILENT_SECONDS = 4.5  # after the complaint: the step's silence and the final words
WHOLE_CALLS = 3
DONE_SECONDS = 60


def begins_loud(pcm: bytes) -> bytes:
    """Without what lies before the first loud frame: the moment of speaking is then that of sending."""
    for at in range(0, len(pcm), FRAME_BYTES):
        if alaw_rms(alaw_encode(pcm[at : at + FRAME_BYTES])) > LOUD_RMS:
            return pcm[at:]
    return pcm


def scripts(voices: Voices, count: int) -> list[Script]:
    """By turns: barge in by voice; press a key, then tell the complaint into the silence."""
    made = []
    for number in range(count):
        sentence = begins_loud(voices.sentence(number))
        speak_at = SPEAK_AT_SECONDS + 0.13 * (number % 7)
        silence = bytes(2 * int(speak_at * BYTES_PER_SECOND / 2))
        clip = voices.compose([silence[: len(silence) // FRAME_BYTES * FRAME_BYTES], sentence], "")
        keys = ((KEY_AT_SECONDS + 0.11 * (number % 5), "5"),) if number % 2 else ()
        until = speak_at + seconds_of(sentence) + SILENT_SECONDS
        made.append(Script(f"1391002{number:04}", clip.pcm, until, keys))
    return made


async def _whole_calls(bench: Bench, system: object, voices: Voices) -> list[str]:
    """Calls through the whole dialog by the SIP phone of `hotline call`; their SIP Call-IDs."""
    folder = bench.folder("phone")

    async def one(number: int) -> str:
        sound = folder / f"{number}.wav"
        write_wav(sound, voices.sentence(number))
        order = CallOrder([Speak(sound)], f"1391003{number:04}")
        result = await system.call(order)  # type: ignore[attr-defined]
        return str(result.report.sip_call_id)

    return list(await asyncio.gather(*(one(number) for number in range(WHOLE_CALLS))))


def measure(bench: Bench) -> PartResult:
    return asyncio.run(_measure(bench))


async def _measure(bench: Bench) -> PartResult:
    voices = bench.callers()
    count = 8 if bench.quick else 40
    prompts = steady_prompts(bench.folder("prompts"))
    recorded = bench.folder("recorded")
    for old in recorded.glob("*.wav"):
        old.unlink()
    plan = scripts(voices, count)
    bench.say("bringing a hotline up")
    with hotline(AT_ONCE, HOTLINE_IVR__PROMPTS_DIR=str(prompts)) as system:
        offset = time.time() - asyncio.get_running_loop().time()
        records: list[CallRecord] = []
        async with Callers(("127.0.0.1", system.settings.asterisk.sip_port)) as callers:
            for first in range(0, count, AT_ONCE):
                bench.say(f"calls {first + 1} to {min(count, first + AT_ONCE)} of {count}")
                records += await callers.call(plan[first : first + AT_ONCE], per_second=1.5)
            lag = callers.lag_seconds
        bench.say(f"{WHOLE_CALLS} calls through the whole dialog")
        whole = await _whole_calls(bench, system, voices)
        ids = [record.call_id for record in records]
        kept = await until_done(system, [*ids, *whole], DONE_SECONDS)
        for number, call_id in enumerate(whole):
            if call_id in kept and kept[call_id].heard.exists():
                shutil.copy(kept[call_id].heard, recorded / f"{number}.wav")
    return result_of(records, kept, whole, offset, lag)


def result_of(
    records: Sequence[CallRecord], kept: dict[str, Kept], whole: Sequence[str], offset: float, lag: float
) -> PartResult:
    answered = [record for record in records if record.answered_at is not None]
    greeting, setup, barge, key_down, key_up, server = [], [], [], [], [], []
    beyond, silences, ages = [], [], []
    for record in answered:
        assert record.answered_at is not None
        setup.append(record.answered_at - record.invited_at)
        first = record.first_loud_at()
        if first is not None:
            greeting.append(first - record.invited_at)
        spoke_from, spoke_until = record.spoke_from, record.spoke_until
        if record.keys_up_at:
            silent = record.silent_from(record.keys_down_at[0])
            if silent is not None:
                key_down.append(silent - record.keys_down_at[0])
                key_up.append(silent - record.keys_up_at[0])
        elif spoke_from is not None and (silent := record.silent_from(spoke_from)) is not None:
            barge.append(silent - spoke_from)
        call = kept.get(record.call_id)
        if call is None:
            continue
        server += [fact.after_ms / 1000 for fact in call.all_of(PromptStopped) if fact.cause == "speech"]
        ages += partial_ages(call.facts)
        if spoke_until is not None and (words := final_words(call.facts, spoke_until, offset)) is not None:
            beyond.append(words.beyond_seconds)
            silences.append(words.silence_seconds)
    lost = [record.call_id for record in answered if not (record.call_id in kept and kept[record.call_id].done)]
    notes = [
        f"{len(answered)} of {len(records)} calls answered, {AT_ONCE} at a time; times are those of packets on the "
        f"caller's wire, whose clock was at most {1000 * lag:.0f} ms late",
        f"the silences chosen were {spread_of(silences, 1)} s",
        f"barge-in: 200 ms of the voice are needed before it counts; by the call handler's own clock "
        f"{percentile_ms(server, 95)} at p95",
        f"a key counts when it is released (RFC 4733), after 100 ms here; from its going down p95 {percentile_ms(key_down, 95)}",
    ]
    figures = (
        _ms("end of speech → final words, beyond the silence", beyond, 0.150),
        _ms("barge-in by voice → prompt silent", barge, 0.300),
        _ms("key released → prompt silent", key_up, 0.060),
        _ms("a partial transcript's age, after the end of its last word", ages, None),
        _ms("INVITE → first sound of the greeting", greeting, None, "INVITE → 200 OK, p95", setup),
    )
    short = [figure.name for figure in figures if figure.value is None]
    failure = f"no call gave: {', '.join(short)}" if short else ""
    if lost or len(answered) < len(records):
        failure = (
            f"{len(records) - len(answered)} calls were not answered, {len(lost)} drafts did not arrive; {failure}"
        )
    curves = tuple(
        Curve(name, _distribution(values))
        for name, values in (("final words", beyond), ("barge-in", barge), ("key", key_up), ("partial", ages))
        if values
    )
    plot = Plot("What a caller waits for", "seconds", "share of cases within, %", curves)
    return PartResult("calls", figures, (plot,), tuple(notes), failure)


def percentile_ms(values: Sequence[float], percent: float) -> str:
    return f"{1000 * percentile(values, percent):.0f} ms" if values else "—"


def _ms(
    name: str,
    values: Sequence[float],
    goal_seconds: float | None,
    yardstick: str = "",
    against: Sequence[float] = (),
) -> Figure:
    milliseconds = [1000 * value for value in values]
    goal = 1000 * goal_seconds if goal_seconds is not None else None
    return Figure(
        f"{name}, p95",
        percentile(milliseconds, 95) if milliseconds else None,
        "ms",
        yardstick or ("the goal" if goal else ""),
        1000 * percentile(against, 95) if against else goal,
        goal=goal,
        spread=f"median {median(milliseconds):.0f}, {spread_of(milliseconds, 0)}" if milliseconds else "",
    )


def _distribution(values: Sequence[float]) -> tuple[tuple[float, float], ...]:
    ordered = sorted(values)
    return tuple((value, 100 * (number + 1) / len(ordered)) for number, value in enumerate(ordered))
