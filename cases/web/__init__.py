"""The HTTP face of cases: API, desk, static pages."""
