"""The same examples in every run: a test that fails today fails tomorrow, and none fails by luck."""

from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")
