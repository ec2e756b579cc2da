"use strict";
// What outlives a reload, in this browser only: the ink on the sheet, and the formulas written so far.
const INK_KEY = "latexify.ink";
const WRITTEN_KEY = "latexify.written";
const MAX_WRITTEN = 24;

// Returns what is stored, or a default where there is nothing, or nothing of the right kind.
function stored(key) {
  try {
    const value = JSON.parse(localStorage.getItem(key) ?? "[]");
    return Array.isArray(value) ? value : [];
  } catch {
    return []; // no storage here, or something else wrote there
  }
}

// Stores a value and returns whether that was possible: the storage may be full, or forbidden.
function store(key, value) {
  try {
    localStorage.setItem(key, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}

function storedInk() {
  const isPoint = (point) => Array.isArray(point) && point.length === 2 && point.every(Number.isFinite);
  const strokes = stored(INK_KEY).filter((stroke) => Array.isArray(stroke) && stroke.length);
  return strokes.every((stroke) => stroke.every(isPoint)) ? strokes : [];
}

// typeset: draws formulas. onChoose: called with the LaTeX that was chosen from the list. keep: called with a key and the value to store.
function makeHistory(find, { typeset, onChoose, keep }) {
  let written = stored(WRITTEN_KEY).filter((latex) => typeof latex === "string" && latex);

  function add(latex) {
    if (!latex || written[0] === latex) return;
    written = [latex, ...written.filter((each) => each !== latex)].slice(0, MAX_WRITTEN);
    keep(WRITTEN_KEY, written);
    show();
  }

  function show() {
    find("history").hidden = written.length === 0;
    find("written").replaceChildren(...written.map(lineOf));
    drawAll(written);
  }

  async function drawAll(formulas) {
    for (let start = 0; start < formulas.length; start += 8) {
      const results = await typeset(formulas.slice(start, start + 8)).catch(() => []); // the LaTeX stands there
      if (formulas !== written) return;
      results.forEach((formula, i) => {
        if (formula.svg) find("written").children[start + i].firstElementChild.prepend(drawingOf(formula));
      });
    }
  }

  function lineOf(latex) {
    const [line, choose, code] = ["li", "button", "code"].map((name) => document.createElement(name));
    code.textContent = latex;
    choose.append(code);
    choose.addEventListener("click", () => onChoose(latex));
    line.append(choose);
    return line;
  }

  find("forget").addEventListener("click", () => {
    written = [];
    keep(WRITTEN_KEY, written);
    show();
  });
  show();
  return { add };
}
