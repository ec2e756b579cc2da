// Shows the candidates typeset, with LaTeX to copy. Appended to clipboard.js in one module.
export default function ({ data, parentElement }) {
  const container = (parentElement.container ??= makeContainer(parentElement));
  const [best, ...others] = data.candidates;
  const texts = make("div", "", bestOf(best));
  if (data.label) texts.append(labelOf(data.label));
  if (others.length) texts.append(make("h4", "", "Other candidates"), make("ol", "", ...others.map(otherOf)));
  container.replaceChildren(texts, pictureOf(data.picture));
  container.insertAdjacentHTML("beforeend", data.glyphs); // from eval/metrics/typeset.py, outlines only
}

function makeContainer(root) {
  const container = make("div", "candidates");
  container.setAttribute("aria-live", "polite");
  root.append(container);
  return container;
}

function make(name, className, ...content) {
  const element = document.createElement(name);
  element.className = className;
  element.append(...content);
  return element;
}

function bestOf(candidate) {
  const code = codeOf(candidate);
  const meter = make("meter", "");
  meter.value = candidate.confidence;
  meter.setAttribute("aria-label", "Confidence");
  return make(
    "div", "",
    make("div", "best", formulaOf(candidate), make("div", "line", code, copyButton(code, "Copy LaTeX"))),
    make("div", "sure", make("span", "", `Confidence ${percent(candidate)}`), meter),
  );
}

function otherOf(candidate) {
  const code = codeOf(candidate);
  return make("li", "", formulaOf(candidate), code, make("span", "share", percent(candidate)), copyButton(code, "Copy"));
}

function labelOf({ latex, isRight }) {
  const verdict = isRight ? make("span", "right", "✓ correct") : make("span", "wrong", "✗ wrong, the label is");
  return make("div", "label", verdict, ...(isRight ? [] : [make("code", "", latex)]));
}

function pictureOf({ url, caption }) {
  const picture = make("img", "seen");
  picture.src = url;
  picture.alt = "The picture that the model receives";
  return make("figure", "", make("h4", "", "Input of the model"), picture, make("figcaption", "", caption));
}

function codeOf(candidate) {
  return make("code", "latex", candidate.latex);
}

function formulaOf(candidate) {
  const formula = make("div", "set");
  if (candidate.svg) formula.innerHTML = candidate.svg; // from eval/metrics/typeset.py, as above
  else formula.append(make("span", "problem", candidate.latex ? `not typeset: ${candidate.reason}` : "empty"));
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

function percent(candidate) {
  return `${Math.round(candidate.confidence * 100)} %`;
}
