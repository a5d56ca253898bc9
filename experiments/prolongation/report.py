"""docs/prolongation.md: what was computed, table by table, and how to compute it."""

from __future__ import annotations

import time
from pathlib import Path

from experiments.prolongation import comparisons, methods, scans

PAGE = Path("docs/prolongation.md")

HEAD = """# Prolongations: what was computed

Made by `make prolongation-report`, in {seconds:.0f} seconds. E is (3.3) with alpha = 1;
b is beta, r = n1/n2, n1 and n2 the numbers of nodes. A *certified* value is a global
optimum over all P with P^T P = I.

Pictures (`make figure1 figure2 figure3` draws them into `figures/`): [products of
graphs](figure1.png), [optimal P as s grows](figure2.png), families between
[cycles](figure3-cycles.png) and [grids](figure3-grids.png).
"""

DIFFERENCES = """## Where the computed facts differ from the text

- **5.1, "only upper bounds".** For s = 0 and for s = 1 the cheapest matching of scaled
  spectra *is* the global optimum over the Stiefel manifold: E is linear in the squared
  entries of U2^T P U1, and the vertices of that polytope are matchings. No other
  orthogonal P does better at the same alpha.
- **3.3.2, beta = n1/n2.** It is where the pair matrix is stationary at s = 1, not where
  E is least. On paths and cycles the best beta tends to (n1/n2)^2 (table 4). With
  both terms, alpha = 1 is best beside beta = n1/n2, as the paper found, but together
  they are not: on the path 8 to 16 at s = 1/2 another pair of them is some 800 times
  better (table 4b).
- **3.3.2, joint minimisation over P, alpha and beta.** Where T2 has a null space of
  n1 dimensions or more (grids and tori to twice the sides, even cycles with
  n2 >= 2 n1 + 2) E goes to 0 as beta grows (table 5): bound beta. On grids the optimum
  at (n1/n2)^2 is above that at n1/n2 (table 1).
- **3.3.3, pairs as best local optima.** The pair matrix is a saddle for paths, with
  1, 7, 31 and 127 negative Hessian eigenvalues for n = 2, 4, 8, 16 (s = 1, b = 1/2; all
  four are tested, `tests/test_prolongation_facts.py`), and on cycles at b = 1/2 all
  stride-2 shift-invariant P tie with it (table 1 and `make figure3`).
- **3.3.1, the matching start.** That it beats others was not seen. On paths and grids
  most starts end at one E (table 2b), and on two of three paths a matching of both
  terms' costs at once is one or two steps from it (`joint`); on random graphs no single
  start is best, and `auto`, from several, still misses the lowest E that is known now
  and then (table 3).
  U2 M U1^T is often an exact saddle, where a method may stop.
- **Figure 2.** Minimisers are never unique (signs, and rotations within eigenspaces),
  so optimised P differ from run to run, and look like noise; compare E. Our pictures
  show, of the P with the same E, one that is near to `box` (at s = 0 to `fold` or
  `cover`). For 0 < s < 1 little but signs is free, and optima on grids at b = 1/4 are
  as spread out as they look.
- **5.2, corollary.** The bound holds but can be far off: where spectra of the products
  match although those of the factors do not, the optimum is 0 (table 6).
- **Slips in print.** The third line of the box product's Laplacian has - where + is
  meant; if D1 = 0 the product's distance is sqrt(n1) D2, not D2; the corollary prints
  D(G1^(1), G1^(1)) for D(G1^(1), G1^(2)); P maps to the larger graph.
"""


def write(folder: Path) -> Path:
    """Compute every table and write the page."""
    began = time.perf_counter()
    methods.draw(folder / "prolongation-methods.png")
    sections = [
        comparisons.families(), comparisons.methods(), comparisons.begins(),
        comparisons.contest(), scans.scales(), scans.joint(), scans.degenerate(),
        scans.products(), DIFFERENCES,
    ]  # fmt: skip
    seconds = time.perf_counter() - began
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text("\n".join([HEAD.format(seconds=seconds), *sections]))
    return PAGE
