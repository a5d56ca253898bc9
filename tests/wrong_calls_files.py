"""Damaged files: saved models and weights, and configs of experiments."""

from __future__ import annotations

import json
import tempfile
import zipfile
from functools import cache
from pathlib import Path

import keras
import yaml
from wrong_calls import INF, NAN, Calls
from wrong_calls_fits import X, converted, plain, state, trained

import msann_keras as ms
from experiments.config import load_config


@cache
def folder() -> Path:
    """A folder that ends with the process."""
    folder.keeper = tempfile.TemporaryDirectory()
    return Path(folder.keeper.name)


def contents():
    """What lies in the folder, byte by byte."""
    return {x.name: x.read_bytes() for x in sorted(folder().iterdir()) if x.is_file()}


# --------------------------------------------------------------------- saved models


def _edited(change):
    """A saved model whose config is changed."""

    def damage(path):
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        config = json.loads(members["config.json"])
        layer = config["config"]["layers"][1]["config"]
        change(layer)
        members["config.json"] = json.dumps(config).encode()
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)

    return damage


def _set(key, value):
    return _edited(lambda layer: layer.update({key: value}))


#: What is done to a saved model, and the word that tells what is wrong with it.
DAMAGES = {
    "depth -1": (_set("depth", -1), "depth"),
    "depth 9": (_set("depth", 9), "depth"),
    "depth 1.5": (_set("depth", 1.5), "depth"),
    "depth none": (_set("depth", None), "depth"),
    "depth text": (_set("depth", "1"), "depth"),
    "depth NaN": (_set("depth", NAN), "depth"),
    "depth list": (_set("depth", [1]), "depth"),
    "units 0": (_set("units", 0), "units"),
    "units text": (_set("units", "4"), "units"),
    "units none": (_set("units", None), "units"),
    "units list": (_set("units", [4]), "units"),
    "use_bias": (_set("use_bias", "no"), "use_bias"),
    "activation": (_set("activation", "no such"), "no such"),
    "initializer": (_set("kernel_initializer", "no such"), "no such"),
    "topology's kind": (_set("output_topology", {"kind": "No"}), "kind"),
    "topology's size": (_set("output_topology", {"kind": "Path", "size": 3}), "nodes"),
    "topology's type": (_set("output_topology", {"kind": "Path", "size": "4"}), "size"),
    "topology a number": (_set("output_topology", 3), "output_topology"),
    "topology a list": (_set("output_topology", [3]), "output_topology"),
    "topology no operators": (
        _set("output_topology", {"kind": "Given", "operators": []}),
        "operators",
    ),
    "unknown key": (_edited(lambda layer: layer.update(unheard=3)), "unheard"),
    "empty": (lambda path: path.write_bytes(b""), "filepath"),
    "text": (lambda path: path.write_text("not a model"), "filepath"),
    "gone": (lambda path: path.unlink(), "filepath"),
    "cut": (lambda path: path.write_bytes(path.read_bytes()[:1000]), "filepath"),
}


def _load(damage):
    path = folder() / "model.keras"
    path.write_bytes(_saved())
    DAMAGES[damage][0](path)
    try:
        return keras.saving.load_model(path)
    finally:
        path.write_bytes(_saved())


@cache
def _saved():
    path = folder() / "model.keras"
    trained().save(path)
    return path.read_bytes()


