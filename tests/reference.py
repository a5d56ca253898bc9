"""Slow reference of MsANN training: dense matrices, NumPy, float64, no Keras.

`levels[l][j]` is `(kernel, bias)` of layer j at level l, kernel (n_in, n_out).
`prolongations[s][l]` is the dense P^(l), n_l x n_{l+1}, of space s: space 0 is
the input, space j + 1 the output of layer j. Level 0 is the finest.
"""

from functools import reduce
from itertools import groupby

import numpy as np


def pair_matrix(n):
    """Pairs (2j, 2j+1) -> j by 1/sqrt 2, an odd last node alone."""
    matrix = np.zeros((n, (n + 1) // 2))
    for node in range(n):
        alone = node == n - 1 and n % 2 == 1
        matrix[node, node // 2] = 1.0 if alone else 1.0 / np.sqrt(2.0)
    return matrix


def grid_matrix(rows, columns, axis):
    """Pairs along one axis of a row-major grid, axis 0 down."""
    if axis == 0:
        return np.kron(pair_matrix(rows), np.eye(columns))
    return np.kron(np.eye(rows), pair_matrix(columns))


def composed(chain, level):
    """P^(0) ... P^(level-1), the dense product in (3.7) and (3.8); level >= 1."""
    return reduce(np.matmul, chain[:level])


def prolong(variables, prolongations, level):
    """Pro_{level -> 0}, by (3.4) for kernels and (3.5) for biases."""
    if level == 0:
        return list(variables)
    result = []
    for j, (kernel, bias) in enumerate(variables):
        p_in = composed(prolongations[j], level)
        p_out = composed(prolongations[j + 1], level)
        result.append((p_in @ kernel @ p_out.T, p_out @ bias))
    return result


def restrict(gradient, prolongations, level):
    """Res_{0 -> level} of a fine gradient: dE/dtheta^(level), (3.13)."""
    if level == 0:
        return list(gradient)
    result = []
    for j, (kernel, bias) in enumerate(gradient):
        p_in = composed(prolongations[j], level)
        p_out = composed(prolongations[j + 1], level)
        result.append((p_in.T @ kernel @ p_out, p_out.T @ bias))
    return result


def add(left, right):
    """Sum of two lists of (kernel, bias)."""
    return [(a + c, b + d) for (a, b), (c, d) in zip(left, right, strict=True)]


def theta(levels, prolongations):
    """Theta_j of (3.7) for kernels and (3.8) for biases."""
    total = prolong(levels[0], prolongations, 0)
    for level in range(1, len(levels)):
        total = add(total, prolong(levels[level], prolongations, level))
    return total


def forward(parameters, x):
    """Activations of the input and of every layer, sigmoid throughout (4.2.1)."""
    activations = [np.asarray(x, dtype=np.float64)]
    for kernel, bias in parameters:
        z = activations[-1] @ kernel + bias
        activations.append(np.exp(-np.logaddexp(0.0, -z)))
    return activations


def mse(output, y):
    """Squared error, mean over batch and outputs (4.2.1; Keras' 'mse')."""
    return float(np.mean((output - y) ** 2))


def loss_and_gradient(parameters, x, y):
    """E and dE/dTheta by backpropagation (Algorithm 3.1, steps 1 to 3)."""
    activations = forward(parameters, x)
    output = activations[-1]
    upstream = 2.0 * (output - y) / output.size
    gradient = []
    for j in reversed(range(len(parameters))):
        out = activations[j + 1]
        delta = upstream * out * (1.0 - out)
        gradient.insert(0, (activations[j].T @ delta, delta.sum(axis=0)))
        upstream = delta @ parameters[j][0].T
    return mse(output, y), gradient


class TF1RMSProp:
    """TensorFlow 1's RMSProp, one set of slots a level."""

    decay = 0.9
    epsilon = 1e-10

    def __init__(self, levels, learning_rate):
        """Slots `mean_square[l][j] = [for kernel, for bias]`, all ones."""
        self.learning_rate = learning_rate
        self.mean_square = [
            [[np.ones(kernel.shape), np.ones(bias.shape)] for kernel, bias in level]
            for level in levels
        ]

    def change(self, level, gradient):
        """Update the slots of `level`; return the change to add to theta^(level)."""
        changes = []
        for slot, pair in zip(self.mean_square[level], gradient, strict=True):
            change = []
            for i, g in enumerate(pair):
                slot[i] = self.decay * slot[i] + (1.0 - self.decay) * g**2
                change.append(-self.learning_rate * g / np.sqrt(slot[i] + self.epsilon))
            changes.append(tuple(change))
        return changes


def script_batches(gamma, k, depth, level=0):
    """Yield the level of each batch of a script cycle."""
    yield from [level] * k
    if level < depth:
        for _ in range(gamma):
            yield from script_batches(gamma, k, depth, level + 1)
            yield from [level] * k
    yield from [level] * k


def paper_batches(gamma, k, depth, level=0):
    """Yield the level of each batch of a paper cycle (Algorithm 3.1)."""
    yield from [level] * k
    if level < depth:
        for _ in range(gamma):
            yield from paper_batches(gamma, k, depth, level + 1)
            yield from [level] * k


def _merge(batches):
    return [(level, len(list(run))) for level, run in groupby(batches)]


def script_warmup(depth):
    """One batch a level, coarsest to finest."""
    return [(level, 1) for level in range(depth, -1, -1)]


def script_visits(gamma, k, depth):
    """One script cycle as (level, batches), runs of one level merged."""
    return _merge(script_batches(gamma, k, depth))


def paper_visits(gamma, k, depth):
    """One cycle of Algorithm 3.1 as (level, batches)."""
    return _merge(paper_batches(gamma, k, depth))


def parameter_count(level):
    """|M_l|: kernels and biases (section 4.1)."""
    return sum(kernel.size + bias.size for kernel, bias in level)


def schedule(gamma, k, depth, cycles=None, variant="script"):
    """Yield the level of every batch of a run, endless without `cycles`."""
    if variant not in ("script", "paper"):
        raise ValueError(f"unknown variant {variant!r}")
    if variant == "script":
        yield from (level for level, _ in script_warmup(depth))
    one_cycle = script_batches if variant == "script" else paper_batches
    done = 0
    while cycles is None or done < cycles:
        yield from one_cycle(gamma, k, depth)
        done += 1


def run(step, levels, batches, gamma, k, depth, cycles=None, budget=None, **options):
    """Log (C(t) of section 4.1 with this batch, level, loss before its update).

    Before each batch, stop once C(t) > budget, as the authors' script does.
    """
    if cycles is None and budget is None:
        raise ValueError("give cycles, budget or both")
    sizes = [parameter_count(level) for level in levels]
    log, cost, weighted = [], 0.0, 0
    for t, level in enumerate(schedule(gamma, k, depth, cycles, **options)):
        if budget is not None and cost > budget:
            break
        x, y = batches(t) if callable(batches) else batches[t]
        loss = step(level, x, y)
        weighted += sizes[level] * len(x)
        cost = weighted / sizes[0]
        log.append((cost, level, loss))
    return log


def run_level_form(levels, prolongations, batches, learning_rate, **plan):
    """Keep every theta^(l); return the levels and the log."""
    levels = [list(level) for level in levels]
    optimizer = TF1RMSProp(levels, learning_rate)

    def step(level, x, y):
        loss, gradient = loss_and_gradient(theta(levels, prolongations), x, y)
        change = optimizer.change(level, restrict(gradient, prolongations, level))
        levels[level] = add(levels[level], change)
        return loss

    log = run(step, levels, batches, **plan)
    return levels, log


def run_correction_form(levels, prolongations, batches, learning_rate, **plan):
    """Keep Theta alone; return Theta and the log."""
    parameters = theta(levels, prolongations)
    optimizer = TF1RMSProp(levels, learning_rate)

    def step(level, x, y):
        nonlocal parameters
        loss, gradient = loss_and_gradient(parameters, x, y)
        change = optimizer.change(level, restrict(gradient, prolongations, level))
        parameters = add(parameters, prolong(change, prolongations, level))
        return loss

    log = run(step, levels, batches, **plan)
    return parameters, log
