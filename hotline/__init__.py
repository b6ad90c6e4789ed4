"""The command `hotline`, and nothing that a call needs to exist."""
