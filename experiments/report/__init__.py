"""The report: one page from committed run files, without training."""
