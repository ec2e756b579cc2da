// What the model read: formulas as they are typeset, their LaTeX to copy; behind clipboard.js in one module.
export default function ({ data, parentElement }) {
  const place = (parentElement.place ??= openPlace(parentElement));
  const [best, ...others] = data.readings;
  const texts = make("div", "", bestOf(best));
  if (data.truth) texts.append(truthOf(data.truth));
  if (others.length) texts.append(make("h4", "", "Other readings"), make("ol", "", ...others.map(otherOf)));
  place.replaceChildren(texts, pictureOf(data.picture));
  place.insertAdjacentHTML("beforeend", data.glyphs); // markup made by eval/metrics/typeset.py, of outlines only
}

function openPlace(root) {
  const place = make("div", "readings");
  place.setAttribute("aria-live", "polite");
  root.append(place);
  return place;
}

function make(name, kind, ...content) {
  const element = document.createElement(name);
  element.className = kind;
  element.append(...content);
  return element;
}

function bestOf(reading) {
  const code = codeOf(reading);
  const meter = make("meter", "");
  meter.value = reading.confidence;
  meter.setAttribute("aria-label", "Confidence");
  return make(
    "div", "",
    make("div", "best", formulaOf(reading), make("div", "line", code, copyButton(code, "Copy LaTeX"))),
    make("div", "sure", make("span", "", `Confidence ${percent(reading)}`), meter),
  );
}

function otherOf(reading) {
  const code = codeOf(reading);
  return make("li", "", formulaOf(reading), code, make("span", "share", percent(reading)), copyButton(code, "Copy"));
}

function truthOf({ latex, isRight }) {
  const verdict = isRight ? make("span", "right", "✓ read right") : make("span", "wrong", "✗ not what was written");
  return make("div", "truth", verdict, ...(isRight ? [] : [make("code", "", latex)]));
}

function pictureOf({ url, caption }) {
  const picture = make("img", "seen");
  picture.src = url;
  picture.alt = "The ink as the model sees it";
  return make("figure", "", make("h4", "", "What the model sees"), picture, make("figcaption", "", caption));
}

function codeOf(reading) {
  return make("code", "latex", reading.latex);
}

function formulaOf(reading) {
  const formula = make("div", "set");
  if (reading.svg) formula.innerHTML = reading.svg; // made by eval/metrics/typeset.py, as above
  else formula.append(make("span", "problem", reading.latex ? `not typeset: ${reading.reason}` : "nothing"));
  return formula;
}

function copyButton(code, label) {
  const button = make("button", "copy", label);
  button.addEventListener("click", async () => {
    button.textContent = (await copyText(code)) ? "Copied" : "Press Ctrl+C";
    setTimeout(() => (button.textContent = label), 1500);
  });
  return button;
}

function percent(reading) {
  return `${Math.round(reading.confidence * 100)} %`;
}
