"""Which gamma, L and k? A search for the least seconds to a tenth of the first error.

    python -m experiments.search configs/table1_one_object.yaml [--trials 40]

The paper leaves this open (section 6). A sampler of Optuna (TPE) proposes the way of
training, gamma, L, k, its growth and the learning rate; level 0 alone is among the
proposals, as L = 0. The best proposals are then run on every seed of the config.
Every trial leaves a run file; the study itself is kept, so that a search goes on.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

import optuna
from matplotlib import ticker
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from experiments.config import Config, ConfigError, load_config
from experiments.figures import save
from experiments.jobs import Job
from experiments.runfiles import RunFile
from experiments.runs import find_run, save_run
from experiments.schemes import Scheme
from experiments.tables import across
from experiments.tasks import load_task
from experiments.training import Trainer
from msann.checks import integer, number
from msann.cost import NOT_REACHED

#: Proposals that are run on every seed.
FINALISTS = 3


def propose(trial: optuna.Trial) -> Scheme:
    """A way to train, from the sampler."""
    depth = trial.suggest_int("L", 0, 6)
    values = {
        "depth": depth,
        "optimizer": trial.suggest_categorical("optimizer", ["adam", "tf1_rmsprop"]),
        "learning_rate": trial.suggest_float("rate", 5e-4, 3e-2, log=True),
        "until": 0.1,
    }
    if depth:
        values["gamma"] = trial.suggest_int("gamma", 1, 3)
        values["smoothing_steps"] = 2 ** trial.suggest_int("log2 k", 0, 5)
        values["coarsen_data"] = trial.suggest_categorical("coarsened", [True, False])
        if values["coarsen_data"] and values["gamma"] == 1:
            values["growth"] = trial.suggest_categorical("growth", [1.0, 1.5, 2.0])
    return Scheme(label=f"trial {trial.number}", **values)


class Runner:
    """Makes runs one after another, so that their seconds can be compared.

    Args:
        config: The experiment; its budget is replaced by seconds.
        seconds: After which a run ends.
        folder: Of run files.
        command: What makes these runs, for their files.
    """

    def __init__(self, config: Config, seconds: float, folder: Path, command: str):
        self.config = config.model_copy(
            update={
                "budget": seconds,
                "budget_unit": "seconds",
                "evaluate_at": "visit",
                "evaluate_every": 1000.0,
            }
        )
        self.folder, self.command = folder, command
        self.task = load_task(config.task)
        self.trainers: dict[tuple, Trainer] = {}

    def __call__(self, scheme: Scheme, seed: int) -> RunFile:
        """The run, found or made."""
        job = Job(self.config, scheme, seed)
        if found := find_run(self.folder, job.settings):
            return found
        if job.program not in self.trainers:
            self.trainers[job.program] = Trainer(self.config, scheme, seed, self.task)
        run = self.trainers[job.program].run(self.config, scheme, seed)
        return save_run(self.folder, job.settings, run, self.task.source, self.command)


def search(runner: Runner, trials: int, storage: str) -> list[Scheme]:
    """The best proposals, best first, after so many trials in all."""
    config = runner.config
    study = optuna.create_study(
        study_name=f"search {config.title} {config.way} {config.budget:g}",
        storage=storage,
        load_if_exists=True,
    )
    # A sampler draws from the beginning again when a search goes on.
    seed = config.seeds[0] + len(study.trials)
    study.sampler = optuna.samplers.TPESampler(seed=seed)

    def objective(trial):
        scheme = propose(trial)
        seconds = runner(scheme, config.seeds[0]).reached("seconds")
        trial.set_user_attr("scheme", scheme.model_dump(mode="json"))
        # A sampler wants numbers; any that is worse than the limit will do.
        return seconds if seconds < NOT_REACHED else 2 * config.budget

    done = len(study.get_trials(states=(optuna.trial.TrialState.COMPLETE,)))
    study.optimize(objective, max(0, trials - done))
    ended = study.get_trials(states=(optuna.trial.TrialState.COMPLETE,))
    return [
        Scheme.model_validate(trial.user_attrs["scheme"])
        for trial in sorted(ended, key=lambda trial: trial.value)
    ]


def in_words(scheme: Scheme) -> str:
    """A scheme's settings in a few words.

    >>> in_words(Scheme(label="x", depth=4, smoothing_steps=2, growth=2,
    ...                  coarsen_data=True, optimizer="adam", learning_rate=8e-3))
    'coarsened, gamma 1, L 4, k 2 x 2^l, adam 0.008'
    """
    rate = f"{scheme.optimizer} {scheme.learning_rate:.2g}"
    if not scheme.depth:
        return f"level 0 only, {rate}"
    way = "coarsened" if scheme.coarsen_data else "fine gradient"
    growth = f" x {scheme.growth:g}^l" if scheme.growth > 1 else ""
    return (
        f"{way}, gamma {scheme.gamma}, L {scheme.depth}, "
        f"k {scheme.smoothing_steps}{growth}, {rate}"
    )


def kind(scheme: Scheme) -> str:
    """Level 0 only, the fine gradient or coarsened data."""
    return in_words(scheme).split(",")[0]


def table(config: Config, finalists: list[tuple[Scheme, list[RunFile]]]) -> Table:
    """What the best proposals of each kind took on every seed."""
    out = Table(title=f"{config.title}: seconds to a tenth", title_justify="left")
    out.add_column("way to train", no_wrap=True)
    for name in ("seconds", "C(t)", "evaluations"):
        out.add_column(name, justify="right")
    for scheme, runs in finalists:
        out.add_row(
            in_words(scheme),
            across([run.reached("seconds") for run in runs], ".2f"),
            across([run.reached("cost") for run in runs], ".2e"),
            across([run.reached("evaluations") for run in runs], ".2e"),
        )
    return out


def picture(config: Config, runs: list[tuple[Scheme, RunFile]]) -> Figure:
    """Seconds against C(t), both to a tenth, of every trial that reached it."""
    figure = Figure(figsize=(6, 4.6), layout="constrained")
    axis = figure.subplots()
    markers = {
        "level 0 only": {"marker": "s", "color": "0.0", "facecolors": "none"},
        "fine gradient": {"marker": "x", "color": "0.45"},
        "coarsened": {"marker": "o", "color": "tab:blue"},
    }
    for name, style in markers.items():
        points = [
            (run.reached("cost"), run.reached("seconds"), scheme.depth)
            for scheme, run in runs
            if kind(scheme) == name and math.isfinite(run.reached("cost"))
        ]
        if not points:
            continue
        axis.scatter(
            [cost for cost, _, _ in points],
            [seconds for _, seconds, _ in points],
            s=28,
            label=name,
            **style,
        )
        for *place, depth in points:
            axis.annotate(f" {depth}", place, fontsize=7, color="0.3", va="center")
    axis.set(
        title=f"{config.title}: to a tenth of the first MSE",
        xlabel="C(t)",
        ylabel="seconds of training",
        xscale="log",
        yscale="log",
    )
    for line in (axis.xaxis, axis.yaxis):
        line.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        line.set_major_formatter(ticker.FuncFormatter(lambda x, _: f"{x:,.7g}"))
        line.set_minor_formatter(ticker.NullFormatter())
    axis.grid(which="major", color="0.9", linewidth=0.6)
    if axis.collections:
        axis.legend(title="numbers: L", fontsize=8, title_fontsize=8)
    return figure


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.search", description=__doc__.splitlines()[0]
    )
    parser.add_argument("config", type=Path, help="YAML file: task and network")
    parser.add_argument("--way", default="ours", help="which of the config's ways")
    parser.add_argument("--trials", type=int, default=40, help="in all, with old ones")
    parser.add_argument("--seconds", type=float, default=8.0, help="limit of a run")
    parser.add_argument("--runs", type=Path, default=Path("runs/search"))
    parser.add_argument("--figure", type=Path, default=Path("figures/search.png"))
    options = parser.parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else 150)
    command = f"python -m experiments.search configs/{options.config.name} --way "
    command += f"{options.way} --trials {options.trials} --seconds {options.seconds:g}"
    try:
        integer("trials", options.trials, least=1)
        number("seconds", options.seconds, above=0)
    except ValueError as error:
        parser.error(str(error))
    try:
        config = load_config(options.config, options.way)
        options.runs.mkdir(parents=True, exist_ok=True)
        runner = Runner(config, options.seconds, options.runs, command)
    except ConfigError as error:
        console.print(str(error), style="red", markup=False)
        return 2
    ranked = search(runner, options.trials, f"sqlite:///{options.runs / 'search.db'}")
    best = ranked[:FINALISTS]
    for name in ("coarsened", "fine gradient", "level 0 only"):
        best += [x for x in ranked if kind(x) == name and x not in best][:1]
    finalists = [
        (scheme, [runner(scheme, seed) for seed in config.seeds]) for scheme in best
    ]
    console.print(table(config, finalists))
    every = [(scheme, runner(scheme, config.seeds[0])) for scheme in ranked]
    console.print(f"figure: {save(picture(config, every), options.figure)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
