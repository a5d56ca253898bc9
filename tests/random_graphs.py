"""Random connected graphs for tests."""

import networkx as nx


def random_graph(n, seed):
    """A random tree and some edges more."""
    graph = nx.random_labeled_tree(n, seed=seed)
    extra = nx.gnp_random_graph(n, 0.3, seed=seed)
    return nx.compose(graph, extra)
