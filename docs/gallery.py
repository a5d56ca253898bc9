"""Make docs/gallery.md: each script of the gallery is run, and shown as it came out.

    python docs/gallery.py

It writes the page and docs/gallery/NAME.png.
"""

import ast
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
#: In the order of the page: from a first contact to the paper's method.
SCRIPTS = (
    *("pde_surrogate", "denoising", "own_graph", "unet", "classifier"),
    *("saved_weights", "sweep", "cycles"),
)
#: Bytes of a picture, at most.
LARGEST = 60_000
HEAD = """# Gallery

Eight scripts, each complete and under 60 lines, what they print and the picture that
they write. Seconds are those of one run on two cores. `make gallery` makes this page
anew; the extras `tensorflow`, `experiments` and `prolongation` have all that they need.
[examples/first_run.ipynb](../examples/first_run.ipynb) goes through a first warm start
step by step.
"""


def section(name: str) -> str:
    """Run a script; its part of the page, with its picture put beside."""
    file = ROOT / "examples" / f"{name}.py"
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run(
            [sys.executable, file],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        picture = (Path(folder) / "figures" / f"{name}.png").read_bytes()
    if len(picture) > LARGEST:
        raise ValueError(f"{name}.png has {len(picture):,} bytes; at most {LARGEST:,}")
    (ROOT / "docs" / "gallery" / f"{name}.png").write_bytes(picture)
    title, text, _ = ast.get_docstring(ast.parse(file.read_text())).split("\n\n")
    return f"""
## {title.rstrip(".")}

{text}

![{title}](gallery/{name}.png)

```text
{run.stdout.rstrip()}
```

[examples/{name}.py](../examples/{name}.py)
"""


if __name__ == "__main__":
    (ROOT / "docs" / "gallery").mkdir(exist_ok=True)
    page = HEAD + "".join(map(section, SCRIPTS))
    (ROOT / "docs" / "gallery.md").write_text(page)
