"use strict";
// Sends the ink to the service a moment after the pen is lifted.
const PAUSE_MS = 350;
const find = (id) => document.getElementById(id);
const sheet = makeSheet(find("sheet"), { onBegin: changed, onEnd: askSoon });
let timer = 0;
let asking = null; // the pending request, aborted when the ink changes

function changed() {
  abort();
  find("undo").disabled = find("clear").disabled = sheet.strokes.length === 0;
}

function abort() {
  clearTimeout(timer);
  if (asking !== null) asking.abort();
  asking = null;
}

function askSoon() {
  changed();
  const { strokes } = sheet;
  if (strokes.length === 0) show({ latex: "", alternatives: [] }, "");
  else timer = setTimeout(() => ask(JSON.stringify({ strokes }), "application/json"), PAUSE_MS);
}

async function ask(body, type) {
  const request = (asking = new AbortController());
  find("note").textContent = "recognising …";
  try {
    const options = { method: "POST", body, headers: { "Content-Type": type }, signal: request.signal };
    const answer = await fetch("/recognize?beams=3", options);
    const content = await answer.json();
    if (answer.ok) show(content, `${Math.round(content.confidence * 100)} % confidence`);
    else find("note").textContent = content.error;
  } catch (error) {
    if (error.name !== "AbortError") find("note").textContent = `no answer: ${error.message}`;
  }
}

function show(result, note) {
  find("latex").value = result.latex;
  find("copy").disabled = result.latex === "";
  find("note").textContent = note;
  find("others").replaceChildren(
    ...result.alternatives.map((other) => {
      const line = document.createElement("li");
      const choose = document.createElement("button");
      choose.textContent = other.latex;
      choose.addEventListener("click", () => {
        find("latex").value = other.latex;
        find("copy").disabled = other.latex === "";
      });
      line.append(choose);
      return line;
    }),
  );
}

find("undo").addEventListener("click", sheet.undo);
find("clear").addEventListener("click", sheet.clear);

find("file").addEventListener("change", (event) => {
  const [file] = event.target.files;
  if (!file) return;
  sheet.clear();
  ask(file, "application/octet-stream");
  event.target.value = "";
});

find("copy").addEventListener("click", async () => {
  find("note").textContent = (await copyText(find("latex"))) ? "copied" : "press Ctrl+C to copy";
});

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", sheet.draw);
