"""For all tests."""

from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

# No timed tests: a busy machine is slow, not wrong.
settings.register_profile("hotline", deadline=None)
settings.load_profile("hotline")


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """A command run inside a test sets up logging for its whole process: the next test must not inherit its level."""
    yield
    structlog.reset_defaults()
