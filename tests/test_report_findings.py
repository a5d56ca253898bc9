"""The report: orderings over seeds, sentences, and the clock."""

import json
import math

import pytest
from run_files import cycle, groups_of, rows_of, run_file, settings, sweep

from experiments.report import numbers
from experiments.report.clock import comparisons
from experiments.report.clock_picture import clock_picture
from experiments.report.findings import claim, findings
from experiments.report.orderings import orderings
from experiments.report.tables import tables

# ------------------------------------------------------------------ orderings


def test_orderings_count_pairs_and_seeds():
    """36 settings: 5 x 3 x 2 neighbours in depth, 2 x 6 x 2 in gamma."""
    found = {x.claim: x for x in orderings(groups_of(sweep()))}
    deeper = found["deeper is lower (path, 30 pairs of neighbours)"]
    higher = found["higher γ is lower (path, 24 pairs of neighbours)"]
    assert deeper.verdict == higher.verdict == "holds"
    # Each level multiplies the error by .93^gamma, each gamma by .93^L.
    assert deeper.result.ratio == pytest.approx(0.93**2)
    assert higher.result.ratio == pytest.approx(0.93**3.5)
    assert found["path (3, 6, 4) below the default"].result.smaller == 3


def test_orderings_name_the_budget():
    """The same claim at two budgets is told twice, each with its C(t)."""
    contents = [
        run_file(values | {"budget": budget}, final=final)
        for budget in (1.02e6, 2e4)
        for values, final in (
            (settings(), 4e-3),
            (cycle(2), 3e-3),
            (cycle(2, topology="grid"), 2e-3),
            (cycle(3), 2e-3),
        )
    ]
    where = {}
    for x in orderings(groups_of(contents)):
        where.setdefault(x.claim, []).append(x.where.partition(", RMSProp 0.0005, ")[2])
    assert len(where) == 3
    assert all(x == ["1,020,000 C(t)", "20,000 C(t)"] for x in where.values())


def test_choice_of_p_and_all_levels_at_once():
    contents = []
    for seed, wobble in ((1, 1.0), (2, 1.1), (3, 0.95)):
        for p, error in (("grid", 1e-2), ("path", 2e-2), ("shuffled", 1e-2 * wobble)):
            values = cycle(3, 6, 1, task="mnist", topology=p, seed=seed)
            contents.append(run_file(values, final=error * wobble))
        values = settings("mnist", seed, depth=6, topology="grid")
        values |= {"schedule": "simultaneous"}
        contents.append(run_file(values, final=4e-2 * wobble))
        contents.append(run_file(settings("mnist", seed), final=4e-2))
    verdicts = {x.claim: x.verdict for x in orderings(groups_of(contents))}
    assert verdicts["grid below path at (3, 6, 1)"] == "holds"
    assert verdicts["path below shuffled at (3, 6, 1)"] == "reversed"
    assert verdicts["grid below shuffled at (3, 6, 1)"] == "undecided"
    assert (
        verdicts["grid, all levels at once, L 6, on par with the default"]
        == "no difference found"
    )


# ------------------------------------------------------------------ sentences


@pytest.mark.parametrize(("tuned", "loses"), [(1e-3, True), (9e-3, False)])
def test_who_wins_is_computed(tuned, loses):
    contents = [
        run_file(settings(), final=4e-3),
        run_file(settings(learning_rate=8e-3), final=tuned),
        run_file(cycle(), final=3e-3),
    ]
    found = findings(tables(groups_of(contents)), {})
    sentence = next(x for x in found.wins + found.loses if "tuned rate" in x)
    assert (sentence in found.loses) == loses
    assert ("RMSProp 0.008" in sentence) == loses
    assert any("3.000e-3" in x for x in found.wins)


def test_seconds_at_equal_cost():
    contents = [run_file(settings()), run_file(cycle(), pace=3e-3, final=3e-3)]
    found = findings(tables(groups_of(contents)), {})
    assert any("takes 30.0 times the seconds" in x for x in found.limits)


def test_seconds_at_equal_cost_are_of_the_same_optimizer():
    adam = settings(optimizer="adam")
    contents = [run_file(adam, pace=1e-5), run_file(settings())]
    contents.append(run_file(cycle(), pace=3e-3, final=3e-3))
    found = findings(tables(groups_of(contents)), {})
    (sentence,) = [x for x in found.limits if "times the seconds" in x]
    assert "30.0 times the seconds of default, RMSProp 0.0005" in sentence


