"""Calls at once on the audio path, by real SIP and RTP: CPU and memory a call, and what is lost.

Each caller is silent, tells one complaint, is silent again and hangs up; all are up at once for the measured seconds.
Everything that a call has is on: Asterisk's recording, the journal, the caller's sound on disk, recognition, prompts,
draft and delivery. Lost would be: a call unanswered, a packet of a prompt that never came, a frame of the caller's voice
that is not in heard.wav, a draft or recording that the backend has not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from bench.figures import Curve, Figure, PartResult, Plot
from bench.hotline_up import SERVICES, Cost, Kept, cost, hotline, metrics, until_done
from bench.parts import Bench
from bench.sip_callers import LOUD_RMS, Callers, CallRecord, Script
from bench.sip_wire import alaw_decode, alaw_encode, alaw_rms
from bench.sounds import Callers as Voices
from bench.sounds import frames_of
from speech.audio import BYTES_PER_SECOND, read_telephone

SIZES = (1, 10, 30, 100)
PER_SECOND = 8.0
MEASURED_SECONDS = 12.0
SPEAK_AFTER_SECONDS = 4.0
DONE_SECONDS = 120.0
# The cores are full then: decoders that wait for one count as at work, and what is left over says nothing.
LATE_SECONDS = 0.05
# How far the caller's voice may lie from where it should in heard.wav: what came late is put where it came.
DRIFT_BYTES = BYTES_PER_SECOND


@dataclass(frozen=True, slots=True)
class Round:
    """So many calls at once. CPU in cores (1 is one core busy), of the measured seconds."""

    calls: int
    answered: int
    delivered: int
    cores: dict[str, float]
    recognition_cores: float
    memory_bytes: dict[str, int]
    packets_missing: int
    packets_heard: int
    frames_lost: int
    frames_said: int
    generator_lag_seconds: float


def lost_frames(said: bytes, heard: bytes) -> tuple[int, int]:
    """How many loud frames of the caller's are not in what was kept, in their order; and how many there were."""
    at, lost, count = 0, 0, 0
    for frame in frames_of(said):
        coded = alaw_encode(frame)
        if alaw_rms(coded) <= LOUD_RMS:
            continue
        count += 1
        kept = alaw_decode(coded)
        found = heard.find(kept, at, at + DRIFT_BYTES if count > 1 + lost else len(heard))
        if found < 0:
            lost += 1
        else:
            at = found + len(kept)
    return lost, count


def scripts(voices: Voices, calls: int) -> list[Script]:
    ramp = (calls - 1) / PER_SECOND
    until = ramp + MEASURED_SECONDS + 1.0
    made = []
    for number in range(calls):
        # Spread over the measured seconds, as callers' stories are.
        silent = SPEAK_AFTER_SECONDS + (number * 0.37) % max(0.1, until - 14.0)
        clip = voices.compose([round(silent, 1), voices.sentence(number)], "")
        made.append(Script(f"1391004{number:04}", clip.pcm, until - number / PER_SECOND))
    return made


def measure(bench: Bench) -> PartResult:
    return asyncio.run(_measure(bench))


async def _measure(bench: Bench) -> PartResult:
    voices = bench.callers()
    rounds: list[Round] = []
    idle: dict[str, int] = {}
    with hotline(2 * SIZES[-1]) as system:
        await asyncio.sleep(2)
        idle = cost(system).memory_bytes
        for calls in (1, 5) if bench.quick else SIZES:
            bench.say(f"{calls} calls at once")
            plan = scripts(voices, calls)
            async with Callers(("127.0.0.1", system.settings.asterisk.sip_port)) as callers:
                ramp = (calls - 1) / PER_SECOND
                running = asyncio.create_task(callers.call(plan, per_second=PER_SECOND))
                await asyncio.sleep(ramp + 0.5)
                before, decoded = cost(system), metrics(system)
                await asyncio.sleep(MEASURED_SECONDS - 1.0)
                after, decoded_after = cost(system), metrics(system)
                records = await running
                lag = callers.lag_seconds
            kept = await until_done(system, [record.call_id for record in records], DONE_SECONDS)
            spent = decoded_after.get("hotline_speech_decode_seconds_sum", 0.0) - decoded.get(
                "hotline_speech_decode_seconds_sum", 0.0
            )
            rounds.append(await asyncio.to_thread(_round, records, kept, before, after, spent, lag))
            one = rounds[-1]
            bench.say(
                f"{calls} calls: {sum(one.cores.values()):.2f} cores, of it recognition {one.recognition_cores:.2f}; "
                f"{one.delivered} delivered, {one.frames_lost} frames lost"
            )
    return result_of(rounds, idle)


