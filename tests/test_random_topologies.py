"""Shuffled and random orthogonal topologies: what a seed decides."""

import numpy as np
import pytest
from matrices import dense

import msann_keras as ms
from msann.prolongation.operators import Identity
from msann.topology import base as chains
from msann.topology import chain

close = np.testing.assert_allclose


def test_random_orthogonal_halves():
    assert chain(ms.random_orthogonal(9, seed=0), 4).sizes == (9, 5, 3, 2, 1)


def test_random_orthogonal_prefers_no_sign():
    draws = [ms.random_orthogonal(4, seed=seed).coarsen()[0] for seed in range(20)]
    signs = np.sign([np.diag(P.matrix()) for P in draws])
    assert (np.abs(signs.sum(axis=0)) < 15).all()  # QR alone gives 20 of one sign


BASES = [ms.path(16), ms.path(15), ms.grid(4, 4), ms.random_orthogonal(16, seed=1)]


@pytest.mark.parametrize("base", BASES)
def test_one_shuffle_a_space(base):
    # Whatever the level, the finest nodes are in the one order that the seed means.
    order, _ = ms.shuffled(ms.identity(base.size), seed=3).coarsen()
    shuffled = chain(ms.shuffled(base, seed=3), 4)
    assert shuffled.sizes == chain(base, 4).sizes
    for P, Q in zip(
        shuffled.composites[1:], chain(base, 4).composites[1:], strict=True
    ):
        close(dense(P), dense(order) @ dense(Q), atol=1e-12)
    assert not np.array_equal(dense(order), np.eye(base.size))


@pytest.mark.parametrize("base", BASES)
def test_redraw_shuffles_every_level(base):
    redrawn = chain(ms.shuffled(base, seed=3, redraw=True), 3)
    for P, Q in zip(redrawn.steps, chain(base, 3).steps, strict=True):
        assert sorted(dense(P).tolist()) == sorted(dense(Q).tolist())
        assert not np.array_equal(dense(P), dense(Q))


def test_redrawn_levels_disagree():
    orders = chain(ms.shuffled(ms.identity(8), seed=3, redraw=True), 4).steps
    assert len({P.matrix().tobytes() for P in orders}) == 4
    once = chain(ms.shuffled(ms.identity(8), seed=3), 4).steps
    assert all(isinstance(P, Identity) for P in once[1:])


def test_drawn_for_a_key():
    space = ms.shuffled(ms.path(8), seed=3, redraw=True)
    keys = [(), (1,), (2,), (1, 1), (1, 2)]
    drawn = [space.drawn_for(*key) for key in keys]
    assert drawn == [space.drawn_for(*key) for key in keys]
    assert len({(d.base, d.redraw) for d in drawn}) == 1
    assert len({d.seed for d in [space, *drawn]}) == 6


@pytest.mark.parametrize(
    "make",
    [
        lambda seed: ms.random_orthogonal(12, seed=seed),
        lambda seed: ms.shuffled(ms.path(12), seed=seed),
        lambda seed: ms.shuffled(ms.grid(3, 4), seed=seed, redraw=True),
    ],
)
def test_seeds_decide(make):
    def steps(seed):
        chains._chain.cache_clear()
        return [dense(P).tobytes() for P in chain(make(seed), 3).steps]

    assert steps(seed=1) == steps(seed=1)
    assert steps(seed=1) != steps(seed=2)
