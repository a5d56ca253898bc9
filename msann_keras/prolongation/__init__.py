"""Prolongations and what they act on. NumPy only; no Keras."""
