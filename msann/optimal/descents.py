"""Descents from several starts, to the lowest minimum, off saddles.

How many starts are enough, which signs are tried in the lowest minimum, and how a
saddle is left along negative curvature.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

import numpy as np

from msann.optimal.curvature import least_eigenvalue
from msann.optimal.objective import polar
from msann.optimal.spectral import SpectralForm
from msann.optimal.trust_region import Minimum, minimise

#: Negative curvature that counts, relative to the Hessian's scale.
CURVATURE = 1e-7
#: Nodes of the fine graph up to which the least eigenvalue pays.
SMALL = 256
#: Most starts, by the nodes of the fine graph; one for larger ones.
MOST_STARTS = {32: 60, 64: 20, 128: 2}
#: So many starts that all end in one minimum are enough; two, if they agree to `AGAIN`.
AGREE = 3
#: Ends whose E differ by less, relatively, count as one minimum.
SAME = 1e-6
#: Ends whose E differ by less are the same in all that a descent settles.
AGAIN = 1e-9
#: Part of E by which a minimum must be lower to be another one.
DIFFERENT = 1e-10
#: Part of E that the first descents leave; the best is then finished.
ROUGH = 1e-8
#: Nodes of the fine graph up to which every sign is tried.
MANY_SIGNS = 64


def most_starts_for(size: int) -> int:
    """Starts that pay for a fine graph of so many nodes."""
    return next((most for n2, most in MOST_STARTS.items() if size <= n2), 1)


def lowest(
    form: SpectralForm, several: Iterable[np.ndarray], most: int, stop: float
) -> Minimum:
    """The best local minimum of up to `most` starts, and of other signs there.

    Args:
        form: E.
        several: Starts, maybe without end.
        most: Of them.
        stop: `time.perf_counter()` at which to stop; one start is made in any case.
    """
    ends: list[Minimum] = []
    iterations = 0
    for P in several:
        left = stop - time.perf_counter()
        if ends and (left <= 0 or len(ends) >= most or settled(ends)):
            break
        ends.append(minimise(form, P, decrease=ROUGH, seconds=left))
        iterations += ends[-1].iterations
    best = min(ends, key=lambda end: end.value)._replace(iterations=iterations)
    spread = max(end.value for end in ends) - best.value
    # Independent starts that agree to so many digits leave no doubt about signs.
    doubt = spread > AGAIN * abs(best.value)
    return _other_signs(form, best, stop) if doubt else best


def settled(ends: list[Minimum]) -> bool:
    """Whether more starts are unlikely to find a minimum that was not seen yet.

    After N starts that ended in W > 1 minima, W (N - 1) / (N - W - 2) are expected in
    all (Boender and Rinnooy Kan, 1987): enough is within half of W.
    """
    values = np.sort([end.value for end in ends])
    seen = 1 + int(np.sum(np.diff(values) > SAME * np.abs(values[1:])))
    if seen == 1:
        again = len(ends) > 1 and np.ptp(values) <= AGAIN * abs(values[0])
        return again or len(ends) >= AGREE
    left = len(ends) - seen - 2
    return left > 0 and seen * (len(ends) - 1) < (seen + 0.5) * left


def _other_signs(form, best, stop) -> Minimum:
    """`best`, or a lower minimum with another sign of some vibration of G_1.

    Many minima are apart by such signs, and a descent from one changed sign is short.
    """
    if form.shape[0] > MANY_SIGNS:
        return best
    iterations, improved = best.iterations, True
    while improved:
        improved, Q = False, form.enter(best.P)
        flips = []
        for j in range(Q.shape[1]):
            flipped = Q.copy()
            flipped[:, j] *= -1
            flips.append(form.leave(flipped))
        rise = np.array([form.value(P) for P in flips]) - best.value
        # Without a rise it is a symmetry, or the same column.
        for j in np.argsort(rise):
            if not rise[j] / abs(best.value) > 1e-12 or time.perf_counter() > stop:
                continue
            end = minimise(form, flips[j], decrease=ROUGH)
            iterations += end.iterations
            if end.value < best.value - DIFFERENT * abs(best.value):
                best, improved = end, True
                break
    return best._replace(iterations=iterations)


def off_saddles(
    form: SpectralForm, found: Minimum, seed: int, stop: float
) -> tuple[Minimum, float]:
    """`found` to all digits, off any saddle, and the least eigenvalue there."""
    iterations, least = found.iterations, float("nan")
    if found.reason != "time":
        found = minimise(form, found.P, seconds=stop - time.perf_counter())
        iterations += found.iterations
    while form.shape[0] <= SMALL and time.perf_counter() < stop:
        least, direction = least_eigenvalue(form, found.P, seed=seed)
        if not least < -CURVATURE * form.scale:
            break
        steps = (0.3, 0.1, 0.03, 0.01, -0.01, -0.03, -0.1, -0.3)
        trials = [polar(found.P + t * direction) for t in steps]
        lower = min(trials, key=form.value)
        if form.value(lower) >= found.value:
            break
        found = minimise(form, lower, seconds=stop - time.perf_counter())
        iterations += found.iterations
    return found._replace(iterations=iterations), least
