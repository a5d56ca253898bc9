"""Cycles on coarsened data: a coarse level trains a coarse network on averages.

- `network`: M_l as a network of its own, from the model seen as spaces;
- `compiled`: what differs between backends;
- `averages`: what data are on a coarse level;
- `data`: chunks of samples on the device, at every level;
- `level`: variables, gradient and steps of one level;
- `program`: a whole cycle as one compiled program;
- `engine`: what `fit` drives.
"""
