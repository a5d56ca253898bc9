"""The page in a browser: choices, addresses, pointing, and a narrow window."""

import html
import json
import re
import shutil
import subprocess
from urllib.parse import urlencode

import pytest
from run_files import cycle, rows_of, run_file, settings, sweep, write

from experiments.report.curves import MOST, address, curves
from experiments.report.groups import grouped
from experiments.report.page import build, pictures
from experiments.report.records import read

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
    None,
)
pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(
        BROWSER is None, reason="needs Chromium (Debian: apt-get install chromium)"
    ),
]

#: What the tests ask the page, and what they may call.
TOOLS = """
const all = (query) => [...document.querySelectorAll(query)];
const texts = (query) => all(query).map((x) => x.textContent.trim());
const settled = () => new Promise((done) => setTimeout(done, 300));
const choose = (field, value) => {
  const menu = all(`[name="${field}"]`)[0];
  if (menu.type === "checkbox") menu.checked = value; else menu.value = value;
  menu.dispatchEvent(new Event("input", { bubbles: true }));
  menu.dispatchEvent(new Event("change", { bubbles: true }));
  return settled();
};
const go = (hash) => {
  history.replaceState(null, "", hash);
  dispatchEvent(new HashChangeEvent("hashchange"));
  return settled();
};
const look = () => ({
  curves: all("#chart-1 .mark-line path").length,
  legend: texts("#chart-1 .role-legend-label text"),
  title: texts("#chart-1 .role-title-text text")[0],
  words: texts("#chart-1 .mark-text.role-mark text"),
  address: location.hash,
  choices: Object.fromEntries(all(".menus select").map((x) => [x.name, x.value])),
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
        run_file(cycle(task="mnist", topology="grid", budget=2.56e5), final=0.015),
        run_file(settings("mnist", budget=2.56e5), final=0.04),
        run_file(settings("</script><script>document.title = 'broken'</script>")),
    ]
    write(folder, contents)
    return folder


@pytest.fixture(scope="module")
def page(folder):
    found = read(folder)
    return build(found, pictures(found))


def errors_first(page):
    """The page, with a list of what goes wrong in it."""
    catch = """<script>window.wrong = [];
      for (const kind of ["error", "unhandledrejection"])
        addEventListener(kind, (x) => wrong.push(String(x.message || x.reason)));
      </script></head>"""
    return page.replace("</head>", catch, 1)


def ask(page, tmp_path, script, address="", width=1280):
    """Open the page in a frame of some width, run a function in it: its value.

    A window of Chromium has at least 500 pixels, a frame has as many as it is given.
    """
    probe = f"""<script>addEventListener("load", () => setTimeout(async () => {{ {TOOLS}
      let value;
      try {{ value = await (async () => {{ {script} }})(); }}
      catch (error) {{ value = `${{error}}`; }}
      parent.postMessage(JSON.stringify(value), "*");
    }}, 500));</script></body>"""
    frame = f"""<iframe src="page.html{address}" width="{width}" height="900"></iframe>
      <pre id="out"></pre><script>addEventListener("message", (event) => {{
      document.getElementById("out").textContent = event.data; }});</script>"""
    # The last one: the library has such a tag in a string, too.
    before, _, after = errors_first(page).rpartition("</body>")
    inner, outer = tmp_path / "page.html", tmp_path / "frame.html"
    inner.write_text(before + probe + after, encoding="utf-8")
    outer.write_text(f"<style>iframe {{ border: 0 }}</style>{frame}", encoding="utf-8")
    result = subprocess.run(
        [
            BROWSER,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={tmp_path / 'profile'}",
            "--window-size=1400,1000",
            "--virtual-time-budget=60000",
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
    seen = ask(
        page,
        tmp_path,
        """
        const empty = all(".panel").filter((x) => !x.querySelector("svg path"));
        const loaded = performance.getEntriesByType("resource");
        return { ...look(), name: document.title, wrong, empty: empty.map((x) => x.id),
          loaded: loaded.map((x) => x.name) };
        """,
    )
    assert seen["curves"]
    assert seen["wrong"] == seen["empty"] == seen["loaded"] == []
    assert seen["name"].startswith("Multilevel training")


def to(**choice):
    """An address."""
    return "#" + urlencode(choice)


OBJECT, DIGITS = "One object (script), n = 1024", "MNIST, 32 × 32"


def test_an_address_chooses(page, tmp_path):
    address = to(task=DIGITS, way="grid", gamma=3, axis="seconds")
    seen = ask(page, tmp_path, "return look();", address)
    assert seen["choices"]["gamma"] == "3"
    assert seen["choices"]["task"] == DIGITS
    assert seen["title"] == "validation MSE E(t) against seconds of training"
    assert seen["legend"] == [
        "default, RMSProp 0.0005",
        "grid (3, 4, 4), RMSProp 0.0005",
    ]


def test_choices_draw_and_keep_the_address(page, tmp_path):
    seen = ask(
        page,
        tmp_path,
        """
        await choose("gamma", "3"); await choose("L", "5");
        const one = look();
        await go("#"); await choose("gamma", "1"); await go(one.address);
        const two = look();
        await choose("beside", false);
        return [one, two, look()];
        """,
        to(task=OBJECT),
    )
    # Both defaults beside the choice: at the paper's rate, and tuned.
    assert seen[0]["legend"] == [
        "default, Adam 0.008",
        "default, RMSProp 0.0005",
        "path (3, 5, 4), RMSProp 0.0005",
    ]
    assert seen[0]["curves"] == 2 + 1 + 2
    assert seen[1] == seen[0]
    assert seen[2]["legend"] == ["path (3, 5, 4), RMSProp 0.0005"]


def test_an_empty_choice_is_said(page, tmp_path):
    address = to(task=OBJECT, way="path", gamma=2, beside="false")
    seen = ask(
        page,
        tmp_path,
        "const one = look(); await choose('gamma', '3'); return [one, look()];",
        address,
    )
    nothing = "No run fits these choices."
    assert seen[0]["curves"] == 0
    assert nothing in seen[0]["words"]
    assert seen[1]["curves"]
    assert nothing not in seen[1]["words"]


def test_too_many_fit(page, tmp_path):
    address = to(task=OBJECT, way="any")
    assert len(ask(page, tmp_path, "return look();", address)["legend"]) == MOST


def test_every_run_file_can_be_reached(folder, page, tmp_path):
    groups = grouped(read(folder).runs)
    names = {x["file"]: x["name"] for x in rows_of(curves(groups).panels[0].to_dict())}
    links = {address(x, file): names[file] for x in groups for file in x.runs}
    script = """
        await choose("beside", false);
        const seen = [];
        for (const link of LINKS) { await go(link); seen.push(look()); }
        return seen;
        """
    seen = ask(page, tmp_path, script.replace("LINKS", json.dumps(list(links))))
    assert [x["curves"] for x in seen] == [1] * len(links)
    assert [x["legend"] for x in seen] == [[title] for title in links.values()]


def test_pointing_reads_a_curve(page, tmp_path):
    seen = ask(
        page,
        tmp_path,
        """
        const point = all("#chart-1 .mark-symbol.role-mark path")[0];
        const { left, top } = point.getBoundingClientRect();
        for (const kind of ["pointerover", "pointermove", "mousemove"]) {
          point.dispatchEvent(new PointerEvent(kind, { bubbles: true, clientX: left + 2,
            clientY: top + 2 }));
        }
        await settled();
        return [texts("#vg-tooltip-element .key"), texts("#vg-tooltip-element .value")];
        """,
        to(task=DIGITS, way="grid", gamma=3, beside="false"),
    )
    read_out = dict(zip(*seen, strict=True))
    assert read_out["setting"] == "grid (3, 4, 4), RMSProp 0.0005"
    assert read_out["cost C(t)"] == "25,500"
    assert read_out["seed"] == "618"


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_window(page, tmp_path, width):
    seen = ask(
        page,
        tmp_path,
        """
        // What is cut off: wider than its own box, which does not scroll.
        const cut = all("main *").filter((x) => x.scrollWidth > x.clientWidth + 1
          && x.clientWidth && !x.closest("svg") && !x.closest(".wide")
          && getComputedStyle(x).overflowX !== "auto").map((x) => x.outerHTML);
        const outside = all(".panel svg")
          .filter((x) => x.getBoundingClientRect().right > innerWidth)
          .map((x) => x.closest(".panel").id);
        all("details").forEach((x) => { x.open = true; });
        return { ...look(), cut, outside };
        """,
        width=width,
    )
    assert seen["window"] == width
    assert seen["width"] <= width
    assert not seen["cut"]
    assert not seen["outside"]


def test_no_runs_no_errors(tmp_path):
    found = read(tmp_path)
    text = build(found, pictures(found))
    seen = ask(text, tmp_path, "return { wrong, words: texts('#curves p') };")
    assert seen == {"wrong": [], "words": ["No run files: nothing to draw."]}
