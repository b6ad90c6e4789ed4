"""How many live streams one core carries with the final words within 1 s at p95: the usual way, ours, and `--server`'s.

All by the same generator, paced at real time, with the same clips (a listening turn each: the question heard out, a
complaint, the silence at its end). Server and generator have a core each.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import vosk

from bench.figures import Curve, Figure, PartResult, Plot
from bench.parts import Bench
from bench.pipeline import raw_at_once_cpu
from bench.processes import cores, cpu_seconds
from bench.search import LargestPassing
from bench.sounds import Clip
from bench.websocket_load import LoadResult, load
from speech.models import find_model

LIMIT_SECONDS = 1.0
STREAMS_MOST = 1024
START_SECONDS = 60
# Past this the generator, not the server, is what is measured.
LAG_SECONDS_MOST = 0.25


@contextmanager
def served(kind: str, model: Path, core: int | None) -> Iterator[tuple[str, int]]:
    """A server of ours in a process of its own; its address and pid."""
    command = [sys.executable, "-m", "bench.websocket_servers", kind, str(model)]
    command += ["--core", str(core)] if core is not None else []
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line.startswith("ready "):
            raise RuntimeError(f"the {kind} server did not start: {line.strip() or 'it said nothing'}")
        yield f"ws://127.0.0.1:{int(line.split()[1])}/", process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class _Search:
    """One server's search for its largest load."""

    def __init__(self, bench: Bench, name: str, clips: list[Clip]) -> None:
        self._bench = bench
        self._name = name
        self._clips = clips
        self._window_seconds = 6.0 if bench.quick else 18.0
        self.points: list[tuple[float, float]] = []
        self.loads: list[LoadResult] = []
        self.cpu_at: dict[int, float] = {}

    def run(self, first: int, url: str, pid: int | None) -> int:
        """Every load on one server: streams end, nothing of a failed load is left after a pause."""
        search = LargestPassing(first, most=STREAMS_MOST, gap_share=0.2 if self._bench.quick else 0.06)
        while (streams := search.next()) is not None:
            before, begun = cpu_seconds(pid) if pid else 0.0, os.times().elapsed
            went = asyncio.run(
                load(url, self._clips, streams, window_seconds=self._window_seconds, limit_seconds=LIMIT_SECONDS)
            )
            busy = (cpu_seconds(pid) - before) / (os.times().elapsed - begun) if pid else 0.0
            passes = went.passes(LIMIT_SECONDS)
            if went.problems:
                self._bench.say(f"{self._name}, {streams} streams: {went.problems[0]}")
            p95 = went.p95_seconds()
            self._bench.say(
                f"{self._name}, {streams} streams: p95 {p95:.2f} s of {len(went.finals)} finals, "
                f"server {busy:.0%} of a core, {'passes' if passes else 'too many'}"
            )
            if p95 != float("inf"):
                self.points.append((streams, p95))
            self.loads.append(went)
            self.cpu_at[streams] = busy
            search.tell(streams, passes=passes)
            if not passes:
                _settle(pid)
        return search.answer


def _settle(pid: int | None) -> None:
    """Until the server has worked off what a failed load has left it."""
    import time

    time.sleep(2.0 if pid else 5.0)
    for _ in range(20):
        before = cpu_seconds(pid) if pid else 0.0
        time.sleep(0.5)
        if not pid or cpu_seconds(pid) - before < 0.05:
            return


def measure(bench: Bench) -> PartResult:
    """The usual way first: it is the yardstick."""
    model = find_model(bench.settings.speech.model, bench.settings.models_dir).path
    available = cores()
    server_core = available[0] if len(available) > 1 else None
    if server_core is not None:
        os.sched_setaffinity(0, set(available[1:]))
    callers = bench.callers()
    clips = [callers.turn(number) for number in range(12)]
    speech = sum(clip.speech_seconds for clip in clips) / sum(clip.seconds for clip in clips)
    first = max(1, int(0.6 / raw_at_once_cpu(vosk.Model(str(model)), clips[:2])))
    found: dict[str, int] = {}
    searches: dict[str, _Search] = {}
    for kind in ("usual", "ours"):
        searches[kind] = _Search(bench, kind, clips)
        with served(kind, model, server_core) as (url, pid):
            found[kind] = searches[kind].run(first if kind == "usual" else max(1, found["usual"]), url, pid)
    if bench.server:
        searches["other"] = _Search(bench, bench.server, clips)
        found["other"] = searches["other"].run(max(1, found["usual"]), bench.server, None)
    return _result(bench, found, searches, speech, server_core)


def _result(
    bench: Bench, found: dict[str, int], searches: dict[str, _Search], speech: float, server_core: int | None
) -> PartResult:
    usual = "the usual way (one websocket a call, all sound decoded, a partial a message)"
    figures = [
        Figure(
            "live streams a core, final words within 1 s at p95",
            found["ours"],
            "",
            usual,
            found["usual"],
            1.5,
            False,
            True,
        )
    ]
    if "other" in found:
        figures.append(Figure(f"the same, {bench.server}", found["other"], "", usual, found["usual"]))
    lag = max(went.lag_seconds for search in searches.values() for went in search.loads)
    notes = [
        f"{speech:.0%} of the sound is speech; messages of 0.2 s; "
        + ("server and generator pinned to a core each" if server_core is not None else "one core for both"),
        f"the generator was at most {1000 * lag:.0f} ms late",
    ]
    notes += [
        f"{kind}: {found[kind]} streams took {search.cpu_at[found[kind]]:.0%} of a core"
        for kind, search in searches.items()
        if found[kind] in search.cpu_at and kind != "other"
    ]
    failure = ""
    if lag > LAG_SECONDS_MOST:
        notes.append("the generator was too late: these figures are a lower bound")
    if not found["usual"] or not found["ours"]:
        failure = "a server did not carry a single stream"
    curves = tuple(Curve(kind, tuple(sorted(search.points))) for kind, search in searches.items())
    plot = Plot("Live streams on one core", "streams at once", "eof to final words, p95, s", curves)
    return PartResult("streams", tuple(figures), (plot,), tuple(notes), failure)
