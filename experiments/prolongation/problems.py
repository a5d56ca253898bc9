"""The pairs of graphs that methods and starts are compared on."""

from __future__ import annotations

from collections.abc import Iterator

import networkx as nx

from msann.graphs import grid_graph


def half(problem: str) -> list | None:
    """The problem of half the sides, where it is one."""
    kind, *sizes = problem.replace("→", "").split()
    if kind in ("path", "cycle") and int(sizes[0]) >= 4:
        return [grid_graph(int(x) // 2, periodic=kind == "cycle") for x in sizes]
    if sizes[0] == "4x4":
        return [grid_graph(2, 2), grid_graph(4, 4)]
    return None


def problems() -> Iterator[tuple[str, list]]:
    """Name, and coarse and fine graph, of each."""
    for n in (4, 8, 16):
        yield f"path {n} → {2 * n}", [grid_graph(n), grid_graph(2 * n)]
    yield "cycle 8 → 16", [grid_graph(x, periodic=True) for x in (8, 16)]
    for n in (3, 4):
        yield f"grid {n}x{n} → {2 * n}x{2 * n}", [grid_graph(x, x) for x in (n, 2 * n)]
    yield "random 8 → 16", [random_graph(x, seed=x) for x in (8, 16)]


def random_graph(n: int, seed: int) -> nx.Graph:
    """A connected Erdos-Renyi graph: the first one from this seed on."""
    while True:
        graph = nx.gnp_random_graph(n, 0.5, seed=seed)
        if nx.is_connected(graph):
            return graph
        seed += 1000
