"use strict";
// Lets Vega draw the charts; the address keeps what is chosen in the last of them.
(() => {
  const charts = JSON.parse(document.getElementById("data").textContent);
  const options = { actions: false, renderer: "svg" };
  for (const [id, chart] of Object.entries(charts)) {
    const bind = document.querySelector(`[data-menus-of="${id}"]`);
    const drawn = vegaEmbed(document.getElementById(id), chart, bind ? { ...options, bind } : options);
    if (bind) drawn.then(({ view }) => follow(view, chart.params.map((x) => x.name).filter(Boolean)));
  }

  function follow(view, names) {
    const choose = () => {
      const choice = new URLSearchParams(location.hash.slice(1));
      const known = names.filter((name) => choice.has(name));
      for (const name of known) {
        view.signal(name, name === "beside" ? choice.get(name) === "true" : choice.get(name));
      }
      if (known.length) view.runAsync().then(() => document.getElementById("curves").scrollIntoView());
    };
    const keep = () => {
      const choice = new URLSearchParams(names.map((name) => [name, view.signal(name)]));
      try { history.replaceState(null, "", `#${choice}`); } catch { /* some viewers forbid it */ }
    };
    choose();
    for (const name of names) view.addSignalListener(name, keep);
    addEventListener("hashchange", choose);
  }
})();
