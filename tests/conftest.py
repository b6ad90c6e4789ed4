"""For all tests."""

from hypothesis import settings

# No timed tests: a busy machine is slow, not wrong.
settings.register_profile("hotline", deadline=None)
settings.load_profile("hotline")
