"""What the settings of a run are called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from experiments.schemes import OPTIMIZER_NAMES


class Labels(NamedTuple):
    """What a run is, in a reader's words and as values to choose by.

    Attributes:
        task: "one_object", "two_objects" or "mnist".
        task_title: With the variant and the size.
        kind: "default", "start" (the default from the multilevel start), "cycle",
            "nested" or "simultaneous".
        topology: Of multilevel runs, else "".
        way: The way of training, with the topology.
        gamma, depth, steps: gamma, L and k; 0 where they do not apply.
        growth: Factor of k a level.
        coarsened: Whether the data were coarsened.
        variant: "paper" or "script"; "" for runs without cycles.
        visit: Whether it is evaluated after any visit, not only at level 0.
        optimizer: With its learning rate.
        budget: With its unit.
        ends: Whether runs end when they reach a tenth, so that they have no final MSE.
        other: What else distinguishes runs.
        title: All but the task, for a row or a legend.
    """

    task: str
    task_title: str
    kind: str
    topology: str
    way: str
    gamma: int
    depth: int
    steps: int
    growth: float
    coarsened: bool
    variant: str
    visit: bool
    optimizer: str
    budget: str
    ends: bool
    other: str
    title: str

    @property
    def shape(self) -> str:
        """(gamma, L, k), as in the tables."""
        if self.kind not in ("cycle", "nested"):
            return f"L {self.depth}" if self.depth else ""
        grows = "" if self.growth == 1 else f" × {self.growth:g}^l"
        return f"({self.gamma}, {self.depth}, {self.steps}{grows})"


TASKS = {
    "one_object": "One object",
    "two_objects": "Two objects",
    "mnist": "MNIST",
}
TOPOLOGIES = {"random_orthogonal": "random orthogonal"}
UNITS = {"cost": "C(t)", "evaluations": "gradient evaluations", "seconds": "seconds"}
#: What a run spends until it has reached an error, as axes and sentences call it.
MEASURES = {
    "cost": "cost C(t)",
    "evaluations": "gradient evaluations",
    "seconds": "seconds of training",
}
#: Settings that have a label of their own; the rest is told as it is.
NAMED = {
    *("task", "task_variant", "n", "image_size", "topology", "schedule", "variant"),
    *("coarsen_data", "depth", "gamma", "smoothing_steps", "growth", "optimizer"),
    *("learning_rate", "budget", "budget_unit", "seed", "start_depth", "until"),
    "evaluate_at",
}
#: What most runs have, told only where it differs.
USUAL = {
    "batch_size": [128],
    "hidden": [[256, 128, 256]],
    "source": ["bundled"],
    "samples": [20_000],
    "validation": [1000, 2000],
    "data_seed": [2019],
}
#: Only how often a run is looked at.
UNTOLD = {"evaluate_every"}


def described(settings: Mapping[str, Any]) -> Labels:
    """Name the settings of a run file, of this version or an older one.

    Example:

    >>> labels = described({"depth": 4, "gamma": 3, "smoothing_steps": 8, "seed": 1,
    ...     "topology": "grid", "variant": "paper", "image_size": 32,
    ...     "optimizer": "tf1_rmsprop", "learning_rate": 5e-4, "budget": 256000.0})
    >>> labels.task_title, labels.title
    ('MNIST, 32 × 32', 'grid (3, 4, 8), RMSProp 0.0005')
    >>> described({"depth": 0, "seed": 1, "task": "one_object", "n": 1024,
    ...     "task_variant": "script", "optimizer": "adam", "learning_rate": 4e-3}).title
    'default, Adam 0.004'
    """
    get = settings.get
    task = get("task", "mnist")
    depth = get("depth", 0)
    schedule = get("schedule", "cycle")
    coarsened = bool(get("coarsen_data", False))
    kind = schedule if depth else "default"
    if get("start_depth"):
        kind = "start"
    topology = get("topology", "") if depth or kind == "start" else ""
    variant = get("variant", "paper") if kind == "cycle" and not coarsened else ""
    name = OPTIMIZER_NAMES.get(get("optimizer"), str(get("optimizer", "optimizer?")))
    rate = get("learning_rate")
    optimizer = f"{name} {rate:g}" if isinstance(rate, float | int) else name
    visit = get("evaluate_at") == "visit"
    way = _way(kind, TOPOLOGIES.get(topology, topology), coarsened, variant)
    way += ", any visit" if visit else ""
    cycles = kind in ("cycle", "nested")
    labels = Labels(
        task=task,
        task_title=_task_title(task, settings),
        kind=kind,
        topology=topology,
        way=way,
        gamma=get("gamma", 1) if cycles else 0,
        depth=depth,
        steps=get("smoothing_steps", 1) if cycles else 0,
        growth=get("growth", 1) if cycles else 1,
        coarsened=coarsened,
        variant=variant,
        visit=visit,
        optimizer=optimizer,
        budget=budget(get("budget"), get("budget_unit", "cost")),
        ends="until" in settings,
        other=_other(settings),
        title="",
    )
    shape = f" {labels.shape}" if labels.shape else ""
    other = f", {labels.other}" if labels.other else ""
    other += ", to 1/10 only" if labels.ends else ""
    return labels._replace(title=f"{way}{shape}, {optimizer}{other}")


def budget(amount: float | None, unit: str) -> str:
    """What a run may spend, with its unit; "" where the file does not say.

    >>> budget(256000.0, "cost")
    '256,000 C(t)'
    """
    if not isinstance(amount, float | int):
        return ""
    return f"{amount:,.0f} {UNITS.get(unit, unit)}"


def _way(kind, topology, coarsened, variant):
    if kind == "default":
        return "default"
    if kind == "start":
        return f"default from the multilevel start ({topology or 'path'})"
    if kind == "simultaneous":
        return f"{topology}, all levels at once"
    words = [topology]
    words += ["nested"] * (kind == "nested") + ["coarsened data"] * coarsened
    words += ["script's cycle"] * (variant == "script")
    return ", ".join(words)


def _task_title(task, settings):
    title = TASKS.get(task, str(task))
    if task == "mnist":
        side = settings.get("image_size", 32)
        return f"{title}, {side} × {side}"
    return f"{title} ({settings.get('task_variant', 'paper')}), n = {settings.get('n')}"


def _other(settings):
    rest = {
        key: value
        for key, value in settings.items()
        if key not in NAMED | UNTOLD and value not in USUAL.get(key, [])
    }
    return ", ".join(f"{key} {told(value)}" for key, value in sorted(rest.items()))


def told(value: Any) -> str:
    """A setting's value as text.

    >>> told([256, 128]), told(256000.0), told({"source": "idx", "folder": None})
    ('256-128', '256000', 'source idx')
    """
    if isinstance(value, Mapping):
        return " ".join(f"{k} {told(v)}" for k, v in value.items() if v is not None)
    if isinstance(value, list):
        return "-".join(map(told, value))
    return f"{value:.10g}" if isinstance(value, float) else str(value)
