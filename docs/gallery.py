"""Make docs/gallery.md: each script of the gallery is run, and shown as it came out.

    python docs/gallery.py

It writes the page and docs/gallery/NAME.png, and runs the notebook in its place.
"""

import ast
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

ROOT = Path(__file__).parents[1]
#: In the order of the page: from a first contact to the paper's method.
SCRIPTS = (
    *("pde_surrogate", "denoising", "own_graph", "unet", "classifier"),
    *("saved_weights", "sweep", "cycles"),
)
#: Colours of a picture on the page, which keep it below 60 kB.
COLOURS = 256
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
        with Image.open(Path(folder) / "figures" / f"{name}.png") as picture:
            few = picture.convert("RGB").quantize(COLOURS)
    few.save(ROOT / "docs" / "gallery" / f"{name}.png", optimize=True)
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


def run_notebook(file: Path) -> None:
    """Run a notebook, and keep what it shows, without what its libraries log."""
    notebook = nbformat.read(file, as_version=4)
    where = {"metadata": {"path": str(ROOT)}}
    NotebookClient(notebook, resources=where, record_timing=False).execute()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [x for x in cell.outputs if x.get("name") != "stderr"]
    nbformat.write(notebook, file)


if __name__ == "__main__":
    run_notebook(ROOT / "examples" / "first_run.ipynb")
    (ROOT / "docs" / "gallery").mkdir(exist_ok=True)
    page = HEAD + "".join(map(section, SCRIPTS))
    (ROOT / "docs" / "gallery.md").write_text(page)
