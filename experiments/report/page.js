"use strict";
// The curves: choices, a log-log chart, a read-out. No library, no network.
(() => {
  const FIELDS = ["task", "way", "gamma", "L", "k", "optimizer", "budget"];
  const WORDS = { task: "task", way: "way of training", gamma: "γ", L: "L", k: "k", optimizer: "optimizer", budget: "budget" };
  const AXES = { cost: [0, "cost C(t)"], evaluations: [1, "gradient evaluations"], seconds: [2, "seconds of training"] };
  const ANY = "any";
  const MOST = 8; // curves that can be told apart
  const STYLES = [ // colour, width, dash: one is enough to tell lines apart
    ["--shade-1", 2.6, ""], ["--mark", 2, "8 3"], ["--shade-4", 3, ""], ["--shade-2", 2, "2 2"],
    ["--shade-5", 2.4, "10 3 2 3"], ["--shade-3", 1.2, ""], ["--mark", 1.2, "1 3"], ["--shade-6", 3, "5 2"],
  ];
  const BESIDE = [["--ink", 2, "2 3"], ["--soft", 2, "9 3 2 3 2 3"]];

  const { groups } = JSON.parse(document.getElementById("data").textContent);
  const byId = new Map(groups.map((group) => [group.id, group]));
  const form = document.getElementById("choices");
  const [said, chart, readout, legend, drawn] = ["said", "chart", "readout", "legend", "drawn"]
    .map((id) => document.getElementById(id));
  let lines = []; // what is drawn: {group, run, style, points: [{x, y, point}]}
  let at = null; // [line, point] under the pointer or the keys
  let onlySeed = null; // a single run was asked for by its file name

  // ------------------------------------------------------------------ choices

  const valueOf = (group, field) => field === "task" ? group.taskTitle
    : ["gamma", "L", "k"].includes(field) && !group[field] ? "–" : String(group[field]);
  const select = (field) => form.elements[field];
  const chosen = () => Object.fromEntries(FIELDS.map((field) => [field, select(field).value]));
  const fits = (group, choice, but) => FIELDS.every((field) => field === but
    || choice[field] === ANY || choice[field] === valueOf(group, field));
  const numeric = (a, b) => a.localeCompare(b, undefined, { numeric: true });

  function fill(field, values, value) {
    const menu = select(field);
    menu.replaceChildren(...[...(field === "task" ? [] : [ANY]), ...values].map((x) => new Option(x, x)));
    // A value that no run has stays visible, so that it can be said.
    if (![...menu.options].some((x) => x.value === value)) menu.add(new Option(value, value));
    menu.value = value;
  }

  function offer(choice) {
    const ofTask = groups.filter((group) => valueOf(group, "task") === choice.task);
    for (const field of FIELDS) {
      const from = field === "task" ? groups : ofTask;
      fill(field, [...new Set(from.map((group) => valueOf(group, field)))].sort(numeric), choice[field]);
    }
    for (const field of FIELDS.slice(1)) { // say which choices lead nowhere
      for (const option of select(field).options) {
        const some = option.value === ANY || ofTask.some((group) => valueOf(group, field) === option.value
          && fits(group, choice, field));
        option.text = some ? option.value : `${option.value} (no run)`;
      }
    }
  }

  const empty = (task) => ({ ...Object.fromEntries(FIELDS.map((field) => [field, ANY])), task });
  const exactly = (group) => Object.fromEntries(FIELDS.map((field) => [field, valueOf(group, field)]));

  function start() {
    const group = groups.find((x) => !x.isDefault) || groups[0];
    return group ? { ...empty(group.taskTitle), way: group.way } : empty("");
  }

  // ------------------------------------------------------------------ address

  function fromAddress() {
    const parameters = new URLSearchParams(location.hash.slice(1));
    onlySeed = null;
    if (!location.hash.includes("=")) return null;
    if (AXES[parameters.get("axis")]) select("axis").value = parameters.get("axis");
    if (parameters.has("run")) {
      const file = parameters.get("run");
      const group = groups.find((x) => x.runs.some((run) => run.file === file));
      if (!group) return { ...start(), unknown: `There is no run file ${file} on this page.` };
      onlySeed = file;
      return exactly(group);
    }
    if (parameters.has("group")) {
      const group = byId.get(parameters.get("group"));
      return group ? exactly(group) : { ...start(), unknown: "The address names a setting that is not on this page." };
    }
    if (![...FIELDS, "axis"].some((field) => parameters.has(field))) return null;
    const task = parameters.get("task");
    const found = groups.find((x) => x.task === task || x.taskTitle === task);
    const choice = task === null ? empty(start().task) : empty(found ? found.taskTitle : task);
    for (const field of FIELDS.slice(1)) if (parameters.has(field)) choice[field] = parameters.get(field);
    return choice;
  }

  function toAddress() {
    const parameters = new URLSearchParams();
    for (const field of FIELDS) if (select(field).value !== ANY) parameters.set(field, select(field).value);
    parameters.set("axis", select("axis").value);
    try { history.replaceState(null, "", `#${parameters}`); } catch { /* some viewers forbid it */ }
  }

  // -------------------------------------------------------------------- texts

  const finite = Number.isFinite;
  const count = (x) => finite(x) ? Math.round(x).toLocaleString("en") : "not reached";
  const time = (x) => !finite(x) ? "not reached" : x < 10 ? x.toFixed(2) : x.toLocaleString("en", { maximumFractionDigits: x < 100 ? 1 : 0 });
  const error = (x) => x !== null && finite(x) ? x.toExponential(3).replace("e+", "e") : "diverged";
  const FORMS = [count, count, time];
  const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
  const last = (run) => run.points[run.points.length - 1][3] ?? Infinity;
  const final = (group) => mean(group.runs.map(last));
  const tenth = (run, column) => {
    const goal = run.points[0][3] / 10;
    const point = run.points.find((x) => x[3] !== null && x[3] <= goal);
    return point ? point[column] : Infinity;
  };
  const make = (name, text = "", attributes = {}) => {
    const element = document.createElement(name);
    element.textContent = text;
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  };
  const shape = (name, attributes, text = "") => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.textContent = text;
    return element;
  };

  function say(choice, matching) {
    said.replaceChildren();
    if (choice.unknown) { said.append(choice.unknown); return; }
    if (matching.length > MOST) said.append(`${matching.length} settings fit; the ${MOST} with the least final MSE are drawn. Narrow the choice for the others.`);
    if (matching.length) return;
    if (!groups.length) { said.append("No run files are committed: nothing to draw."); return; }
    const words = FIELDS.filter((field) => choice[field] !== ANY).map((field) => `${WORDS[field]} ${choice[field]}`);
    said.append(`Not run: ${words.join(", ")}. `);
    // The settings that differ from the choice in the fewest ways.
    const distance = (group) => FIELDS.filter((field) => choice[field] !== ANY && choice[field] !== valueOf(group, field)).length
      + 10 * (choice.task !== group.taskTitle);
    const near = [...groups].sort((a, b) => distance(a) - distance(b)).slice(0, 3);
    said.append("What comes nearest: ");
    for (const group of near) {
      const button = make("button", `${group.taskTitle}: ${group.title}`, { type: "button" });
      button.addEventListener("click", () => { offer(exactly(group)); toAddress(); draw(); });
      said.append(button);
    }
  }

  // -------------------------------------------------------------------- chart

  function draw(choice = chosen()) {
    const matching = groups.filter((group) => fits(group, choice)).sort((a, b) => final(a) - final(b));
    say(choice, matching);
    const shown = matching.slice(0, MOST);
    const beside = [...new Set(shown.flatMap((group) => group.beside))].map((id) => byId.get(id))
      .filter((group) => group && !shown.includes(group)).slice(0, BESIDE.length);
    const styled = [
      ...beside.map((group, i) => [group, BESIDE[i]]),
      ...shown.map((group, i) => [group, STYLES[i]]),
    ];
    lines = styled.flatMap(([group, style]) => group.runs
      .filter((run) => onlySeed === null || !shown.includes(group) || run.file === onlySeed)
      .map((run) => ({ group, run, style })));
    at = null;
    readout.textContent = "";
    key(styled, beside);
    numbers();
    plot(shown);
  }

  function ticks(low, high) {
    const marks = [];
    const few = Math.log10(high / low) < 2.5;
    for (let e = Math.floor(Math.log10(low)); e <= Math.log10(high) + 1; e++) {
      for (const m of few ? [1, 2, 5] : [1]) {
        const value = m * 10 ** e;
        if (value >= low && value <= high) marks.push(value);
      }
    }
    return marks;
  }
  const tick = (x) => x >= 1 ? x.toLocaleString("en", x >= 1e6 ? { notation: "compact" } : {}) : String(Number(x.toPrecision(1)));

  function plot(shown) {
    chart.replaceChildren();
    const [column, title] = AXES[select("axis").value];
    const points = lines.flatMap(({ run }) => run.points.filter((p) => p[column] > 0 && p[3] > 0));
    if (!points.length) return;
    const width = Math.max(280, chart.clientWidth), height = Math.min(480, Math.max(300, width * .6));
    const box = { left: 58, right: width - 10, top: 12, bottom: height - 42 };
    const span = (values, pad) => [Math.min(...values) / pad, Math.max(...values) * pad];
    const trivial = shown.length ? shown[0].trivial : null;
    const xs = span(points.map((p) => p[column]), 1.05);
    const ys = span([...points.map((p) => p[3]), ...(trivial ? [trivial] : [])], 1.12);
    const place = ([low, high], from, to) => (v) => from + (to - from) * Math.log(v / low) / Math.log(high / low);
    const x = place(xs, box.left, box.right), y = place(ys, box.bottom, box.top);
    const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
    let before = -Infinity;
    for (const value of ticks(...xs)) {
      svg.append(shape("line", { class: "gridline", x1: x(value), x2: x(value), y1: box.top, y2: box.bottom }));
      const half = 4 * tick(value).length;
      if (x(value) - half < before || x(value) + half > width) continue; // labels never overlap
      before = x(value) + half + 4;
      svg.append(shape("text", { x: x(value), y: box.bottom + 16, "text-anchor": "middle" }, tick(value)));
    }
    for (const value of ticks(...ys)) {
      svg.append(shape("line", { class: "gridline", x1: box.left, x2: box.right, y1: y(value), y2: y(value) }));
      svg.append(shape("text", { x: box.left - 6, y: y(value) + 4, "text-anchor": "end" }, tick(value)));
    }
    if (trivial) {
      svg.append(shape("line", { class: "trivial", x1: box.left, x2: box.right, y1: y(trivial), y2: y(trivial) }));
      svg.append(shape("text", { x: box.right, y: y(trivial) - 5, "text-anchor": "end" }, "mean training image"));
    }
    svg.append(shape("text", { x: (box.left + box.right) / 2, y: height - 6, "text-anchor": "middle" }, title));
    svg.append(shape("text", { x: 12, y: (box.top + box.bottom) / 2, "text-anchor": "middle",
      transform: `rotate(-90 12 ${(box.top + box.bottom) / 2})` }, "validation MSE E(t)"));
    for (const line of lines) {
      line.points = line.run.points.filter((p) => p[column] > 0 && p[3] > 0)
        .map((point) => ({ x: x(point[column]), y: y(point[3]), point }));
      svg.append(shape("polyline", { class: "curve", points: line.points.map((p) => `${p.x.toFixed(1)},${p.y.toFixed(1)}`).join(" "),
        style: look(line.style), "data-file": line.run.file }));
    }
    svg.append(shape("circle", { class: "marker", r: 5, visibility: "hidden" }));
    chart.append(svg);
  }
  const look = ([colour, width, dash]) => `stroke: var(${colour}); stroke-width: ${width}; stroke-dasharray: ${dash || "none"}`;

  function key(styled, beside) {
    legend.replaceChildren(...styled.map(([group, style]) => {
      const item = make("li");
      const swatch = shape("svg", { width: 44, height: 12, "aria-hidden": "true" });
      swatch.append(shape("line", { x1: 0, x2: 44, y1: 6, y2: 6, style: look(style) }));
      const seeds = group.runs.length > 1 ? `${group.runs.length} seeds` : `seed ${group.runs[0].seed}`;
      const note = beside.includes(group) ? ", beside the choice" : "";
      item.append(swatch, make("span", `${group.title}: final MSE ${error(final(group))}, ${seeds}${note}`));
      return item;
    }));
  }

  function numbers() {
    drawn.hidden = !lines.length;
    drawn.tBodies[0].replaceChildren(...lines.map(({ group, run }) => {
      const row = make("tr");
      row.append(make("th", group.title, { scope: "row" }), ...[
        run.seed, error(last(run)), ...[0, 1, 2].map((column) => FORMS[column](tenth(run, column))),
      ].map((text) => make("td", String(text))));
      const file = make("td");
      file.append(make("code", run.file));
      row.append(file);
      return row;
    }));
  }

  // ----------------------------------------------------------------- read-out

  function point(line, index) {
    at = [line, index];
    const { x, y, point: [cost, evaluations, seconds, mse] } = lines[line].points[index];
    const marker = chart.querySelector(".marker");
    for (const [name, value] of Object.entries({ cx: x, cy: y, visibility: "visible" })) marker.setAttribute(name, value);
    readout.textContent = `${lines[line].group.title}, seed ${lines[line].run.seed}: MSE ${error(mse)} at C(t) ${count(cost)}, `
      + `${count(evaluations)} gradient evaluations, ${time(seconds)} s`;
  }

  const nearest = (points, x, y) => points.reduce((best, p, i) => {
    const d = (p.x - x) ** 2 + (y === null ? 0 : (p.y - y) ** 2);
    return d < best[0] ? [d, i] : best;
  }, [Infinity, 0]);

  chart.addEventListener("pointermove", (event) => {
    const svg = chart.querySelector("svg");
    if (!svg) return;
    const area = svg.getBoundingClientRect(), scale = svg.viewBox.baseVal.width / area.width;
    const x = (event.clientX - area.left) * scale, y = (event.clientY - area.top) * scale;
    const found = lines.map(({ points }, i) => [...nearest(points, x, y), i]).sort((a, b) => a[0] - b[0])[0];
    if (found) point(found[2], found[1]);
  });

  chart.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    const usable = lines.filter(({ points }) => points && points.length);
    if (!step || !usable.length) return;
    event.preventDefault();
    if (!at) { // begin with the choice, not with what is beside it
      const first = lines.findIndex((line) => STYLES.includes(line.style) && line.points.length);
      point(Math.max(0, first), 0);
      return;
    }
    const [line, index] = at;
    if (step[0]) {
      let next = line;
      do next = (next + step[0] + lines.length) % lines.length; while (!lines[next].points.length);
      point(next, nearest(lines[next].points, lines[line].points[index].x, null)[1]);
    } else point(line, Math.min(lines[line].points.length - 1, Math.max(0, index + step[1])));
  });

  // -------------------------------------------------------------------- start

  function follow(scroll) {
    const choice = fromAddress();
    if (!choice && scroll) return; // a link to a section
    offer(choice || start());
    draw(choice || start());
    if (choice) document.getElementById("curves").scrollIntoView();
  }

  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("change", () => { onlySeed = null; offer(chosen()); toAddress(); draw(); });
  addEventListener("hashchange", () => follow(true));
  let drawnWidth = 0;
  new ResizeObserver(() => {
    if (chart.clientWidth === drawnWidth) return;
    drawnWidth = chart.clientWidth;
    const kept = at;
    plot(groups.filter((group) => fits(group, chosen())));
    if (kept && lines[kept[0]]?.points?.length) point(...kept);
  }).observe(chart);
  follow(false);
})();
