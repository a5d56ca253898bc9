"""What trains: the fine gradient, or cycles on coarsened data. One interface for both.

An engine has five members. A `Session` (msann_keras/session.py) owns one for the time
of a `fit`, and it and the model ask it nothing else:

- `function(train)`: the model's `train_function` as Keras calls it on this backend,
  from a function of the iterator that returns the logs;
- `whole_cycles`: whether a call makes whole cycles or single batches;
- `due(iterator)`: how many of them the next call makes, 0 where the data have ended;
- `run(visits, iterator)`: makes visits and returns the logs of the last batch, or
  `None` if there was none;
- `progress`: how far the schedule has been walked since it began.
"""
