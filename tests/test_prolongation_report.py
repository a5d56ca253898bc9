"""Figures and tables of section 3: sharp pictures, methods that agree, small tables."""

import matplotlib.pyplot as plt
import networkx as nx
import numpy as np
import pytest

from experiments.prolongation import __main__ as command
from experiments.prolongation import figures, methods, scans
from experiments.prolongation.methods import curve
from experiments.prolongation.nearest import nearest
from experiments.prolongation.sheet import Panel, draw
from msann.graphs import grid_graph
from msann.optimal.objective import Objective
from msann.optimal.search import optimal_prolongation
from msann.optimal.starts import start
from msann.prolongation.closed_forms import closed_form


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


def ink(file):
    """Size of a picture and the share of its pixels that are not white."""
    grey = plt.imread(file)[..., :3].mean(axis=-1)
    return min(grey.shape), (grey < 0.9).mean()


def test_pictures_are_made(tmp_path):
    for file in (figures.figure1(tmp_path), *figures.figure3(tmp_path, largest=4)):
        size, inked = ink(file)
        assert size > 300
        assert 0.01 < inked < 0.5


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("method", "seconds"), [("trust region", 1.0), ("wen-yin", 1.0), ("slsqp", 60.0)]
)
def test_curves_fall_to_the_best_known(method, seconds):
    pair = nx.path_graph(4), nx.path_graph(8)
    times, values = curve(pair, method, seconds=seconds)
    assert len(times) == len(values) > 5
    assert (np.diff(times) >= 0).all()
    assert (np.diff(values) <= 0).all()
    assert values[-1] == pytest.approx(35.4051216973, rel=1e-4)
    E = Objective(*pair, s=0.5)
    assert values[0] == pytest.approx(E(start("random", E)))


def test_curves_are_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(methods, "PROBLEMS", {"a": ((3,), (6,)), "b": ((4,), (7,))})
    methods.draw(tmp_path / "curves.png", seconds=0.05)
    size, inked = ink(tmp_path / "curves.png")
    assert size > 400
    assert 0.01 < inked < 0.5


@pytest.mark.thorough
def test_the_joint_scan_is_lowest_elsewhere_than_in_the_paper():
    """alpha = 1 is best beside the paper's beta = 1/2, but both together are not."""
    head, _, *rows = (
        x.split("|")[1:-1] for x in scans.joint().splitlines() if x.startswith("|")
    )
    value = {
        (row[0].strip(), name.strip()): float(cell.strip(" *"))
        for row in rows
        for name, cell in zip(head[1:], row[1:], strict=True)
    }
    alphas = [row[0].strip() for row in rows]
    assert min(alphas, key=lambda alpha: value[alpha, "b=0.5"]) == "1"
    alpha, beta = min(value, key=value.get)
    assert beta == "b=0.25"
    assert alphas[0] < alpha < alphas[-1]
    assert value[alpha, beta] < value["1", "b=0.5"] / 500


def test_the_bound_of_section_5_holds():
    table = scans.products(pairs=40)
    assert "| violations of D <= sqrt(n2) D1 + sqrt(n1) D2 | 0 |" in table
    error = float(table.split("relative error | ")[1].split(" ")[0])
    assert error < 1e-12


def test_the_corollary_can_be_far_off():
    table = scans.products(pairs=1)
    assert "optimum (certified) | 0 |" in table
    assert "the bound of Corollary 5.2 | 4.8989795 |" in table
    assert "bound of Theorem 5.1 | 5.6568542 |" in table


def test_the_best_beta_is_the_squared_ratio():
    row = next(x for x in scans.scales().splitlines() if x.startswith("| path 16"))
    _, _, half, quarter, best, there, alpha, _ = (x.strip() for x in row.split("|"))
    assert float(best) == pytest.approx(1 / 4, rel=0.2)
    assert float(there) <= float(quarter) < float(half) / 1000
    assert float(alpha) == 1


def test_unknown_tasks_are_refused(capsys):
    with pytest.raises(SystemExit):
        command.main(["figure9"])
    assert "figure1" in capsys.readouterr().err


# ---------------------------------------------------------------- which optimum to draw


@pytest.mark.parametrize("s", [0, 0.5, 1])
@pytest.mark.parametrize("shape", [(2, 3), (4, 4), (5,)])
def test_the_nearest_optimum_has_the_same_value(s, shape):
    fine = tuple(2 * n for n in shape)
    E = Objective(grid_graph(*shape), grid_graph(*fine), s=s)
    box = closed_form("box", shape, fine).matrix()
    found = optimal_prolongation(E.coarse, E.fine, s=s)
    P = nearest(E, found.P, box)
    np.testing.assert_allclose(P.T @ P, np.eye(P.shape[1]), atol=1e-10)
    assert E(P) == pytest.approx(found.value, rel=1e-9, abs=1e-9)
    assert np.vdot(P, box) >= np.vdot(found.P, box) - 1e-9
    if s in (0, 1) and len(shape) == 2:  # eigenvalues repeat
        assert np.vdot(P, box) > np.vdot(found.P, box) + 0.1


def test_a_reference_that_is_optimal_is_found():
    """On a ring at s = 0 the cover is a global optimum, of many."""
    graphs = [grid_graph(n, periodic=True) for n in (8, 16)]
    E, cover = Objective(*graphs, s=0), closed_form("cover", 8, 16, periodic=True)
    found = optimal_prolongation(*graphs, s=0)
    np.testing.assert_allclose(
        nearest(E, found.P, cover.matrix()), cover.matrix(), atol=1e-9
    )
