"""What a run may spend: a schedule cut into stages."""

import pytest

import msann_keras as ms
from experiments.budget import stages
from msann.cost import cost

CYCLES = [
    ms.schedules.gamma_cycle(3, 2, 2),
    ms.schedules.gamma_cycle(2, 3, 1, "script"),
    ms.schedules.gamma_cycle(0, smoothing_steps=4),
    ms.schedules.full_multigrid(2),
    ms.schedules.plain(),
    ms.schedules.simultaneous(),
]


@pytest.mark.parametrize("schedule", CYCLES, ids=str)
@pytest.mark.parametrize("every", [1.0, 100.0, 1e6])
def test_stages_follow_the_schedule_end_at_level_0_and_keep_to_the_budget(
    schedule, every
):
    parameters, batch, budget = [1000, 250, 60, 15], 8, 5000.0
    plan = list(stages(schedule, parameters, batch, budget, every))
    visits = [visit for stage in plan for visit in stage]
    batches = sum(visit.steps for visit in visits)
    assert ms.schedules.merged(visits) == schedule.take(0, batches)
    assert all(stage[-1].level in (0, ms.EVERY_LEVEL) for stage in plan)
    costs = [cost(stage, parameters, batch) for stage in plan]
    assert (
        sum(costs)
        <= budget
        < sum(costs)
        + cost(schedule.take(batches, schedule.batches_per_cycle), parameters, batch)
    )
    assert all(stage_cost >= every for stage_cost in costs[:-1])


def test_a_budget_without_a_single_stage_is_refused():
    v_cycle = ms.schedules.gamma_cycle(1, smoothing_steps=10)
    with pytest.raises(ValueError, match="`budget` must allow.*budget=5"):
        list(stages(v_cycle, [10, 5], batch_size=1, budget=5, every=1))