def _round(
    records: Sequence[CallRecord], kept: dict[str, Kept], before: Cost, after: Cost, decode_seconds: float, lag: float
) -> Round:
    seconds = after.at - before.at
    lost = said = 0
    for record in records:
        call = kept.get(record.call_id)
        if call is not None and call.heard.exists():
            # What was really sent: a caller cut off by the far side has not said the rest.
            sent = record.script.pcm[: 320 * len(record.frames_at)]
            one = lost_frames(sent, read_telephone(call.heard))
            lost, said = lost + one[0], said + one[1]
    return Round(
        calls=len(records),
        answered=sum(record.answered_at is not None for record in records),
        delivered=sum(call.done for call in kept.values()),
        cores={name: (after.cpu_seconds[name] - before.cpu_seconds[name]) / seconds for name in SERVICES},
        recognition_cores=decode_seconds / seconds,
        memory_bytes=after.memory_bytes,
        packets_missing=sum(record.packets_missing for record in records),
        packets_heard=sum(len(record.heard) for record in records),
        frames_lost=lost,
        frames_said=said,
        generator_lag_seconds=lag,
    )


def result_of(rounds: Sequence[Round], idle: dict[str, int]) -> PartResult:
    figures: list[Figure] = []
    notes: list[str] = ["real SIP and RTP through Asterisk from a generator of ours on the same cores, not counted in"]
    faults: list[str] = []
    for one in rounds:
        grown = sum(one.memory_bytes[name] - idle[name] for name in SERVICES)
        carried = sum(one.cores.values()) - one.recognition_cores
        figures += [
            Figure(
                f"{one.calls} calls at once: CPU a call, all but recognition",
                100 * carried / one.calls if one.generator_lag_seconds < LATE_SECONDS else None,
                "% of a core",
                "with recognition (decode time by the clock)",
                100 * sum(one.cores.values()) / one.calls,
                note=", ".join(f"{name} {100 * share / one.calls:.2f} %" for name, share in one.cores.items()),
            ),
            Figure(f"{one.calls} calls at once: memory a call", grown / one.calls / 2**20, "MiB"),
        ]
        missing = (
            one.calls - one.answered,
            one.calls - one.delivered,
            one.frames_lost,
            one.packets_missing,
        )
        figures.append(
            Figure(
                f"{one.calls} calls at once: lost",
                float(sum(missing)),
                "",
                "nothing",
                goal=0.0,
                note=f"calls unanswered {missing[0]}, drafts or recordings undelivered {missing[1]}, "
                f"frames of the voices {missing[2]} of {one.frames_said}, "
                f"packets to the callers {missing[3]} of {one.packets_heard}; "
                f"the generator was at most {1000 * one.generator_lag_seconds:.0f} ms late",
            )
        )
        if missing[0]:
            faults.append(f"{missing[0]} of {one.calls} calls were not answered")
    plot = Plot(
        "CPU of calls at once",
        "calls at once",
        "cores",
        (
            *(Curve(name, tuple((r.calls, r.cores[name]) for r in rounds)) for name in SERVICES),
            Curve("of it recognition", tuple((r.calls, r.recognition_cores) for r in rounds)),
        ),
    )
    return PartResult("audio", tuple(figures), (plot,), tuple(notes), "; ".join(faults))
