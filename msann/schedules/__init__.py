"""Which level trains when: multigrid schedules as plain values."""

from msann.schedules.cycles import (
    Growing,
    Steps,
    f_cycle,
    full_multigrid,
    gamma_cycle,
    plain,
    sawtooth,
    simultaneous,
)
from msann.schedules.schedule import (
    EVERY_LEVEL,
    MAX_STEPS,
    MAX_VISITS,
    Schedule,
    State,
    Visit,
    merged,
)

__all__ = [
    "EVERY_LEVEL",
    "MAX_STEPS",
    "MAX_VISITS",
    "Growing",
    "Schedule",
    "State",
    "Steps",
    "Visit",
    "f_cycle",
    "full_multigrid",
    "gamma_cycle",
    "merged",
    "plain",
    "sawtooth",
    "simultaneous",
]
