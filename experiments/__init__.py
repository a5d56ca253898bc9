"""The experiments of the paper: data, configs, runs, sweeps, tables and figures."""
