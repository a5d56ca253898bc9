"""How soon a model of a practitioner gets good: `python -m benchmarks.practice`."""
