"""From what was said to a complaint draft. Pure: no clock, no file but the tables, no network.

draft(transcript)         the ComplaintDraft of a call, or of a live one's prefix
missing(draft)            what a call should still ask: place, contact
place_choice(draft)       two readings of the place that are worth a question
hears_emergency(text)     an emergency told as happening now (119/120/110/122), also in a partial transcript
hears_threat(text)        扬言
EMERGENCY_WATCH           phrases to watch for in partial transcripts
warm_up()                 reads the tables now, not at the first call; raises CasesError when one is broken
"""

from cases.drafting.draft import draft, missing, place_choice, warm_up
from cases.drafting.emergency import Emergency, Threat, emergency_watch, hears_emergency, hears_threat

EMERGENCY_WATCH: tuple[str, ...] = emergency_watch()

__all__ = [
    "EMERGENCY_WATCH",
    "Emergency",
    "Threat",
    "draft",
    "hears_emergency",
    "hears_threat",
    "missing",
    "place_choice",
    "warm_up",
]
