"use strict";
// The gallery: filters, order, pages, keys. Without it every formula is shown, one after another.
(() => {
  const byId = (id) => document.getElementById(id);
  const form = byId("filters"), list = byId("cards"), pageSize = Number(list.dataset.pageSize);
  const cards = [...list.children].map((element, place) => ({
    element, place, data: element.dataset, text: element.textContent.toLowerCase(),
  }));
  const filters = Object.fromEntries(
    ["text", "group", "verdict", "structures", "length", "source", "order"].map((name) => [name, byId("f-" + name)]));
  let matching = cards, page = 0, pair = "";

  const value = (name) => (filters[name] ? filters[name].value : "");
  const among = (wanted, names, separator) => !wanted || names.split(separator).includes(wanted);
  const hasVerdict = (data) => ({
    "": true, mistaken: data.verdict !== "right", unset: data.unset === "1",
  }[value("verdict")] ?? data.verdict === value("verdict"));
  const hasText = (card, wanted) => !wanted || card.text.includes(wanted);
  const orders = {
    "": (a, b) => a.place - b.place,
    errors: (a, b) => b.data.errors - a.data.errors || a.place - b.place,
    confidence: (a, b) => a.data.confidence - b.data.confidence || a.place - b.place,
    symbols: (a, b) => b.data.symbols - a.data.symbols || a.place - b.place,
  };

  function matches(card) {
    const data = card.data;
    return among(value("group"), data.groups, " ") && among(value("structures"), data.structures, "|")
      && (!value("length") || data.length === value("length")) && (!value("source") || data.source === value("source"))
      && among(pair, data.pairs, " ") && hasVerdict(data) && hasText(card, value("text").trim().toLowerCase());
  }

  function show() {
    const pages = Math.max(1, Math.ceil(matching.length / pageSize));
    page = Math.min(Math.max(page, 0), pages - 1);
    const visible = matching.slice(page * pageSize, (page + 1) * pageSize);
    list.replaceChildren(...visible.map((card) => card.element));
    visible.forEach((card, place) => {
      card.element.tabIndex = place === 0 ? 0 : -1;
      card.element.setAttribute("aria-posinset", page * pageSize + place + 1);
      card.element.setAttribute("aria-setsize", matching.length);
      card.element.setAttribute("aria-label", card.element.querySelector(".verdict").textContent);
    });
    const right = matching.filter((card) => card.data.verdict === "right").length;
    // a share says something of the model only where the formulas were not chosen for their mistakes
    const isFair = list.dataset.complete === "1" || value("group") === "random";
    byId("count").textContent = matching.length
      ? `${matching.length} of ${cards.length} formulas, ${right} of them right` + (isFair ? ` (${Math.round(100 * right / matching.length)} %)` : "")
      : "No formula fits. Reset shows all again.";
    byId("page").textContent = `Page ${page + 1} of ${pages}`;
    byId("previous").disabled = page === 0;
    byId("next").disabled = page === pages - 1;
    byId("pager").hidden = pages === 1;
  }

  function filter() {
    matching = cards.filter(matches).sort(orders[value("order")]);
    page = 0;
    byId("pair").hidden = !pair;
    show();
  }

  function turn(step) {
    page += step;
    show();
    byId("gallery").scrollIntoView();
  }

  function focusOn(place) {
    if (place < 0 || place >= matching.length) return;
    page = Math.floor(place / pageSize);
    show();
    const chosen = matching[place].element;
    for (const element of list.children) element.tabIndex = element === chosen ? 0 : -1;
    chosen.focus();
  }

  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => { pair = ""; setTimeout(filter); });
  byId("pair").addEventListener("click", () => { pair = ""; filter(); filters.text.focus(); });
  byId("previous").addEventListener("click", () => turn(-1));
  byId("next").addEventListener("click", () => turn(1));
  document.querySelectorAll("a.show").forEach((link) => link.addEventListener("click", () => {
    form.reset();
    pair = link.dataset.pair;
    byId("pair").textContent = `only ${link.dataset.title} ✕`;
    // reset() asks for a filtering without a pair; this one comes after it
    setTimeout(() => { pair = link.dataset.pair; filter(); byId("gallery-title").focus(); });
  }));
  list.addEventListener("keydown", (event) => {
    const place = matching.findIndex((card) => card.element === event.target);
    if (place < 0 || event.altKey || event.ctrlKey || event.metaKey) return;
    const goal = { ArrowRight: place + 1, ArrowLeft: place - 1, Home: 0, End: matching.length - 1 }[event.key];
    if (goal === undefined) return;
    event.preventDefault();
    focusOn(goal);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
    event.preventDefault();
    filters.text.focus();
  });
  addEventListener("beforeprint", () => list.replaceChildren(...matching.slice(0, 3 * pageSize).map((card) => card.element)));
  addEventListener("afterprint", show);
  form.hidden = false;
  filter();
})();
