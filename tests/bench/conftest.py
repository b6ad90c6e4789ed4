"""The bench's modules name each other as `bench.…` and the system tests' as `system.…`, as `make bench` runs them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
