"""The page in a browser: choices, addresses, keys, and a narrow window."""

import html
import json
import re
import shutil
import subprocess

import pytest
from run_files import cycle, run_file, settings, sweep, write

from experiments.report.page import build, pictures
from experiments.report.records import read

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
    None,
)
pytestmark = pytest.mark.skipif(
    BROWSER is None, reason="needs Chromium (Debian: apt-get install chromium)"
)

#: What the tests ask the page, and what they may call.
TOOLS = """
const all = (query) => [...document.querySelectorAll(query)];
const texts = (query) => all(query).map((x) => x.textContent.trim());
const choose = (field, value) => {
  const menu = document.getElementById("choices").elements[field];
  menu.value = value;
  menu.dispatchEvent(new Event("change", { bubbles: true }));
};
const go = (hash) => {
  history.replaceState(null, "", hash);
  dispatchEvent(new HashChangeEvent("hashchange"));
};
const press = (key) => document.getElementById("chart")
  .dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
const look = () => ({
  files: all("polyline").map((x) => x.dataset.file),
  legend: texts("#legend li"),
  said: texts("#said")[0],
  readout: texts("#readout")[0],
  address: location.hash,
  axis: texts("#chart svg text"),
  choices: Object.fromEntries(all("select").map((x) => [x.name, x.value])),
  width: document.documentElement.scrollWidth,
  window: innerWidth,
});
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Runs of all kinds, among them a label that would end a script."""
    folder = tmp_path_factory.mktemp("runs")
    contents = sweep(seeds=(618, 2357), gammas=(1, 3), ks=(4,))
    contents += [
        run_file(settings(optimizer="adam", learning_rate=8e-3), final=1e-3),
        run_file(cycle(task="mnist", topology="grid"), final=0.015),
        run_file(settings("mnist"), final=0.04),
        run_file(settings("</script><script>document.title = 'broken'</script>")),
    ]
    write(folder, contents)
    return folder


@pytest.fixture(scope="module")
def page(folder):
    found = read(folder)
    return build(found, pictures(found))


