"""What the ear and the voice report to Prometheus."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

DECODE_SECONDS = Histogram(
    "hotline_speech_decode_seconds", "time a worker spends on one slice of sound", buckets=_SECONDS
)
AUDIO_SECONDS = Counter("hotline_speech_audio_seconds", "sound decoded")
FINISH_SECONDS = Histogram(
    "hotline_speech_finish_seconds", "from asking for the final words to having them", buckets=_SECONDS
)
DROPPED_SECONDS = Counter("hotline_speech_dropped_seconds", "sound left out because a stream's backlog was full")
PARTIALS_SHED = Counter(
    "hotline_speech_partials_shed", "slices after which no partial words were worked out, under load"
)
STREAMS_OPEN = Gauge("hotline_speech_streams_open", "streams being listened to")
STREAMS_FAILED = Counter("hotline_speech_streams_failed", "streams whose decoding failed")
LOAD = Gauge("hotline_speech_load", "decode seconds per wall second and worker over the last ten seconds")
LEVEL = Gauge(
    "hotline_speech_level", "what is given up under load: 0 nothing, 1 partials, 2 new calls are not heard live"
)
VOICE_SECONDS = Histogram("hotline_speech_voice_seconds", "time to synthesize one text", buckets=_SECONDS)
VOICE_CACHE = Counter("hotline_speech_voice_cache", "texts asked of the voice's cache", ["result"])
