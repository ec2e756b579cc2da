"use strict";
// Strokes of the pen as they come, in CSS pixels; asks the service a moment after the pen is lifted.
const PAUSE_MS = 350;
const MIN_STEP_PX = 1;
const find = (id) => document.getElementById(id);
const sheet = find("sheet");
const pen = sheet.getContext("2d");
let strokes = [];
let current = null;
let timer = 0;
let asking = null; // the request on its way, to be given up when the ink changes

function fit() {
  const scale = window.devicePixelRatio || 1;
  sheet.width = Math.round(sheet.clientWidth * scale);
  sheet.height = Math.round(sheet.clientHeight * scale);
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  draw();
}

function draw() {
  pen.clearRect(0, 0, sheet.clientWidth, sheet.clientHeight);
  pen.lineWidth = 2.5;
  pen.lineCap = pen.lineJoin = "round";
  pen.strokeStyle = getComputedStyle(document.body).color;
  pen.beginPath();
  for (const [first, ...rest] of strokes) {
    pen.moveTo(...first);
    pen.lineTo(...first); // a dot, where there is nothing else
    for (const point of rest) pen.lineTo(...point);
  }
  pen.stroke();
  find("undo").disabled = find("clear").disabled = strokes.length === 0;
}

function place(event) {
  const box = sheet.getBoundingClientRect();
  return [event.clientX - box.left - sheet.clientLeft, event.clientY - box.top - sheet.clientTop];
}

sheet.addEventListener("pointerdown", (event) => {
  if (current !== null || event.button !== 0) return; // a second finger, or the other button
  event.preventDefault();
  sheet.setPointerCapture(event.pointerId);
  current = { id: event.pointerId, points: [place(event)] };
  strokes.push(current.points);
  giveUp();
  draw();
});

sheet.addEventListener("pointermove", (event) => {
  if (current === null || event.pointerId !== current.id) return;
  const seen = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
  for (const step of seen.length ? seen : [event]) {
    const [x, y] = place(step);
    const [lastX, lastY] = current.points[current.points.length - 1];
    if (Math.hypot(x - lastX, y - lastY) >= MIN_STEP_PX) current.points.push([x, y]);
  }
  draw();
});

for (const name of ["pointerup", "pointercancel"]) {
  sheet.addEventListener(name, (event) => {
    if (current === null || event.pointerId !== current.id) return;
    current = null;
    askSoon();
  });
}

function giveUp() {
  clearTimeout(timer);
  if (asking !== null) asking.abort();
  asking = null;
}

function askSoon() {
  giveUp();
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

find("undo").addEventListener("click", () => {
  strokes.pop();
  draw();
  askSoon();
});

find("clear").addEventListener("click", () => {
  strokes = [];
  draw();
  askSoon();
});

find("file").addEventListener("change", (event) => {
  const [file] = event.target.files;
  if (!file) return;
  strokes = [];
  draw();
  giveUp();
  ask(file, "application/octet-stream");
  event.target.value = "";
});

find("copy").addEventListener("click", async () => {
  const text = find("latex").value;
  try {
    await navigator.clipboard.writeText(text);
    find("note").textContent = "copied";
  } catch {
    // the clipboard is there for https and localhost only
    getSelection().selectAllChildren(find("latex"));
    find("note").textContent = document.execCommand("copy") ? "copied" : "press Ctrl+C to copy";
  }
});

window.addEventListener("resize", fit);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
fit();
