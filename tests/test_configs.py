"""Configs of experiments: those of the repository, ways, and refusals by key."""

import math

import pytest
import yaml
from config_files import PATH, ROOT, changed

from experiments import published
from experiments.budget import stages
from experiments.config import ConfigError, load_config

CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))


def ways(path):
    return list(yaml.safe_load(path.read_text()).get("ways", [])) or [None]


@pytest.mark.quick(3)
@pytest.mark.parametrize(
    ("path", "way"), [(path, way) for path in CONFIGS for way in ways(path)],
    ids=lambda value: getattr(value, "stem", value),
)  # fmt: skip
def test_every_config_is_valid_and_names_a_command_that_exists(path, way):
    config = load_config(path, way)
    target = config.command.removeprefix("make ")
    assert f"\n{target}: " in (ROOT / "Makefile").read_text()
    assert path.name in (ROOT / "Makefile").read_text()
    assert config.way == (way or "")
    # Every scheme fits into its budgets; this is found out before anything trains.
    for each in (config, config.quickly()):
        for scheme in each.schemes:
            parameters = [4 ** (10 - level) for level in range(7)]
            visits = scheme.visits(each.variant)
            next(stages(visits, parameters, each.batch_size, each.budget, 1.0))


def test_ways_replace_keys_and_their_tasks_are_merged(tmp_path):
    path = changed(
        tmp_path,
        **{
            "ways": {
                "a": {"variant": "script"},
                "b": {"task": {"validation": 5}, "budget": 7e5},
            }
        },
    )
    first, a, b = (load_config(path, way) for way in (None, "a", "b"))
    assert first == a and (a.way, a.variant, a.budget) == ("a", "script", 256000)
    assert (b.way, b.variant, b.budget) == ("b", "paper", 7e5)
    assert (b.task.validation, b.task.seed) == (5, 2019)
    with pytest.raises(ConfigError, match="config.yaml has: a, b. Received: way='c'"):
        load_config(path, "c")


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("table1_one_object", "Table 1"),
        ("table2_two_objects", "Table 2"),
        ("table3_mnist_path", "Table 3, path"),
        ("table3_mnist_grid", "Table 3, grid"),
    ],
)
def test_configs_of_tables_name_the_published_one(name, table):
    config = load_config(ROOT / f"configs/{name}.yaml")
    assert config.published == (table,)
    assert config.budget == published.TABLES[table].budget


@pytest.mark.quick(1)
@pytest.mark.parametrize("name", ["table1_one_object", "table2_two_objects"])
@pytest.mark.parametrize(
    ("way", "optimizer"), [("paper", "adam"), ("script", "tf1_rmsprop")]
)
def test_the_grid_has_the_optimizer_of_its_way(name, way, optimizer):
    swept = load_config(ROOT / f"configs/{name}.yaml", way).swept()
    assert {scheme.optimizer for scheme in swept.schemes} == {optimizer}


