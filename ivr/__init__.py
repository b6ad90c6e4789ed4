"""A live call: what is said to the caller, what is heard, and what is kept of it."""