@pytest.mark.parametrize("whole", [False, True])
def test_a_run_that_ended_on_purpose_has_not_lost(whole):
    """It has no final MSE to compare, and its seeds end at C(t) of their own."""
    short = [
        run_file(cycle(3, 6, 16, seed=seed, until=0.1), final=2e-2, budget=budget)
        for seed, budget in ((618, 5e3), (2357, 2e4))
    ]
    contents = [run_file(settings()), run_file(settings(learning_rate=8e-3)), *short]
    contents += [run_file(cycle(), final=4e-3)] * whole
    found = findings(tables(groups_of(contents)), {})
    assert not any(numbers.DIVERGED in x for x in found.wins + found.loses)
    tuned = [x for x in found.wins + found.loses if "tuned rate" in x]
    assert ["path (3, 4, 4) 4.000e-3" in x for x in tuned] == [True] * whole
    assert not any("shared machine" in x for x in found.limits)


def test_a_default_that_ended_on_purpose_has_not_lost():
    contents = [run_file(settings(until=0.1)), run_file(cycle())]
    found = findings(tables(groups_of(contents)), {})
    assert not found.wins


def test_the_claim_has_the_papers_factors():
    """1.266e5 / 7.342e3 and 2.216e5 / 2.433e4."""
    assert "17.2 (Table 1)" in claim()
    assert "9.1 (Table 2)" in claim()


def clock_rows(**seconds):
    return {
        "clock/mnist.json": {
            "provenance": {},
            "rows": [
                {
                    "task": "mnist",
                    "target": 0.02,
                    "scheme": scheme,
                    "trial": {"optimizer": "Adam", "rate": 0.01, "schedule": ""},
                    "seconds": values,
                    "compile_seconds": 1.0 if scheme == "level0" else 4.0,
                }
                for scheme, values in seconds.items()
            ],
        }
    }


def test_the_clock_by_hand():
    rows = clock_rows(level0=[2.0, 6.0, 4.0], start=[1.0] * 3, cycles=[0.5, 0.25, 9.0])
    (line,) = comparisons(rows)["MNIST, grid"]
    assert line.median("level0") == 4
    assert line.gain("level0") == 8
    assert line.gain_compiled("level0") == pytest.approx(5 / 4.5)
    assert line.median("fit") == math.inf
    assert math.isnan(line.gain("fit"))


def test_files_of_the_clock_from_before_are_read():
    """When training at level 0 only was called plain."""
    now = clock_rows(level0=[2.0], cycles=[1.0])
    then = json.loads(json.dumps(now).replace("level0", "plain"))
    assert then != now
    (line,) = comparisons(then)["MNIST, grid"]
    assert line.median("level0") == 2
    assert line.gain("level0") == 2


def test_the_clock_names_losses():
    rows = clock_rows(level0=[1.0], start=[1.0], cycles=[3.0])
    found = findings([], comparisons(rows))
    assert "the cycles take 3.00, level 0 only 1.00" in found.loses[0]
    assert not found.wins


def test_a_clock_that_nothing_reaches_is_drawn():
    """Four marks at the right edge, where nothing was reached."""
    rows = clock_rows(level0=[math.inf], cycles=[math.inf])
    (panel,) = clock_picture(comparisons(rows)).panels
    made = panel.to_dict()
    drawn = rows_of(made)
    assert [x["what"] for x in drawn] == ["not reached"] * 4
    assert made["layer"][-1]["encoding"]["x"] == {"value": "width"}


def test_the_clocks_marks_are_seeds_and_medians():
    rows = clock_rows(level0=[2.0, 6.0, 4.0], start=[1.0], cycles=[0.5])
    (panel,) = clock_picture(comparisons(rows)).panels
    drawn = rows_of(panel.to_dict())
    seconds = {}
    for x in drawn:
        seconds.setdefault((x["scheme"], x["what"]), []).append(x.get("x"))
    assert seconds["level 0 only", "seed"] == [2.0, 6.0, 4.0]
    assert seconds["level 0 only", "median"] == [4.0]
    assert seconds["keras.Model.fit", "not reached"] == [None]
