"use strict";
// Several lines on one sheet: found by the gaps between them, judged by how sure the model is, joined to one formula.
const MIN_GAP = 0.25; // between two lines, as a share of the height of the lower one of the two
const MIN_HEIGHT = 0.4; // of a line, as a share of the highest one; what is lower is a limit, a script, a dot
const FLAT = 0.15; // the height of a fraction bar at most, as a share of the highest line
const MAX_LINES = 8;
const RELATION = /^(?:[=<>]|\\(?:le|leq|ge|geq|ne|neq|approx|equiv|sim|simeq|cong|propto|to|rightarrow|Rightarrow|Leftrightarrow|in|subset|subseteq)(?![a-zA-Z]))/;

// Returns the strokes of each line, from top to bottom; [] if all stand in one.
function linesOf(strokes) {
  const bands = merged(strokes.map((stroke) => ({ ...boxOf(stroke), strokes: [stroke] })));
  while (bands.length > 1) {
    const joint = jointOf(bands);
    if (joint === null) break;
    const [first, count] = joint;
    bands.splice(first, count, ...merged(bands.slice(first, first + count), Infinity));
  }
  if (bands.length < 2 || bands.length > MAX_LINES) return [];
  const order = new Map(strokes.map((stroke, i) => [stroke, i])); // as it was written
  return bands.map((band) => band.strokes.sort((a, b) => order.get(a) - order.get(b)));
}

// Which of the bands belong together: the first of them and their number; null if each is a line.
function jointOf(bands) {
  const highest = Math.max(...bands.map(heightOf));
  const gapAbove = (i) => (i > 0 && i < bands.length ? bands[i].top - bands[i - 1].bottom : Infinity);
  const bar = bands.findIndex((band) => heightOf(band) < FLAT * highest);
  if (bar >= 0) return [Math.max(0, bar - 1), Math.min(bands.length, bar + 2) - Math.max(0, bar - 1)];
  const part = bands.findIndex((band) => heightOf(band) < MIN_HEIGHT * highest);
  if (part >= 0) return [gapAbove(part) <= gapAbove(part + 1) ? part - 1 : part, 2];
  const close = bands.findIndex((band, i) => i > 0 && gapAbove(i) < MIN_GAP * Math.min(heightOf(band), heightOf(bands[i - 1])));
  return close >= 0 ? [close - 1, 2] : null;
}

// Boxes that overlap vertically, or have less than a gap between them, become one, from top to bottom.
function merged(boxes, gap = 0) {
  const bands = [];
  for (const box of boxes.sort((a, b) => a.top - b.top)) {
    const last = bands[bands.length - 1];
    if (last && box.top <= last.bottom + gap) {
      last.bottom = Math.max(last.bottom, box.bottom);
      last.strokes.push(...box.strokes);
    } else bands.push({ ...box, strokes: [...box.strokes] });
  }
  return bands;
}

function heightOf(box) {
  return box.bottom - box.top;
}

// Joins the answers for the whole sheet and for each of its lines: the surer way first, the other one behind it, unless
// both give the same formula.
function joined(whole, lines) {
  const confidence = lines.reduce((product, line) => product * line.confidence, 1);
  const asLines = { latex: linesLatex(lines.map((line) => line.latex)), confidence, note: `as ${lines.length} lines` };
  const asOne = { latex: whole.latex, confidence: whole.confidence, note: "as one line" };
  if (lines.some((line) => !line.latex)) return whole;
  const others = [];
  lines.forEach((line, i) => {
    for (const other of line.alternatives) {
      const chosen = lines.map((each, j) => (j === i ? other.latex : each.latex));
      others.push({ latex: linesLatex(chosen), confidence: line.confidence ? (confidence * other.confidence) / line.confidence : 0 });
    }
  });
  others.sort((a, b) => b.confidence - a.confidence);
  const [best, rest, last] = confidence > whole.confidence ? [asLines, others.slice(0, 3), asOne] : [whole, whole.alternatives, asLines];
  const alternatives = rest.filter((other) => other.latex !== last.latex);
  if (best.latex !== last.latex) alternatives.push(last);
  return { ...whole, ...best, alternatives };
}

// One formula of several lines, aligned at their first relation signs if each has one.
function linesLatex(lines) {
  const places = lines.map(relationAt);
  const isAligned = places.every((place) => place >= 0);
  const rows = isAligned ? lines.map((line, i) => `${line.slice(0, places[i])}&${line.slice(places[i])}`) : lines;
  const name = isAligned ? "aligned" : "gathered";
  return `\\begin{${name}}${rows.join("\\\\")}\\end{${name}}`;
}

// Where the first relation sign stands outside of braces and environments; -1 if there is none.
function relationAt(latex) {
  let depth = 0;
  for (let i = 0; i < latex.length; i++) {
    const rest = latex.slice(i);
    if (depth === 0 && RELATION.test(rest)) return i;
    if (rest.startsWith("\\begin{")) depth += 1;
    else if (rest.startsWith("\\end{")) depth -= 1;
    else if (latex[i] === "{") depth += 1;
    else if (latex[i] === "}") depth -= 1;
    if (latex[i] === "\\") i += 1; // \{ is no brace
  }
  return -1;
}
