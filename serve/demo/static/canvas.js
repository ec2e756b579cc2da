// The sheet on the demo's page. Appended to sheet.js in one module. Sends the ink a moment after the pen is lifted.
const PAUSE_MS = 350;

export default function ({ data, parentElement, setStateValue }) {
  const widget = (parentElement.widget ??= makeWidget(parentElement));
  widget.send = (ink) => setStateValue("ink", ink);
  widget.showExamples(data.examples);
  widget.sheet.watch.observe(parentElement.querySelector("canvas")); // Streamlit may have stopped it while the script loaded
  widget.sheet.draw(); // again after a change of the theme
  return () => widget.sheet.watch.disconnect();
}

function makeWidget(root) {
  const find = (selector) => root.querySelector(selector);
  const sheet = makeSheet(find("canvas"), { onBegin: () => changed(null), onEnd: sendSoon });
  const widget = { sheet, showExamples, send: null };
  let shownExamples = null;
  let timer = 0;

  function changed(example) {
    clearTimeout(timer);
    find(".undo").disabled = !sheet.canUndo();
    find(".redo").disabled = !sheet.canRedo();
    find(".clear").disabled = sheet.strokes.length === 0;
    find(".hint").hidden = sheet.strokes.length > 0;
    for (const button of root.querySelectorAll(".examples button"))
      button.setAttribute("aria-pressed", String(button.dataset.key === example));
  }

  function sendSoon() {
    changed(null);
    timer = setTimeout(() => send(null), sheet.strokes.length ? PAUSE_MS : 0);
  }

  function send(example) {
    const rounded = (value) => Math.round(value * 100) / 100;
    const strokes = sheet.strokes.map((stroke) => stroke.map((point) => point.map(rounded)));
    widget.send({ example, json: JSON.stringify({ strokes }) });
  }

  function showExamples(examples) {
    const text = JSON.stringify(examples);
    if (text === shownExamples) return;
    shownExamples = text;
    find(".examples").replaceChildren(...examples.map(buttonOf));
  }

  function buttonOf(example) {
    const button = document.createElement("button");
    button.dataset.key = example.key;
    button.title = example.label;
    button.setAttribute("aria-label", `Example: ${example.label}`);
    button.append(thumbnail(example.strokes));
    button.addEventListener("click", () => {
      sheet.show(example.strokes);
      changed(example.key);
      send(example.key);
    });
    return button;
  }

  find(".undo").addEventListener("click", sheet.undo);
  find(".redo").addEventListener("click", sheet.redo);
  find(".eraser").addEventListener("click", () => {
    sheet.isErasing = !sheet.isErasing;
    find(".eraser").setAttribute("aria-pressed", String(sheet.isErasing));
  });
  find(".clear").addEventListener("click", sheet.clear);
  return widget;
}