def _others():
    """Weights of other models, and files that hold none."""
    wide = keras.Sequential(
        [keras.Input((8,)), keras.layers.Dense(6), keras.layers.Dense(8)]
    )
    ms.multilevel(wide, 1).save_weights(folder() / "wide.weights.h5")
    ms.multilevel(plain(), 2).save_weights(folder() / "deep.weights.h5")
    plain().save_weights(folder() / "plain.weights.h5")
    whole = (folder() / "wide.weights.h5").read_bytes()
    (folder() / "cut.weights.h5").write_bytes(whole[: len(whole) // 2])
    (folder() / "empty.weights.h5").write_bytes(b"")
    (folder() / "text.weights.h5").write_text("no weights")
    names = ("wide", "deep", "plain", "cut", "empty", "text", "gone")
    return [folder() / f"{name}.weights.h5" for name in names]


def _models():
    _saved()
    for damage, (_, word) in DAMAGES.items():
        calls = Calls(
            _load, damage=[damage], watch=contents, also=(word, "model.keras")
        )
        yield "load_model", calls
    model = trained()
    words = ("shape", "shapes", "variables")
    weights = Calls(model.load_weights, filepath=_others(), watch=state, also=words)
    yield "load_weights", weights
    arrays = model.get_weights()
    lists = [[], arrays[:-1], [*arrays, X], [x.T for x in arrays], [X] * len(arrays)]
    words = ("shape", "weights", "shapes")
    yield (
        "set_weights",
        Calls(model.set_weights, weights=lists, watch=state, also=words),
    )
    places = [folder() / "no" / "model.keras", folder() / "model.txt", folder()]

    def save(filepath):
        converted().save(filepath)

    yield "save", Calls(save, filepath=places, watch=contents)


# -------------------------------------------------------------------------- configs

SCHEME = {"label": "V", "depth": 2, "smoothing_steps": 2}
CONFIG = {
    "title": "A title",
    "claim": "A claim.",
    "command": "make it",
    "minutes": 1,
    "task": {"name": "one_object", "variant": "paper", "n": 64, "seed": 1},
    "hidden": [16],
    "topology": "path",
    "budget": 100,
    "evaluate_every": 10,
    "seeds": [1],
    "schemes": [SCHEME, {"label": "default"}],
    "quick": {"budget": 10, "evaluate_every": 5},
}
TEXTS = (3, None, [], {}, True, 1.5)
COUNTS = (0, -1, 1.5, "three", None, NAN, INF, [3], {}, "", True, False, -INF)
NATURALS = COUNTS[1:]
POSITIVES = (0, -1, "much", None, NAN, INF, -INF, [3], {}, "", True, False)
NAMES = ("no such", "", 3, None, [], {}, True, NAN, ["path"], 1.5)
FLAGS = ("maybe", "", 2, -1, None, [], {}, 0.5, NAN)
WRONG = {
    **dict.fromkeys(("title", "claim", "command"), TEXTS),
    **dict.fromkeys(("minutes", "budget", "evaluate_every"), POSITIVES),
    **dict.fromkeys(("topology", "variant", "budget_unit", "evaluate_at"), NAMES),
    **dict.fromkeys(
        ("batch_size", "task.n", "task.samples", "task.validation"), COUNTS
    ),
    "hidden": ([], [0], [-3], [1.5], "ab", [True], 3, [None], [[3]], {}, None, [NAN]),
    "seeds": ([], [-1], [True], [1.5], 3, "ab", [None], None, {}, [NAN], ["a"], [INF]),
    "published": (3, {"no": {}}, {"best": 3}, {"best": {"final_mse": -1}}, "ab"),
    "task": (3, None, [], {}, {"name": "no"}, "mnist", {"name": "mnist", "sead": 1}),
    "task.seed": NATURALS,
    "task.variant": NAMES,
    "task.unheard": (3,),
    "schemes": (
        [],
        3,
        None,
        [{}],
        [3],
        "ab",
        [SCHEME, SCHEME],
        {},
        [SCHEME | {"k": 3}],
    ),
    "schemes.0.label": TEXTS,
    "schemes.0.depth": (*NATURALS, 100, 10**9),
    "schemes.0.gamma": (*COUNTS, 10**9),
    "schemes.0.smoothing_steps": COUNTS,
    "schemes.0.growth": (0.5, *POSITIVES),
    "schemes.0.schedule": NAMES,
    "schemes.0.topology": tuple(x for x in NAMES if x is not None),
    "schemes.0.coarsen_data": FLAGS,
    "schemes.0.committed": FLAGS,
    "schemes.0.optimizer": NAMES,
    "schemes.0.learning_rate": POSITIVES,
    "schemes.0.until": (0, 1, 2, -1, "half", NAN, INF, [0.5], True),
    "schemes.1.start_depth": (*NATURALS, 100, 10**9),
    "grid": (
        3,
        "ab",
        [3],
        {"gamma": [0]},
        {"depth": [-1]},
        {"depth": [100]},
        {"k": [1]},
    ),
    "quick": (3, None, [], {}, {"budget": -1, "evaluate_every": 1}),
    "quick.budget": POSITIVES,
    "quick.evaluate_every": POSITIVES,
    "quick.smoothing_steps": COUNTS,
    "quick.samples": COUNTS,
    "ways": (3, [3], "ab", {"a": 3}, {"a": None}, {"a": {"task": 3}}, {"a": {"no": 3}}),
    "unheard": (3,),
}
MNIST = {"name": "mnist", "seed": 1}
#: More than the 5,000 bundled digits, and no image.
WRONG_MNIST = {
    "task.validation": (*(x for x in COUNTS if x is not None), 10**9, 5000),
    "task.image_size": (*COUNTS, 10**9),
    "task.source": NAMES,
    "task.seed": NATURALS,
    "task.folder": (3, [], True),
}


def _read(config):
    path = folder() / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return load_config(path)


def _with(config, key, value):
    """The config with `value` at a dotted key."""
    head, _, rest = key.partition(".")
    head = int(head) if head.isdigit() else head
    new = list(config) if isinstance(config, list) else dict(config)
    if rest:
        old = config[head] if isinstance(config, list) else config.get(head, {})
        value = _with(old, rest, value)
    new[head] = value
    return new


def _configs():
    mnist = CONFIG | {"task": MNIST, "topology": "grid"}
    for config, wrong in ((CONFIG, WRONG), (mnist, WRONG_MNIST)):
        for key, values in wrong.items():

            def read(config=config, **changed):
                ((key, value),) = changed.items()
                return _read(_with(config, key, value))

            also = (*key.split("."), "config")
            yield "config", Calls(read, **{key: values}, also=also)
    paths = {
        "latin": b"title: \xff\xfe",
        "zero": b"\0\0",
        "nothing": b"",
        "tab": b"\t: a",
    }
    paths |= {"list": b"- 1", "number": b"3", "open": b"a: [", "twice": b"a: 1\na: 2"}
    for name, content in paths.items():
        (folder() / f"{name}.yaml").write_bytes(content)
    (folder() / "a_folder.yaml").mkdir(exist_ok=True)
    files = [folder() / f"{name}.yaml" for name in (*paths, "a_folder", "gone")]
    also = ("config", *(path.name for path in files))
    others = [None, 3, 1.5, object(), [], {}, True, b"x", "", "\0"]
    yield "config", Calls(load_config, path=[*files, *others], also=also)
    (folder() / "good.yaml").write_text(yaml.safe_dump(CONFIG | {"ways": {"a": {}}}))
    ways = ["no such", 3, [], ["a"], {}, True, object(), NAN]
    good = {"path": folder() / "good.yaml"}
    yield "config", Calls(load_config, good, way=ways)


def file_calls():
    """Name and calls of each kind of file, in order."""
    yield from _models()
    yield from _configs()
