"""What every test shares: one Hypothesis profile."""

from hypothesis import settings

# Timing depends on the machine, and a red test must be red again tomorrow.
settings.register_profile("house", deadline=None, derandomize=True)
settings.load_profile("house")
