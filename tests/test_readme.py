"""The first example of README does what it says."""

import re
from pathlib import Path

import keras
import pytest

README = Path(__file__).parents[1] / "README.md"


@pytest.mark.thorough
def test_the_first_example_runs(capsys):
    code = re.search(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.S)[
        1
    ]
    keras.utils.set_random_seed(1)
    names = {}
    exec(code, names)
    shown = capsys.readouterr().out
    assert "lost of x" in shown
    assert "L = " in shown
    assert "The model has what its coarse networks learned" in shown
    assert names["model"].evaluate(names["x"], names["y"], verbose=0) < 0.01


def test_it_is_short_and_its_links_lead_somewhere():
    text = README.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    links = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    assert len(links) > 10
    assert not [link for link in links if not (README.parent / link).exists()]
