"use strict";
// Asks the service what the ink says, a moment after the pen is lifted.
const PAUSE_MS = 350;
const find = (id) => document.getElementById(id);
const sheet = makeSheet(find("sheet"), { onBegin: changed, onEnd: askSoon });
let timer = 0;
let asking = null; // the request on its way, to be given up when the ink changes

function changed() {
  giveUp();
  find("undo").disabled = find("clear").disabled = sheet.strokes.length === 0;
}

function giveUp() {
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
  find("note").textContent = "reading …";
  try {
    const options = { method: "POST", body, headers: { "Content-Type": type }, signal: request.signal };
    const answer = await fetch("/recognize?beams=3", options);
    const found = await answer.json();
    if (answer.ok) show(found, `${Math.round(found.confidence * 100)} % sure`);
    else find("note").textContent = found.error;
  } catch (error) {
    if (error.name !== "AbortError") find("note").textContent = `no answer: ${error.message}`;
  }
}

function show(found, note) {
  find("latex").value = found.latex;
  find("copy").disabled = found.latex === "";
  find("note").textContent = note;
  find("others").replaceChildren(
    ...found.alternatives.map((other) => {
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
