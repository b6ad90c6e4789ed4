"""Words to promises kept: drafts, the operators' desk, cases, call-backs."""
