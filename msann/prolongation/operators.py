"""What a prolongation P is: a matrix with orthonormal columns, kept matrix-free.

P maps vectors on a coarse space to vectors on a finer one (Pro, section 3.4.1); its
transpose restricts (Res). Since P^T P = I, Res after Pro is the identity and Pro
after Res a projection.

Every operator applies along any axis of any array. The array's own namespace is an
argument, `xp`: NumPy, or `keras.ops` for backend tensors, so this module imports no
framework and autodiff sees ordinary array operations.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from msann.arrays import integer_array, real_array
from msann.checks import instance, integer, shown

#: How far P^T P may be from the identity in a matrix that a user gives.
ORTHONORMAL_TOLERANCE = 1e-6


class Prolongation(ABC):
    """Takes vectors from a coarse space to a fine one, by P with orthonormal columns.

    A subclass sets `shape` and defines `_prolong` and `_restrict`, as one of SciPy's
    `LinearOperator` defines `_matvec` and `_rmatvec`.
    """

    shape: tuple[int, int]

    def prolong(self, x: Any, axis: int = -1, xp: Any = np) -> Any:
        """Apply P along `axis`, whose size goes from coarse to fine.

        Args:
            x: Array or tensor, any number of axes.
            axis: Which of them has the `shape[1]` entries of the coarse space.
            xp: What computes: NumPy, or `keras.ops` for tensors.

        Raises:
            ValueError: `x` has no such axis, has another size there, or no numbers.
        """
        x, axis = self._checked(x, axis, 1, xp)
        return self._prolong(x, axis, xp)

    def restrict(self, x: Any, axis: int = -1, xp: Any = np) -> Any:
        """Apply P^T along `axis`, whose size goes from `fine` to `coarse`.

        Raises:
            ValueError: As for `prolong`.
        """
        x, axis = self._checked(x, axis, 0, xp)
        return self._restrict(x, axis, xp)

    @abstractmethod
    def _prolong(self, x, axis, xp):
        """`prolong` along a non-negative axis of the right size."""

    @abstractmethod
    def _restrict(self, x, axis, xp):
        """`restrict` along a non-negative axis of the right size."""

    def _checked(self, x, axis, side, xp):
        if xp is np and not (isinstance(x, np.ndarray) and x.dtype.kind in "biufc"):
            x = real_array("x", x)
        shape, axis = xp.shape(x), integer("axis", axis)
        inside = -len(shape) <= axis < len(shape)
        if not inside or shape[axis] != self.shape[side]:
            raise ValueError(
                f"{self!r} applies along an axis of {self.shape[side]} entries. "
                f"Received: shape {tuple(shape)} and axis={axis}"
            )
        return x, axis % len(shape)

    def matrix(self) -> np.ndarray:
        """Return P as a dense float64 array, for looking at and for tests."""
        return self.prolong(np.eye(self.shape[1]), axis=0)

    def __repr__(self):
        return f"{type(self).__name__}({self.shape[0]} x {self.shape[1]})"


class Identity(Prolongation):
    """Coarsens nothing: every level of the space is the space itself."""

    def __init__(self, size: int):
        size = integer("size", size, least=1)
        self.shape = (size, size)

    def _prolong(self, x, axis, xp):
        return x

    _restrict = _prolong


class Aggregation(Prolongation):
    """Gives each fine node to one coarse node: one non-zero in every row of P.

    Args:
        labels: Integer array `(fine,)`, the coarse node of each fine node; every
            coarse node 0 .. max(labels) must own at least one fine node.
        weights: Array `(fine,)` of the non-zeros. The squares in each aggregate must
            add up to one; by default all are equal: 1/sqrt(size of the aggregate).

    Raises:
        ValueError: Labels that are no integers, a coarse node without fine nodes,
            weights that are no numbers, or columns of another norm.

    Example:

    >>> pairs = Aggregation([0, 0, 1, 1, 2])
    >>> pairs.matrix().round(3)
    array([[0.707, 0.   , 0.   ],
           [0.707, 0.   , 0.   ],
           [0.   , 0.707, 0.   ],
           [0.   , 0.707, 0.   ],
           [0.   , 0.   , 1.   ]])
    >>> pairs.restrict([1.0, 1.0, 1.0, 1.0, 1.0]).round(3)
    array([1.414, 1.414, 1.   ])
    """

    def __init__(self, labels, weights=None):
        labels = integer_array("labels", labels)
        coarse = int(labels.max()) + 1
        # More coarse nodes than fine ones are not even counted.
        counted = labels.min() >= 0 and coarse <= len(labels)
        sizes = np.bincount(labels, minlength=coarse) if counted else np.zeros(1, int)
        if not np.all(sizes):
            raise ValueError(
                "`labels` must give every coarse node 0 .. max(labels) a fine node. "
                f"Received: labels={shown(labels.tolist())}"
            )
        if weights is None:
            weights = 1 / np.sqrt(sizes[labels])
        weights = real_array("weights", weights)
        if weights.shape != labels.shape:
            raise ValueError(
                "`weights` must hold one number for each fine node. "
                f"Received: shape {weights.shape} for {len(labels)} nodes"
            )
        with np.errstate(over="ignore"):  # infinity is no norm either
            norms = np.bincount(labels, np.square(weights), coarse)
        if not np.allclose(norms, 1, atol=ORTHONORMAL_TOLERANCE):
            worst = np.abs(norms - 1).max()
            raise ValueError(
                "The squares of `weights` must add up to one in each aggregate. "
                f"Received: weights that are off by {worst:.2g}"
            )
        self.labels, self.weights = labels, weights
        self.shape = (len(labels), coarse)

        # Consecutive blocks of equal size, the last one possibly shorter, need no
        # indices: that is every path, cycle and grid axis, composed or not.
        self._block = int(sizes.max())
        self._blocked = np.array_equal(labels, np.arange(len(labels)) // self._block)
        if not self._blocked:
            # members[j] lists the fine nodes of coarse node j, padded with weight 0.
            order = np.argsort(labels, kind="stable")
            slot = np.arange(len(labels)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
            self._members = np.zeros((coarse, self._block), dtype="int32")
            self._member_weights = np.zeros((coarse, self._block))
            self._members[labels[order], slot] = order
            self._member_weights[labels[order], slot] = weights[order]

    def _prolong(self, x, axis, xp):
        if not self._blocked:
            # Counted from the end: TensorFlow makes the gradient along "axis 0" a list
            # of rows, and optimizers are wrong about rows that it lists twice.
            axis -= len(xp.shape(x))
            x = xp.take(x, self.labels, axis=axis)
            return _scaled(x, self.weights, axis, xp)
        fine, coarse = self.shape
        x = _floating(x, xp)
        weights = np.zeros(coarse * self._block)
        weights[:fine] = self.weights
        weights = weights.reshape([-1, self._block] + [1] * (x.ndim - axis - 1))
        x = _split(x, axis, (coarse, 1), xp) * xp.array(weights, dtype=x.dtype)
        x = _joined(x, axis, xp)
        return _leading(x, fine, axis) if fine < coarse * self._block else x

    def _restrict(self, x, axis, xp):
        fine, coarse = self.shape
        if self._blocked:
            x = _scaled(x, self.weights, axis, xp)
            if missing := coarse * self._block - fine:
                x = xp.pad(x, [(0, missing * (i == axis)) for i in range(x.ndim)])
        else:
            x = xp.take(x, self._members.ravel(), axis=axis)
            x = _scaled(x, self._member_weights.ravel(), axis, xp)
        return xp.sum(_split(x, axis, (coarse, self._block), xp), axis=axis + 1)


class Kronecker(Prolongation):
    """Applies one prolongation along each axis of a grid: P_1 (x) P_2 (x) ..

    Nodes are numbered in row-major (C) order, as `numpy.reshape` does.

    Example:

    >>> rows, columns = Aggregation([0, 0]), Aggregation([0, 0, 1])
    >>> Kronecker(rows, columns).shape
    (6, 2)
    """

    def __init__(self, *factors: Prolongation):
        if not factors:
            raise ValueError("`factors` must hold at least one prolongation.")
        for i, factor in enumerate(factors):
            instance(f"factors[{i}]", factor, Prolongation, "a `Prolongation`")
        self.factors = factors
        fine, coarse = (
            math.prod(factor.shape[side] for factor in factors) for side in (0, 1)
        )
        self.shape = (fine, coarse)

    def _prolong(self, x, axis, xp):
        return self._along_axes("prolong", x, axis, xp)

    def _restrict(self, x, axis, xp):
        return self._along_axes("restrict", x, axis, xp)

    def _along_axes(self, method, x, axis, xp):
        before, after = (1, 0) if method == "prolong" else (0, 1)
        x = _split(x, axis, [factor.shape[before] for factor in self.factors], xp)
        # Backwards: prolonging the innermost axis first moves the least memory.
        for i, factor in reversed(list(enumerate(self.factors))):
            x = getattr(factor, method)(x, axis + i, xp)
        shape = list(xp.shape(x))
        shape[axis : axis + len(self.factors)] = [self.shape[after]]
        return xp.reshape(x, shape)


class Matrix(Prolongation):
    """Uses any matrix with orthonormal columns as a prolongation.

    Args:
        matrix: Array `(fine, coarse)`, fine >= coarse.

    Raises:
        ValueError: Not a finite matrix, wider than tall, or P^T P further than 1e-6
            from the identity.

    Example:

    >>> Matrix(np.eye(4)[:, :2]).restrict([1.0, 2.0, 3.0, 4.0])
    array([1., 2.])
    """

    def __init__(self, matrix):
        matrix = real_array("matrix", matrix)
        if matrix.ndim != 2 or matrix.shape[0] < matrix.shape[1] or not matrix.size:
            raise ValueError(
                "A prolongation must be a matrix with at least as many rows (fine "
                f"nodes) as columns (coarse nodes). Received: shape {matrix.shape}"
            )
        with np.errstate(over="ignore", invalid="ignore"):
            error = np.abs(matrix.T @ matrix - np.eye(matrix.shape[1])).max()
        if not error <= ORTHONORMAL_TOLERANCE:  # nor NaN, of infinities
            raise ValueError(
                "A prolongation must have orthonormal columns, P^T P = I to within "
                f"{ORTHONORMAL_TOLERANCE:.0e}. Received: a matrix of shape "
                f"{matrix.shape} that is off by {error:.2g}"
            )
        self._matrix, self.shape = matrix, matrix.shape

    @classmethod
    def orthonormal(cls, matrix: np.ndarray) -> Matrix:
        """Make one whose columns are orthonormal by construction; nothing is checked.

        The check takes as long as a product of two such matrices.
        """
        result = cls.__new__(cls)
        result._matrix, result.shape = matrix, matrix.shape
        return result

    def matrix(self):
        """Return the matrix itself."""
        return self._matrix

    def _prolong(self, x, axis, xp):
        return self._matmul(self._matrix.T, x, axis, xp)

    def _restrict(self, x, axis, xp):
        return self._matmul(self._matrix, x, axis, xp)

    def _matmul(self, matrix, x, axis, xp):
        x = _floating(x, xp)
        matrix = xp.array(matrix, dtype=x.dtype)
        # Moving axes costs a copy; the first and the last but one need none.
        if axis == 0 and x.ndim > 2:
            rest = xp.shape(x)[1:]
            x = xp.matmul(xp.transpose(matrix), xp.reshape(x, (matrix.shape[0], -1)))
            return xp.reshape(x, (matrix.shape[1], *rest))
        if axis == x.ndim - 2:
            return xp.matmul(xp.transpose(matrix), x)
        return xp.moveaxis(xp.matmul(xp.moveaxis(x, axis, -1), matrix), -1, axis)


def _split(x, axis, sizes, xp):
    """Reshape one axis of `x` into several."""
    shape = list(xp.shape(x))
    shape[axis : axis + 1] = sizes
    return xp.reshape(x, shape)


def _joined(x, axis, xp):
    """Reshape an axis of `x` and the next into one."""
    shape = list(xp.shape(x))
    shape[axis : axis + 2] = [shape[axis] * shape[axis + 1]]
    return xp.reshape(x, shape)


def _leading(x, count, axis):
    """The first `count` entries along `axis`."""
    index = [slice(None)] * x.ndim
    index[axis] = slice(count)
    return x[tuple(index)]


def _floating(x, xp):
    """`x` as floating-point numbers: weights are cast to its type."""
    if not hasattr(x, "dtype"):  # what has one is not copied
        x = xp.array(x)
    return x if "float" in str(x.dtype) else xp.multiply(x, 1.0)


def _scaled(x, weights, axis, xp):
    """`x` times one weight for each entry along `axis`."""
    x = _floating(x, xp)
    if np.all(weights == weights[0]):
        return x * float(weights[0])
    shape = [1] * x.ndim
    shape[axis] = -1
    return x * xp.array(weights.reshape(shape), dtype=x.dtype)
