"""What the backend counts. Labels are words of ours only: never a number, a name or an id of a caller."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

DRAFTS_RECEIVED = Counter("hotline_cases_drafts_received_total", "Drafts from producers", ["result"])
TRANSITIONS = Counter("hotline_cases_transitions_total", "Steps in the life of drafts", ["action"])
EDITS = Counter("hotline_cases_edits_total", "Requests that edited fields")
REVISIONS = Counter(
    "hotline_cases_revisions_total", "Revisions of drafts: shown, offered, adopted, put back, dismissed", ["result"]
)
PENDING = Gauge("hotline_cases_pending_drafts", "Open drafts with something not yet transcribed")
RECORDINGS = Counter("hotline_cases_recordings_total", "Recordings from producers", ["result"])
RECORDING_BYTES = Counter("hotline_cases_recording_bytes_total", "Bytes of recordings kept")
LOGINS = Counter("hotline_cases_logins_total", "Attempts to log in", ["result"])
WAITING = Gauge("hotline_cases_waiting_drafts", "Drafts that wait for an operator", ["urgency"])
LIVE_CALLS = Gauge("hotline_cases_live_calls", "Calls heard of in the last two minutes")
LIVE_UPDATES = Counter("hotline_cases_live_updates_total", "Live updates from producers", ["result"])
LIVE_DROPPED = Counter("hotline_cases_live_dropped_total", "Live updates a slow desk did not get")
RESYNCS = Counter("hotline_cases_resyncs_total", "Slow desks told to read the queue again")
DESKS_OPEN = Gauge("hotline_cases_desks_open", "Open streams to desks")
REQUEST_SECONDS = Histogram(
    "hotline_cases_request_seconds",
    "Time to answer, streams left out",
    ["method", "route", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
CLIENT_LIVE_DROPPED = Counter("hotline_cases_client_live_dropped_total", "Live updates a producer could not deliver")
