"""Transcript to ComplaintDraft. Pure: no clock, socket, file of the caller's, or log."""
