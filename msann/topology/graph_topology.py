"""From any connected graph to a chain of coarser graphs and the P between them.

Coarsening is pyamg's pairwise aggregation of the graph Laplacian, as algebraic
multigrid has it; the coarser graph is the quotient by the aggregates. P is that
aggregation, or the optimal prolongation of section 3.2 between the two graphs.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import networkx as nx
import numpy as np
from scipy import sparse

from msann.checks import each, instance, number, one_of, refuse
from msann.graphs import adjacency
from msann.optimal.cache import cache_folder, cached, digest
from msann.optimal.search import optimal_prolongation
from msann.prolongation.composition import fitting
from msann.prolongation.operators import Aggregation, Matrix, Prolongation
from msann.topology.base import Stored, node_count, settle

#: Largest fine graph for which an optimal, dense P is looked for.
OPTIMAL_LIMIT = 2048


@dataclass(frozen=True, eq=False, repr=False)
class GraphTopology(Stored):
    """A graph with its chain of coarser graphs; made by `graph`.

    The operators are part of it and are saved with a model: another version of the
    coarsening, or another of the many optimal P, would not fit trained weights.

    Attributes:
        edges: Of each graph, finest first, `(i, j, weight)` with i < j.
        operators: P between neighbours in the chain.
    """

    edges: tuple[tuple[tuple[int, int, float], ...], ...]
    operators: tuple[Prolongation, ...]
    size: int

    def __post_init__(self):
        operators = tuple(each("operators", self.operators, "prolongations"))
        edges = tuple(each("edges", self.edges, "graphs"))
        for i, graph in enumerate(edges):
            instance(f"edges[{i}]", graph, tuple, "a tuple of edges")
        settle(
            self,
            edges=edges,
            operators=operators and fitting(operators, "operators"),
            size=node_count("size", self.size),
        )
        sizes = {P.shape[0] for P in operators[:1]} | {self.size}
        if len(edges) != len(operators) + 1 or len(sizes) > 1:
            raise ValueError(
                "A `GraphTopology` needs the edges of one graph more than it has "
                "prolongations, the first of them to `size` nodes. Received: "
                f"{len(edges)} graphs, {operators} and size={self.size}"
            )

    def coarsen(self):
        """The first prolongation, and the rest of the chain."""
        P = self.operators[0]
        return P, GraphTopology(self.edges[1:], self.operators[1:], P.shape[1])

    def get_config(self):
        """Operators as `Stored` has them, and edges as lists."""
        edges = [[list(edge) for edge in graph] for graph in self.edges]
        return super().get_config() | {"size": self.size, "edges": edges}

    @classmethod
    def from_fields(cls, **values):
        """The same graphs and operators."""
        if "edges" in values:
            try:
                values["edges"] = tuple(
                    tuple((int(i), int(j), float(w)) for i, j, w in graph)
                    for graph in values["edges"]
                )
            except ValueError as error:
                raise TypeError(f"edges are (i, j, weight) ({error})") from error
        return super().from_fields(**values)

    def _others(self):
        return self.size, self.edges

    def __repr__(self):
        sizes = [self.size, *(P.shape[1] for P in self.operators)]
        return (
            f"GraphTopology({self.size} nodes, {len(self.edges[0])} edges; "
            f"sizes {'-'.join(map(str, sizes))})"
        )


def graph(
    graph: Any,
    *,
    prolongation: str = "aggregation",
    s: float = 1.0,
    lineage: Sequence[Any] | None = None,
    cache: str | os.PathLike | None = None,
) -> GraphTopology:
    """Use any connected graph as a topology, one node for each unit of a space.

    Aggregates hold two nodes or a few, and equal weights for all level-0 nodes that a
    coarse node stands for, so that every composite keeps constants, as training on
    coarsened data needs. An optimal P is dense and does not.

    Args:
        graph: A networkx graph (nodes in its own order), or a symmetric sparse matrix.
        prolongation: "aggregation"; or "optimal", the minimiser of E(P) in (3.3)
            between neighbours in the chain.
        s: For "optimal": 0 is fully diffuse, 1 fully local.
        lineage: For "optimal": the coarser graphs, finest first, in the place of
            quotient graphs.
        cache: Folder for optimal P; by default that of the environment variable
            `MSANN_KERAS_CACHE`, else the platform's cache folder.

    Raises:
        ImportError: pyamg is missing.
        ValueError: What `graphs.adjacency` refuses, an unknown prolongation, a lineage
            without "optimal" or that does not shrink, or a graph too large for a dense
            matrix.

    Example:

    >>> import networkx as nx
    >>> graph(nx.random_geometric_graph(40, 0.4, seed=1)).max_depth >= 4
    True
    >>> graph(nx.path_graph(8), prolongation="optimal", lineage=[nx.path_graph(4)])
    GraphTopology(8 nodes, 7 edges; sizes 8-4)
    """
    one_of("prolongation", prolongation, ("aggregation", "optimal"))
    s = number("s", s, least=0, most=1)
    folder = cache_folder(cache) if prolongation == "optimal" or cache else None
    fine = adjacency(graph)
    if prolongation == "optimal":
        _check_dense(fine.shape[0])
    if lineage is None:
        graphs, operators = _aggregated(fine)
    elif prolongation == "aggregation":
        raise ValueError(
            "`lineage` needs prolongation='optimal': graphs alone do not say which "
            "nodes belong together. Received: prolongation='aggregation'"
        )
    else:
        graphs = [fine, *_lineage(lineage)]
        _check_shrinks(graphs)
    if prolongation == "optimal":
        operators = [
            _optimal(coarse, fine, s, folder) for fine, coarse in pairwise(graphs)
        ]
    edges = tuple(map(_edges, graphs))
    return GraphTopology(edges, tuple(operators), graphs[0].shape[0])


def is_graph(value: Any) -> bool:
    """Whether `graph` can read it: a networkx graph or a sparse matrix."""
    return sparse.issparse(value) or (
        hasattr(value, "nodes") and hasattr(value, "adjacency")
    )


def aggregates(A: sparse.csr_array) -> np.ndarray:
    """Labels of pairs of strongly connected nodes, none of them alone.

    Pairs are pyamg's; what it leaves alone joins its strongest neighbour's aggregate,
    so that a connected graph at least halves.

    Args:
        A: Adjacency matrix `(n, n)` of a connected graph.

    Returns:
        Integer array `(n,)`.
    """
    A = adjacency(A, "A")
    try:
        from pyamg.aggregation.aggregate import pairwise_aggregation
    except ModuleNotFoundError as error:
        raise ImportError(
            "Coarsening a graph needs pyamg: pip install 'msann-keras[prolongation]'"
        ) from error
    laplacian = sparse.csr_matrix(sparse.diags_array(A.sum(axis=1)) - A)
    members, _ = pairwise_aggregation(laplacian, matchings=1)
    labels = np.asarray(members.argmax(axis=1)).ravel()
    sizes = np.bincount(labels)
    for node in np.flatnonzero(sizes[labels] == 1):
        if sizes[labels[node]] == 1:  # nobody has joined it meanwhile
            row = slice(A.indptr[node], A.indptr[node + 1])
            strongest = A.indices[row][np.argmax(A.data[row])]
            sizes[labels[node]] -= 1
            labels[node] = labels[strongest]
            sizes[labels[node]] += 1
    return np.unique(labels, return_inverse=True)[1]


def _aggregated(A):
    """Graphs down to one node, and the aggregations between them."""
    graphs, operators, mass = [A], [], np.ones(A.shape[0])
    while graphs[-1].shape[0] > 1:
        labels = aggregates(graphs[-1])
        totals = np.bincount(labels, mass)
        operators.append(Aggregation(labels, np.sqrt(mass / totals[labels])))
        graphs.append(_quotient(graphs[-1], labels))
        mass = totals
    return graphs, operators


def _quotient(A, labels):
    """The graph of the aggregates: weights between two of them add up."""
    n = len(labels)
    members = sparse.csr_array((np.ones(n), (np.arange(n), labels)))
    quotient = sparse.csr_array(members.T @ A @ members)
    quotient.setdiag(0)
    quotient.eliminate_zeros()
    return quotient


def _optimal(coarse, fine, s, folder):
    """The optimal P between two graphs, kept on disk."""
    key = digest("optimal prolongation 1", *map(_edges, (coarse, fine)), float(s))
    shape = fine.shape[0], coarse.shape[0]

    def valid(P):
        return P.shape == shape and np.allclose(P.T @ P, np.eye(shape[1]), atol=1e-9)

    def compute():
        return optimal_prolongation(coarse, fine, s=s).P

    return Matrix(cached(key, compute, valid, folder))


def _edges(A):
    upper = sparse.triu(A, k=1).tocoo()
    order = np.lexsort((upper.col, upper.row))
    return tuple(
        zip(
            upper.row[order].tolist(),
            upper.col[order].tolist(),
            upper.data[order].tolist(),
            strict=True,
        )
    )


def _lineage(lineage):
    if isinstance(lineage, nx.Graph) or not (
        graphs := [*each("lineage", lineage, "graphs")]
    ):
        refuse("lineage", lineage, "a sequence of one graph or more")
    return [adjacency(graph, f"lineage[{i}]") for i, graph in enumerate(graphs)]


def _check_shrinks(graphs):
    sizes = [A.shape[0] for A in graphs]
    if any(coarse >= fine for fine, coarse in pairwise(sizes)):
        raise ValueError(
            "`lineage` must hold smaller and smaller graphs, each smaller than "
            f"`graph`. Received: sizes {sizes}"
        )


def _check_dense(size):
    if size > OPTIMAL_LIMIT:
        raise ValueError(
            f"An optimal prolongation is dense: at most {OPTIMAL_LIMIT:,} nodes. "
            f"Received: {size:,} nodes, whose matrices take "
            f"{8 * size**2 / 2**30:,.2f} GiB each; use prolongation='aggregation'"
        )
