"use strict";
// Formulas in each format, and drawn.
const FORMATS = [
  // name on the page, and its text, of a typeset formula
  ["LaTeX", (formula, latex) => latex],
  ["LaTeX with spaces", (formula) => formula.formats.pretty],
  ["$…$", (formula) => dollars(formula.formats.pretty)],
  ["\\[…\\]", (formula) => formula.formats.display],
  ["MathML (Word)", (formula) => formula.formats.mathml],
  ["Typst", (formula) => formula.formats.typst],
  ["SVG", (formula) => formula.svg],
  ["PNG", (formula) => formula.svg],
];

function dollars(text) {
  return text === null ? null : `$${text}$`;
}

let numDrawings = 0;

// The drawing of a formula as an element, or the reason why there is none.
function drawingOf(formula) {
  const holder = document.createElement("div");
  if (formula.svg) {
    holder.innerHTML = formula.svg; // made by the service: outlines of glyphs and rectangles only
    numDrawings += 1;
    for (const glyph of holder.querySelectorAll("symbol")) glyph.id = `f${numDrawings}-${glyph.id}`; // unique on the page
    for (const use of holder.querySelectorAll("use")) use.setAttribute("href", `#f${numDrawings}-${use.getAttribute("href").slice(1)}`);
    return holder.firstElementChild;
  }
  holder.className = "tip";
  holder.textContent = `cannot be shown as a formula: ${formula.reason}`;
  return holder;
}
