"""Seconds to a target, tuned against tuned: `python -m benchmarks.clock`."""
