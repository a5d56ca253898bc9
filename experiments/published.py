"""The paper's numbers: Tables 1 to 3, as plain values with their cells."""

from __future__ import annotations

from typing import NamedTuple

from msann.cost import NOT_REACHED

#: Of the paper; Table 3 has two halves.
TITLE = (
    "Scott and Mjolsness, Multilevel Artificial Neural Network Training for Spatially "
    "Correlated Learning, SIAM 2019"
)


class Cell(NamedTuple):
    """One number of a table.

    Attributes:
        value: `NOT_REACHED` for the paper's "N/A".
        shape: (gamma, L, k) where the paper names them.
        source: Table, row and column.
    """

    value: float
    shape: tuple[int, int, int] | None
    source: str


class PublishedTable(NamedTuple):
    """A table's two rows: final MSE, and C(t) to a tenth of the first MSE.

    Attributes:
        name: As the paper calls it.
        optimizers: With their rate: whichever of them the paper used. For the synthetic
            tasks its text says Adam and the authors' script RMSProp; for MNIST both say
            RMSProp.
        budget: C(t) that fits the numbers; the paper names none.
        final, tenth: The rows: "best", "worst" and "default" with a `Cell` each.
    """

    name: str
    optimizers: tuple[str, ...]
    budget: float
    final: dict[str, Cell]
    tenth: dict[str, Cell]


def _table(protocol, name, final, final_shape, tenth, tenth_shape) -> PublishedTable:
    def row(title, values, shape):
        columns = ("best", "worst", "default")
        shapes = (shape, None, None)
        return {
            column: Cell(value, which, f"{name}, {title}, {column}")
            for column, value, which in zip(columns, values, shapes, strict=True)
        }

    return PublishedTable(
        name,
        *protocol,
        row("Final MSE", final, final_shape),
        row("Cost to 1/10 MSE", tenth, tenth_shape),
    )


_SYNTHETIC = (("Adam 0.0005", "RMSProp 0.0005"), 1.02e6)
_DIGITS = (("RMSProp 0.0005",), 2.56e5)

ONE_OBJECT = _table(
    _SYNTHETIC,
    "Table 1",
    (6.612e-4, 4.431e-3, 3.654e-3),
    (3, 5, 4),
    (7.342e3, 1.640e5, 1.266e5),
    (3, 6, 4),
)
TWO_OBJECTS = _table(
    _SYNTHETIC,
    "Table 2",
    (2.576e-3, 8.998e-3, 8.816e-3),
    (3, 6, 2),
    (2.433e4, 2.623e5, 2.216e5),
    (3, 6, 16),
)
MNIST_PATH = _table(
    _DIGITS,
    "Table 3, path",
    (1.547e-2, 4.605e-2, 4.171e-2),
    (3, 4, 8),
    (7.207e4, NOT_REACHED, NOT_REACHED),
    (3, 5, 32),
)
MNIST_GRID = _table(
    _DIGITS,
    "Table 3, grid",
    (1.436e-2, 4.620e-2, 4.132e-2),
    (3, 4, 2),
    (5.095e4, NOT_REACHED, NOT_REACHED),
    (3, 6, 128),
)
#: By name.
TABLES = {x.name: x for x in (ONE_OBJECT, TWO_OBJECTS, MNIST_PATH, MNIST_GRID)}
#: (gamma, L, k) of every strategy in Figure 7.
FIGURE_7 = (3, 6, 1)