def ask(page, tmp_path, script, address="", width=1280):
    """Open the page in a frame of some width, run a script in it: its value.

    A window of Chromium has at least 500 pixels, a frame has as many as it is given.
    """
    probe = f"""<script>addEventListener("load", () => setTimeout(() => {{ {TOOLS}
      let value;
      try {{ value = (() => {{ {script} }})(); }}
      catch (error) {{ value = `${{error}}`; }}
      parent.postMessage(JSON.stringify(value), "*");
    }}, 100));</script></body>"""
    frame = f"""<iframe src="page.html{address}" width="{width}" height="900"></iframe>
      <pre id="out"></pre><script>addEventListener("message", (event) => {{
      document.getElementById("out").textContent = event.data; }});</script>"""
    inner, outer = tmp_path / "page.html", tmp_path / "frame.html"
    inner.write_text(page.replace("</body>", probe), encoding="utf-8")
    outer.write_text(f"<style>iframe {{ border: 0 }}</style>{frame}", encoding="utf-8")
    result = subprocess.run(
        [
            BROWSER,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={tmp_path / 'profile'}",
            "--window-size=1400,1000",
            "--virtual-time-budget=4000",
            "--dump-dom",
            outer.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    out = re.search(r'<pre id="out">(.+?)</pre>', result.stdout, re.DOTALL)
    assert out, result.stderr[-2000:]
    return json.loads(html.unescape(out[1]))


def test_it_opens_with_curves(page, tmp_path):
    seen = ask(page, tmp_path, "return { ...look(), title: document.title };")
    assert seen["files"]
    assert seen["said"] == ""
    assert seen["title"].startswith("Multilevel training")


def test_an_address_chooses(page, tmp_path):
    seen = ask(page, tmp_path, "return look();", "#task=mnist&gamma=3&axis=seconds")
    assert seen["choices"]["gamma"] == "3"
    assert seen["choices"]["task"].startswith("MNIST")
    assert "seconds of training" in seen["axis"]
    assert [x.partition(":")[0] for x in seen["legend"]] == [
        "default, RMSProp 0.0005",
        "grid (3, 4, 4), RMSProp 0.0005",
    ]


def test_choices_draw_and_keep_the_address(page, tmp_path):
    seen = ask(
        page,
        tmp_path,
        """
        choose("gamma", "3"); choose("L", "5");
        const one = look();
        go(one.address);
        return [one, look()];
        """,
        "#task=one_object",
    )
    legend = [x.partition(":")[0] for x in seen[0]["legend"]]
    # Both defaults beside the choice: at the paper's rate, and tuned.
    assert legend == [
        "default, RMSProp 0.0005",
        "default, Adam 0.008",
        "path (3, 5, 4), RMSProp 0.0005",
    ]
    assert len(seen[0]["files"]) == 2 + 1 + 2
    assert seen[1] == seen[0]


def test_an_empty_choice_is_said(page, tmp_path):
    seen = ask(
        page,
        tmp_path,
        """
        const empty = look();
        const buttons = texts("#said button");
        all("#said button")[0].click();
        return [empty, buttons, look()];
        """,
        "#task=one_object&gamma=2&L=5&k=4",
    )
    empty, buttons, after = seen
    assert empty["said"].startswith("Not run: task One object (script), n = 1024, γ 2")
    assert not empty["files"]
    assert len(buttons) == 3
    assert after["files"]
    assert after["said"] == ""


def test_too_many_fit(page, tmp_path):
    seen = ask(page, tmp_path, "return look();", "#task=one_object")
    assert "settings fit; the 8 with the least final MSE are drawn" in seen["said"]


def test_every_run_file_can_be_reached(folder, page, tmp_path):
    """By its address, and by choices alone."""
    names = list(read(folder).runs)
    script = """
        return NAMES.map((name) => {
          go("#run=" + encodeURIComponent(name));
          const one = look();
          choose("axis", "evaluations"); // no longer one file, but its setting
          const two = look();
          return [one.files.filter((x) => x === name).length, one.said,
            two.files.includes(name)];
        });
        """
    seen = ask(page, tmp_path, script.replace("NAMES", json.dumps(names)))
    assert seen == [[1, "", True]] * len(names)


def test_keys_read_the_curves(page, tmp_path):
    seen = ask(
        page,
        tmp_path,
        """
        return ["ArrowRight", "ArrowRight", "ArrowUp", "ArrowLeft", "ArrowLeft", "x"]
          .map((key) => { press(key); return look().readout; });
        """,
        "#task=mnist&gamma=3",
    )
    assert seen[0].startswith("grid (3, 4, 4), RMSProp 0.0005, seed 618: MSE")
    assert "at C(t) 25,500, 25,500 gradient evaluations" in seen[0]
    assert "at C(t) 51,000" in seen[1]
    assert seen[2].startswith("default, RMSProp 0.0005")
    assert seen[3] == seen[4] == seen[5]  # the first point, and no such key


def test_an_unknown_file_is_said(page, tmp_path):
    seen = ask(page, tmp_path, "return look();", "#run=gone.json")
    assert seen["said"] == "There is no run file gone.json on this page."
    assert seen["files"]


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_is_wider_than_the_window(page, tmp_path, width):
    seen = ask(
        page,
        tmp_path,
        """
        // What is cut off: wider than its own box, which does not scroll.
        const cut = all("main *").filter((x) => x.scrollWidth > x.clientWidth + 1
          && x.clientWidth && !x.closest("svg") && !x.closest(".wide")
          && getComputedStyle(x).overflowX !== "auto").map((x) => x.outerHTML);
        all("details").forEach((x) => { x.open = true; });
        return { ...look(), cut };
        """,
        width=width,
    )
    assert seen["window"] == width
    assert seen["width"] <= width
    assert not seen["cut"]


def test_no_runs_no_errors(tmp_path):
    found = read(tmp_path)
    seen = ask(build(found, pictures(found)), tmp_path, "return look();")
    assert seen["said"] == "No run files are committed: nothing to draw."
