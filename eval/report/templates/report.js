"use strict";
// The gallery: filters, order, pages, keys. Without this script, all formulas are shown one after another.
(() => {
  const byId = (id) => document.getElementById(id);
  const form = byId("filters"), list = byId("cards"), pageSize = Number(list.dataset.pageSize);
  const cards = [...list.children].map((element, index) => ({
    element, index, data: element.dataset, text: element.textContent.toLowerCase(),
  }));
  const filters = Object.fromEntries(
    ["text", "group", "verdict", "structures", "length", "source", "order"].map((name) => [name, byId("f-" + name)]));
  let matching = cards, page = 0, pair = "";

  const value = (name) => (filters[name] ? filters[name].value : "");
  const among = (name, names, separator) => !name || names.split(separator).includes(name);
  const hasVerdict = (data) => ({
    "": true, mistaken: data.verdict !== "right", unset: data.unset === "1",
  }[value("verdict")] ?? data.verdict === value("verdict"));
  const hasText = (card, text) => !text || card.text.includes(text);
  const orders = {
    "": (a, b) => a.index - b.index,
    errors: (a, b) => b.data.errors - a.data.errors || a.index - b.index,
    confidence: (a, b) => a.data.confidence - b.data.confidence || a.index - b.index,
    symbols: (a, b) => b.data.symbols - a.data.symbols || a.index - b.index,
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
    visible.forEach((card, i) => {
      card.element.tabIndex = i === 0 ? 0 : -1;
      card.element.setAttribute("aria-posinset", page * pageSize + i + 1);
      card.element.setAttribute("aria-setsize", matching.length);
      card.element.setAttribute("aria-label", card.element.querySelector(".verdict").textContent);
    });
    const right = matching.filter((card) => card.data.verdict === "right").length;
    // a share is only meaningful if the formulas were not chosen for their errors
    const isFair = list.dataset.complete === "1" || value("group") === "random";
    byId("count").textContent = matching.length
      ? `${matching.length} of ${cards.length} formulas, ${right} of them right` + (isFair ? ` (${Math.round(100 * right / matching.length)} %)` : "")
      : "No formula matches. Reset to show all.";
    byId("page").textContent = `Page ${page + 1} of ${pages}`;
    byId("previous").disabled = page === 0;
    byId("next").disabled = page === pages - 1;
    byId("pager").hidden = pages === 1;
    markWide();
  }

  // A formula that is wider than its card is scrolled; it has to be reached by keys for that.
  function markWide() {
    for (const box of list.querySelectorAll(".formula-box")) {
      const isWide = box.scrollWidth > box.clientWidth;
      const marks = { tabindex: 0, role: "group", "aria-label": "wide formula, to be scrolled" };
      for (const [name, mark] of Object.entries(marks)) {
        if (isWide) box.setAttribute(name, mark);
        else box.removeAttribute(name);
      }
    }
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

  function focusOn(index) {
    if (index < 0 || index >= matching.length) return;
    page = Math.floor(index / pageSize);
    show();
    const chosen = matching[index].element;
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
    // reset() schedules filtering without a pair; filter with the pair after it
    setTimeout(() => { pair = link.dataset.pair; filter(); byId("gallery-title").focus(); });
  }));
  list.addEventListener("keydown", (event) => {
    const index = matching.findIndex((card) => card.element === event.target);
    if (index < 0 || event.altKey || event.ctrlKey || event.metaKey) return;
    const goal = { ArrowRight: index + 1, ArrowLeft: index - 1, Home: 0, End: matching.length - 1 }[event.key];
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
  new ResizeObserver(markWide).observe(list);
  form.hidden = false;
  filter();
})();