def test_the_grid_is_the_papers():
    config = load_config(ROOT / "configs/table1_one_object.yaml").swept()
    cycles = {(x.gamma, x.depth, x.smoothing_steps) for x in config.schemes}
    # L = 0 once, and 3 gamma x 6 L x 8 k
    assert len(config.schemes) == len(cycles) == 1 + 3 * 6 * 8
    assert (3, 6, 128) in cycles and (1, 1, 1) in cycles
    with pytest.raises(ConfigError, match="Figure 7.*has no `grid`"):
        load_config(ROOT / "configs/figure7_choice_of_p.yaml").swept()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gamma": 3}, r"gamma: Extra inputs are not permitted. Received: 3"),
        ({"budget": None}, "budget: Field required"),
        ({"budget": -1}, r"budget: Input should be greater than 0. Received: -1"),
        ({"topology": "torus"}, "topology: Input should be 'path', 'grid'.*'torus'"),
        ({"variant": "text"}, "variant: Input should be 'paper' or 'script'.*'text'"),
        (
            {"budget": math.inf},
            "budget: Input should be a finite.* Received: inf",
        ),
        ({"minutes": math.nan}, "minutes: Input should be a finite.* Received: nan"),
        ({"budget": True}, "budget: .*number, not true or false. Received: True"),
        ({"seeds": [True]}, "seeds.0: Input should be a valid integer. Received: True"),
        ({"seeds": [2**32]}, "seeds.0: Input should be less than 4294967296"),
        ({"batch_size": 8.0}, "batch_size: Input should be a valid integer"),
        ({"hidden": []}, "hidden: Tuple should have at least 1 item"),
        (
            {"schemes": [{"label": "a", "depth": 100}]},
            r"schemes.0.depth must be at most \d+ for a layer of \d+ units with "
            "`topology: path`. Received: depth=100$",
        ),
        (
            {"schemes": [{"label": "a", "start_depth": 100}]},
            "schemes.0.start_depth must be at most .* Received: start_depth=100$",
        ),
        (
            {"grid": {"gamma": [1], "depth": [100]}},
            "grid.depth must be .* Received: depth=100$",
        ),
        ({"grid": {"gamma": [9], "depth": [30]}}, "grid: .*at most 1,000,000 visits"),
        (
            {"schemes": [{"label": "a", "depth": 1, "coarsen_data": "no"}]},
            "schemes.0.coarsen_data: Input should be a valid boolean. Received: 'no'",
        ),
        (
            {"task": {"name": "mnist", "seed": 1, "validation": 10**9}},
            "task.mnist: .*`validation` must be at most 4,999 with `source: bundled`. "
            "Received: validation=1000000000$",
        ),
        (
            {"task": {"name": "one_object", "variant": "paper", "seed": 1, "n": 12}},
            "task.one_object.n: Input should be a multiple of 8. Received: 12",
        ),
        (
            {
                "task": {
                    "name": "one_object",
                    "variant": "paper",
                    "seed": 1,
                    "validation": 10**9,
                }
            },
            "`samples` and `validation`.*must be at most 1,000,000,000 numbers",
        ),
        ({"seeds": []}, "seeds: Tuple should have at least 1 item"),
        (
            {"task": {"name": "mnist", "source": "web", "seed": 1}},
            "task.mnist.source.*Received: 'web'",
        ),
        ({"task": {"name": "cifar", "seed": 1}}, "task: Input tag 'cifar'"),
        (
            {"schemes": [{"label": "a", "depth": 2, "start_depth": 1}]},
            "schemes.0: .*`start_depth` is for `depth: 0`",
        ),
        (
            {"schemes": [{"label": "a", "coarsen_data": True}]},
            "`coarsen_data` needs `depth` >= 1",
        ),
        (
            {"schemes": [{"label": "a", "depth": 1, "warm_start": "auto"}]},
            "schemes.0: .*`warm_start` is for `depth: 0` without `start_depth`",
        ),
        (
            {"schemes": [{"label": "a", "start_depth": 1, "warm_start": 1}]},
            "schemes.0: .*`warm_start` is for `depth: 0` without `start_depth`",
        ),
        (
            {"schemes": [{"label": "a", "warm_start": True}]},
            "schemes.0.warm_start.*Input should be .* Received: True",
        ),
        (
            {"schemes": [{"label": "a", "warm_start": 100}]},
            "schemes.0.warm_start must be at most .* Received: warm_start=100$",
        ),
        (
            {"schemes": [{"label": "a", "part": "best"}]},
            "schemes.0.part: Input should be 'paper', 'tuned' or 'ours'",
        ),
        ({"alone": 1}, "alone: Input should be a valid boolean. Received: 1"),
        (
            {"schemes": [{"label": "a", "schedule": "nested"}]},
            "`schedule: nested` needs `depth` >= 1",
        ),
        (
            {
                "schemes": [
                    {
                        "label": "a",
                        "depth": 1,
                        "schedule": "simultaneous",
                        "coarsen_data": True,
                    }
                ]
            },
            "`schedule: simultaneous` needs the fine gradient",
        ),
        (
            {"schemes": [{"label": "a", "depth": 2, "gamma": 0}]},
            r"schemes.0.gamma: Input should be greater than or equal to 1. Received: 0",
        ),
        (
            {"schemes": [{"label": "a"}, {"label": "a", "depth": 1}]},
            r"labels of schemes must differ. Received: \['a', 'a'\]",
        ),
        (
            {"schemes": [{"label": "a", "depth": 30, "gamma": 9}]},
            "at most 1,000,000 visits.* Received: gamma=9 and depth=30",
        ),
        (
            {"published": ["Table 4"]},
            r"published.0: Input should be 'Table 1', .* Received: 'Table 4'",
        ),
    ],
)
def test_bad_configs_are_refused_by_key(tmp_path, changes, message):
    with pytest.raises(ConfigError, match=message):
        load_config(changed(tmp_path, **changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ways": ["a"]}, r"  ways: Should be a mapping.*Received: \['a'\]"),
        ({"ways": {"a": None}}, r"  ways.a: Should be a mapping.*Received: None"),
        ({"ways": {"a": {"task": None}}}, "  ways.a.task: Should be.*Received: None"),
        ({"ways": {"a": {}}, "task": "mnist"}, "  task: Should be.*Received: 'mnist'"),
    ],
)
def test_bad_ways_are_refused_by_key(tmp_path, changes, message):
    with pytest.raises(ConfigError, match=message):
        load_config(changed(tmp_path, **changes))


def test_unreadable_configs_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"readable YAML file.*none.yaml.*No such"):
        load_config(tmp_path / "none.yaml")
    bad = tmp_path / "bad.yaml"
    for text in ("a: [", "\t: a", "a: 2001-99-99", "[" * 10**4):
        bad.write_text(text)
        with pytest.raises(ConfigError, match="bad.yaml is not YAML"):
            load_config(bad)
    bad.write_bytes(b"title: \xff")
    with pytest.raises(ConfigError, match="bad.yaml.*not UTF-8: invalid.* at byte 7"):
        load_config(bad)


def test_other_seeds_change_nothing_else():
    config = load_config(PATH)
    other = config.with_seeds([7, 8])
    assert other.seeds == (7, 8)
    assert other.with_seeds(config.seeds) == config
