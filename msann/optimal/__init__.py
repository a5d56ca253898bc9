"""The prolongation that is optimal for the graph objective, (3.3)."""
