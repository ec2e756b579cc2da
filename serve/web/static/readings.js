"use strict";
// The readings of an ink or a picture, of which one is chosen, and its LaTeX, which can be edited and copied.
const EDIT_PAUSE_MS = 200;
const DOUBTFUL = 0.2; // by the calibration, four of five answers of less confidence are wrong

// find: returns the element of an id. typeset: draws formulas. onCopy: called with the LaTeX that was copied.
function makeReadings(find, { typeset, onCopy }) {
  let shown = []; // readings: latex, confidence, and `formula` once it is typeset
  let current = null; // the formula in the field, once it is typeset
  let drawing = null; // the pending request for it
  let timer = 0;

  const readings = { show, clear: () => show([]), latex: () => find("latex").value.trim(), formula: () => current, put };

  for (const [name] of FORMATS) find("format").append(new Option(name));

  // Shows readings, the best first, and returns once they are typeset.
  async function show(all) {
    shown = all;
    find("others").hidden = all.length < 2;
    find("readings").replaceChildren(...all.map(lineOf));
    await put(all.length ? all[0].latex : "");
    if (all.length < 2) return;
    const formulas = await typeset(all.map((reading) => reading.latex)).catch(() => null); // the LaTeX stands there
    if (formulas === null || shown !== all) return;
    formulas.forEach((formula, i) => {
      all[i].formula = formula;
      if (formula.svg) find("readings").children[i].firstElementChild.prepend(drawingOf(formula));
    });
  }

  function lineOf(reading) {
    const [line, choose, code, share] = ["li", "button", "code", "span"].map((name) => document.createElement(name));
    code.textContent = reading.latex || "(empty)";
    share.className = "share";
    share.textContent = reading.note && reading !== shown[0] ? reading.note : percent(reading.confidence);
    choose.append(code, share);
    choose.addEventListener("click", () => put(reading.latex));
    line.append(choose);
    return line;
  }

  // Puts LaTeX into the field and shows it typeset.
  async function put(latex) {
    find("latex").value = latex;
    await preview();
  }

  async function preview() {
    clearTimeout(timer);
    drawing?.abort();
    const latex = readings.latex();
    current = null;
    find("copy").disabled = latex === "";
    shown.forEach((reading, i) => {
      find("readings").children[i].firstElementChild.setAttribute("aria-current", String(reading.latex === latex));
    });
    if (latex === "") {
      find("preview").replaceChildren();
      find("pretty-line").hidden = true;
      return;
    }
    const request = (drawing = new AbortController());
    try {
      const [formula] = await typeset([latex], request.signal);
      current = formula;
      find("preview").replaceChildren(drawingOf(formula));
      const { pretty } = formula.formats;
      find("pretty-line").hidden = pretty === null || pretty === latex;
      find("pretty").textContent = pretty ?? "";
    } catch (error) {
      if (error.name === "AbortError") return;
      find("preview").textContent = latex;
      find("pretty-line").hidden = true;
    }
  }

  async function copy() {
    const [name, textOf] = FORMATS[find("format").selectedIndex];
    const latex = readings.latex();
    if (name !== "LaTeX" && current === null) await preview();
    const text = name === "LaTeX" ? latex : current && textOf(current, latex);
    if (!text) return `There is no ${name} of this formula${current ? `: ${current.format_errors[name.toLowerCase()] ?? current.reason}` : ""}`;
    onCopy(latex);
    if (name === "PNG") return copyPicture(await pngOf(text), "formula.png");
    if (name === "LaTeX") return (await copyText(find("latex"))) ? "Copied" : "Press Ctrl+C to copy";
    return (await copyPlain(text)) ? "Copied" : "The browser does not allow copying here";
  }

  find("latex").addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(preview, EDIT_PAUSE_MS);
  });
  find("copy").addEventListener("click", async () => {
    find("copy").textContent = await copy();
    setTimeout(() => (find("copy").textContent = "Copy"), 1500);
  });
  return readings;
}

function percent(confidence) {
  if (confidence > 0.99) return "over 99 %";
  return confidence < 0.01 ? "under 1 %" : `${Math.round(confidence * 100)} %`;
}

// What to think of an answer, in words.
function verdictOn({ latex, confidence, calibrated }) {
  if (latex === "") return ["Nothing was recognised. Is it a formula?", true];
  if (!calibrated) return ["Please check the formula.", false];
  if (confidence < DOUBTFUL) return ["Probably wrong: not a formula, or more than one?", true];
  if (confidence < 0.5) return [`Not sure (${percent(confidence)}): please check it, and the other readings.`, true];
  return [`${confidence < 0.9 ? "Probably right" : "Very likely right"} (${percent(confidence)})`, false];
}
