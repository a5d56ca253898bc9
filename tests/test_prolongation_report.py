"""Figures and tables of section 3: sharp pictures, methods that agree, small tables."""

import matplotlib.pyplot as plt
import networkx as nx
import numpy as np
import pytest

from experiments.prolongation import __main__ as command
from experiments.prolongation import figures, report
from experiments.prolongation.methods import METHODS, starts
from experiments.prolongation.sheet import Panel, draw
from msann_keras.prolongation.objective import Objective


def test_entries_are_whole_pixels_of_one_grey(tmp_path):
    rng = np.random.default_rng(0)
    P = rng.uniform(-1, 1, size=(8, 4))
    draw([[Panel(P, "a caption")]], tmp_path / "sheet.png", "title", height=80)
    picture = plt.imread(tmp_path / "sheet.png")[..., 0]
    # Ten pixels an entry, from the first pixel after gap and title on; the frame may
    # cover the outermost pixel.
    top, left = 24 + 34, 24
    cells = picture[top : top + 80, left : left + 40].reshape(8, 10, 4, 10)
    inner = cells[:, 1:-1, :, 1:-1]
    assert np.ptp(inner, axis=(1, 3)).max() == 0
    # A colour map and a PNG have 256 steps each, so a grey is off by two at most.
    np.testing.assert_allclose(inner[:, 0, :, 0], 1 - np.abs(P), atol=2 / 256)


def test_pictures_are_made(tmp_path):
    assert figures.figure1(tmp_path).stat().st_size > 1000
    for file in figures.figure3(tmp_path):
        assert min(plt.imread(file).shape[:2]) > 500


@pytest.mark.parametrize("name", METHODS)
def test_every_method_reaches_the_best_known(name):
    E = Objective(nx.path_graph(4), nx.path_graph(8), s=0.5)
    P = METHODS[name](E, starts(E)["random"], 5.0)
    np.testing.assert_allclose(P.T @ P, np.eye(4), atol=1e-9)
    assert E(P) == pytest.approx(35.4051216973, rel=1e-6)


def test_starts_are_orthonormal():
    E = Objective(nx.star_graph(4), nx.path_graph(7), s=0.5)
    for P in starts(E).values():
        np.testing.assert_allclose(P.T @ P, np.eye(5), atol=1e-12)


def test_the_bound_of_section_5_holds():
    table = report.products(pairs=40)
    assert "| violations of D <= sqrt(n2) D1 + sqrt(n1) D2 | 0 |" in table
    error = float(table.split("relative error | ")[1].split(" ")[0])
    assert error < 1e-12


def test_the_corollary_can_be_far_off():
    table = report.products(pairs=1)
    assert "optimum (certified) | 0 |" in table
    assert "the bound of Corollary 5.2 | 4.8989795 |" in table
    assert "bound of Theorem 5.1 | 5.6568542 |" in table


def test_the_best_beta_is_the_squared_ratio():
    row = next(x for x in report.scales().splitlines() if x.startswith("| path 16"))
    _, _, half, quarter, best, there, alpha, _ = (x.strip() for x in row.split("|"))
    assert float(best) == pytest.approx(1 / 4, rel=0.2)
    assert float(there) <= float(quarter) < float(half) / 1000
    assert float(alpha) == 1


def test_unknown_tasks_are_refused(capsys):
    with pytest.raises(SystemExit):
        command.main(["figure9"])
    assert "figure1" in capsys.readouterr().err
