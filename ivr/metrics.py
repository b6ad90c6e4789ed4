"""What a node counts. Labels are few and closed: never a number, a call id or a caller's words."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

AGI_CALLS = Counter("hotline_ivr_agi_calls", "AGI conversations, by how they ended", ["ended"])
AGI_LIVE = Gauge("hotline_ivr_agi_live", "AGI conversations now")

AUDIO_LIVE = Gauge("hotline_ivr_audio_connections", "AudioSocket connections that belong to a call")
AUDIO_REFUSED = Counter("hotline_ivr_audio_refused", "AudioSocket connections refused, by reason", ["reason"])
AUDIO_BROKEN = Counter("hotline_ivr_audio_broken", "calls whose AudioSocket peer broke the protocol")
AUDIO_EVENTS_DROPPED = Counter("hotline_ivr_audio_frames_dropped", "frames kept on disk but lost to listening (late)")
AUDIO_GAP_SECONDS = Counter("hotline_ivr_audio_gap_seconds", "seconds in which no frame came, filled with silence")
PLAYOUT_LATE_FRAMES = Counter("hotline_ivr_playout_late_frames", "frames sent late or given up after a stall")

BARGE_IN_SECONDS = Histogram(
    "hotline_ivr_barge_in_seconds",
    "time from what cut a prompt off (speech, key) to the prompt's silence",
    ["cause"],
    buckets=(0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2),
)
FINAL_SECONDS = Histogram(
    "hotline_ivr_final_transcript_seconds",
    "time from the end of a turn to its final words",
    buckets=(0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5),
)

CALLS_ADMITTED = Counter("hotline_ivr_calls_admitted", "calls by when they are heard: live, or later", ["heard"])
CALLS_TO_HEAR = Gauge("hotline_ivr_calls_to_hear", "calls whose recording waits to be recognised", ["hearing"])
CALLS_HEARD_AGAIN = Counter(
    "hotline_ivr_calls_heard_again",
    "recordings recognised after the call, by what they brought",
    ["hearing", "brought"],
)
TURNS_LATE = Counter("hotline_ivr_turns_late", "turns of which not all was recognised while the call went on")

JOURNAL_SYNC_SECONDS = Histogram(
    "hotline_ivr_journal_sync_seconds",
    "time from a fact written to it being on disk",
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)
DISK_FULL = Counter("hotline_ivr_disk_full", "writes that found the disk full or failing", ["what"])

SPOOL_FOLDERS = Gauge("hotline_ivr_spool_folders", "call folders by state, at the last recovery", ["state"])
DRAFTS_DELIVERED = Counter("hotline_ivr_drafts_delivered", "drafts the backend has", ["created"])
RECORDINGS_DELIVERED = Counter("hotline_ivr_recordings_delivered", "recordings the backend has")
DELIVERY_FAILURES = Counter("hotline_ivr_delivery_failures", "deliveries to be tried again, by error code", ["code"])
CALLS_RECOVERED = Counter(
    "hotline_ivr_calls_recovered", "calls drafted after something died, by what was left", ["source"]
)
QUARANTINED = Counter("hotline_ivr_spool_quarantined", "call folders nobody could read")
