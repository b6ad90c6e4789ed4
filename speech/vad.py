"""Is there speech in these 20 ms? WebRTC's detector, with a floor under it."""

from __future__ import annotations

import math

import numpy as np
import webrtcvad

from speech.audio import FRAME_BYTES, FRAME_MS, SAMPLE_RATE_HZ

# Idle lines measure -70 to -55 dBFS, a quiet caller above -45. WebRTC's detector adapts to its input and
# takes steady hiss at any level for speech in its first frames; below this floor nothing is speech.
MIN_LEVEL_DBFS = -50.0
SILENT_DBFS = -120.0
_MIN_RMS = 32768 * 10 ** (MIN_LEVEL_DBFS / 20)


class SpeechDetector:
    """One caller's detector: it adapts to what it hears, so frames of one call only, in their order."""

    def __init__(self, aggressiveness: int = 2) -> None:
        """`aggressiveness` 0 to 3: larger takes less for speech."""
        self._vad = webrtcvad.Vad(aggressiveness)
        self.level_dbfs = SILENT_DBFS  # of the frame decided last
        self.last = False  # what was decided: feeding and endpointing rest on one decision a frame

    def is_speech(self, frame: bytes) -> bool:
        """Decide on one frame of 20 ms, 320 bytes. ValueError for any other length: a caller of ours has a fault."""
        if len(frame) != FRAME_BYTES:
            raise ValueError(f"a frame is {FRAME_BYTES} bytes ({FRAME_MS} ms at {SAMPLE_RATE_HZ} Hz), not {len(frame)}")
        samples = np.frombuffer(frame, "<i2").astype(np.float32)
        # The detector hears every frame, so that it knows the line's noise when speech comes.
        voiced = bool(self._vad.is_speech(frame, SAMPLE_RATE_HZ))
        rms = float(np.sqrt(np.mean(samples**2)))
        self.level_dbfs = 20 * math.log10(rms / 32768) if rms > 0 else SILENT_DBFS
        self.last = voiced and rms >= _MIN_RMS
        return self.last
