"""The runs that configs ask for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from experiments.config import Config
from experiments.runs import file_name, settings
from experiments.schemes import Scheme


@dataclass(frozen=True)
class Job:
    """One run to make."""

    config: Config
    scheme: Scheme
    seed: int

    @cached_property
    def settings(self) -> dict:
        """All that determines the result."""
        return settings(self.config, self.scheme, self.seed)

    @cached_property
    def name(self) -> str:
        """Of its run file."""
        return file_name(self.settings)

    @property
    def program(self) -> tuple:
        """What jobs must share to run in one compiled program."""
        config, scheme = self.config, self.scheme
        space = config.topology_of(scheme) if scheme.depth else ""
        drawn = space in ("shuffled", "random_orthogonal")
        return (
            config.task.model_dump_json(),
            config.hidden,
            config.batch_size,
            scheme.depth,
            scheme.optimizer,
            scheme.coarsen_data,
            scheme.schedule == "simultaneous",
            scheme.warm_start,
            space,
            (config.variant, self.seed) if drawn else (),
        )

    @property
    def work(self) -> float:
        """About how long it takes, in relation to other jobs of the sweep."""
        scheme, budget = self.scheme, self.config.budget
        if self.config.budget_unit != "cost" or scheme.coarsen_data:
            return budget
        # With the fine gradient every batch takes about as long, and a cycle costs
        # about (3/4) gamma^l batches at level l, each a quarter of the last.
        batches = sum(scheme.gamma**level for level in range(scheme.depth + 1))
        charged = sum((scheme.gamma / 4) ** level for level in range(scheme.depth + 1))
        return budget * batches / charged

    def __str__(self):
        config, scheme = self.config, self.scheme
        space = f"{config.topology_of(scheme)}, " if scheme.depth else ""
        return f"{scheme.label} ({space}seed {self.seed})"


def jobs(configs: Sequence[Config]) -> list[Job]:
    """Every run that the configs ask for, the longest first; what they share, once.

    Those that share a compiled program follow one another.
    """
    every = {
        job.name: job
        for config in configs
        for scheme in config.schemes
        for seed in config.seeds
        for job in [Job(config, scheme, seed)]
    }
    longest: dict[tuple, float] = {}
    for job in every.values():
        longest[job.program] = max(longest.get(job.program, 0.0), job.work)
    return sorted(
        every.values(),
        key=lambda job: (-longest[job.program], str(job.program), -job.work),
    )
