"""A call's two clocks; pure, time is an argument. `Timeline`: where on the clock the caller's samples lie. `Playout`:
which frames of our prompts are due. Sound is 8 kHz 16-bit signed little-endian mono throughout.
"""

from __future__ import annotations

import asyncio
from collections import deque

from ivr.errors import CallError

SAMPLE_RATE_HZ = 8000
FRAME_MS = 20
FRAME_SECONDS = FRAME_MS / 1000
FRAME_SAMPLES = SAMPLE_RATE_HZ * FRAME_MS // 1000
FRAME_BYTES = 2 * FRAME_SAMPLES
SILENCE_FRAME = bytes(FRAME_BYTES)


class Timeline:
    """Where on the call's clock received samples lie; pure.

    A batch that was read at once ended when it was read, so its start is now less its length: a stall of ours makes
    no gap. A gap is filled when it is clearly one (60 ms: a digit, a silent phone), and a lag that stays over one
    frame for a whole second (a slow clock, lost packets) by its minimum. Sound is never thrown away: after a
    delayed burst it runs ahead of the clock until the next gap. Positions rise strictly.
    """

    GAP_SAMPLES = 3 * FRAME_SAMPLES
    WINDOW_SAMPLES = SAMPLE_RATE_HZ

    def __init__(self) -> None:
        self.next_sample = 0
        self._window_samples = 0
        self._least_lag: int | None = None

    def place(self, samples: int, now_seconds: float) -> int:
        """The first sample's position of a batch of `samples` read at `now_seconds`; moves on past it."""
        lag = round(now_seconds * SAMPLE_RATE_HZ) - samples - self.next_sample
        self._least_lag = lag if self._least_lag is None else min(self._least_lag, lag)
        self._window_samples += samples
        skip = 0
        if lag >= self.GAP_SAMPLES:
            skip = lag
        elif self._window_samples >= self.WINDOW_SAMPLES:
            skip = self._least_lag if self._least_lag > FRAME_SAMPLES else 0
            self._window_samples, self._least_lag = 0, None
        if skip:
            self._window_samples, self._least_lag = 0, None
        start = self.next_sample + skip
        self.next_sample = start + samples
        return start


class Playback:
    """One prompt on its way. `await finished()` → True when it was said to its end, False when stopped."""

    def __init__(self, pcm: bytes) -> None:
        self.pcm = pcm
        self.sent_bytes = 0
        self._done: asyncio.Future[bool] | None = None
        self._result: bool | None = None

    @property
    def played_ms(self) -> float:
        return 1000 * min(self.sent_bytes, len(self.pcm)) / (2 * SAMPLE_RATE_HZ)

    @property
    def over(self) -> bool:
        return self._result is not None

    async def finished(self) -> bool:
        if self._result is not None:
            return self._result
        if self._done is None:
            self._done = asyncio.get_running_loop().create_future()
        return await asyncio.shield(self._done)

    def end(self, said: bool) -> None:
        if self._result is None:
            self._result = said
            if self._done and not self._done.done():
                self._done.set_result(said)


class Playout:
    """Which frames are due; pure: time is an argument.

    One frame each 20 ms from the first call on, free of drift. After a stall at most `CATCH_UP_FRAMES` are sent at
    once (a phone's jitter buffer takes no more) and the clock starts anew: prompts are delayed, never cut.
    """

    CATCH_UP_FRAMES = 5
    QUEUE_MAX_BYTES = 20 * 60 * SAMPLE_RATE_HZ * 2  # 20 minutes; past it `play` refuses: no menu says so much

    def __init__(self) -> None:
        self._queue: deque[Playback] = deque()
        self._queued_bytes = 0
        self._said: list[Playback] = []  # since the last silence: what `stop` answers
        self._last: Playback | None = None  # all sent, its last frame still sounds
        self._started_seconds: float | None = None
        self._sent_frames = 0
        self.late_frames = 0

    @property
    def playing(self) -> bool:
        return bool(self._queue) or self._last is not None

    def play(self, pcm: bytes) -> Playback:
        if len(pcm) % 2:
            pcm = pcm[:-1]
        if self._queued_bytes + len(pcm) > self.QUEUE_MAX_BYTES:
            raise CallError("prompt-too-long", "more than 20 minutes of prompts are waiting")
        playback = Playback(pcm)
        if not pcm:
            playback.end(True)
            return playback
        if not self.playing:
            self._said.clear()
        self._queue.append(playback)
        self._said.append(playback)
        self._queued_bytes += len(pcm)
        return playback

    def stop(self) -> float:
        """Nothing more is said; → ms said since the last silence."""
        said_ms = sum(playback.played_ms for playback in self._said) if self.playing else 0.0
        for playback in (*self._queue, *([self._last] if self._last else [])):
            playback.end(False)
        self._queue.clear()
        self._last = None
        self._queued_bytes = 0
        return said_ms

    def due(self, now_seconds: float) -> list[bytes]:
        """The frames (320 bytes each) to be sent now."""
        if self._started_seconds is None:
            self._started_seconds = now_seconds
        wanted = int((now_seconds - self._started_seconds) / FRAME_SECONDS + 1e-6) + 1 - self._sent_frames
        if wanted <= 0:
            return []
        if wanted > self.CATCH_UP_FRAMES:
            self.late_frames += wanted - self.CATCH_UP_FRAMES
            self._started_seconds = now_seconds
            self._sent_frames = 0
            wanted = self.CATCH_UP_FRAMES if self.playing else 1
            self._started_seconds -= (wanted - 1) * FRAME_SECONDS
        self._sent_frames += wanted
        return [self._frame() for _ in range(wanted)]

    def hold(self, now_seconds: float) -> None:
        """The peer takes nothing: prompts wait where they are and the clock starts anew when it does."""
        self._started_seconds = now_seconds
        self._sent_frames = 1

    def _frame(self) -> bytes:
        if self._last:
            self._last.end(True)
            self._last = None
        frame = b""
        while self._queue and len(frame) < FRAME_BYTES:
            playback = self._queue[0]
            piece = playback.pcm[playback.sent_bytes : playback.sent_bytes + FRAME_BYTES - len(frame)]
            playback.sent_bytes += len(piece)
            self._queued_bytes -= len(piece)
            frame += piece
            if playback.sent_bytes >= len(playback.pcm):
                self._queue.popleft()
                if self._last:
                    self._last.end(True)
                self._last = playback
        return frame.ljust(FRAME_BYTES, b"\0") if frame else SILENCE_FRAME
