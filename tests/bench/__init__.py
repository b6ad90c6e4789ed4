"""`make bench`: what this machine can do, each figure beside its yardstick. Parts are modules; see `__main__.py`."""
