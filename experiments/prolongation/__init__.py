"""Section 3 in pictures and numbers: `python -m experiments.prolongation figure1`."""
