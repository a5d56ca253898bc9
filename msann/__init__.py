"""The mathematics of multilevel training, without a framework.

Schedules, the cost C(t), graphs, prolongations and topologies: plain Python, NumPy and
SciPy. `msann_keras` builds Keras layers, models and callbacks on them and exports the
names that its users need, so `import msann_keras as ms` is enough for training. Whoever
needs no network imports from here, which loads neither Keras nor a backend:

>>> from msann.schedules import gamma_cycle
>>> gamma_cycle(depth=1).batches_per_cycle
3
"""
