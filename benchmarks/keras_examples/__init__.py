"""Models as Keras's examples have them, and what a warm start makes of each."""
