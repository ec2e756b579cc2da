"use strict";
// Sends the ink to the service a moment after the pen is lifted, and shows what it answers.
const PAUSES_MS = [250, 900]; // the shortest and the longest wait for another stroke
const QUALITIES = { fast: "beams=3", best: "beams=4&drawings=7" };
const find = (id) => document.getElementById(id);
let timer = 0;
let asking = null; // the pending request, aborted when the ink changes
let last = null; // what was asked: a function that asks it again
let liftedAt = null; // when the pen left the sheet, ms
let gaps = []; // pauses between strokes of this writer, ms, the latest last

const sheet = makeSheet(find("sheet"), { onBegin: begin, onEnd: end });
const viewer = makeViewer(find);
const history_ = makeHistory(find, { onChoose: (latex) => readings.put(latex), keep });
const readings = makeReadings(find, { onCopy: (latex) => history_.add(latex) });
offerExamples(find, {
  onChoose: (strokes) => {
    viewer.hide();
    sheet.change(placed(strokes, find("sheet").clientWidth, find("sheet").clientHeight));
    find("paper").scrollIntoView({ block: "nearest" });
  },
});
watchFiles(find, { onFile: open, onProblem: (text) => say(text, true) });

function keep(key, value) {
  find("full").hidden = store(key, value);
}

function say(text, isWarning = false) {
  find("note").textContent = text;
  find("note").classList.toggle("warn", isWarning);
}

function begin() {
  if (liftedAt !== null) {
    const gap = performance.now() - liftedAt;
    if (gap < 1500) gaps = [...gaps.slice(-19), gap]; // longer ones are thoughts
  }
  liftedAt = null;
  stop();
  refresh();
}

// How long to wait for another stroke: a little longer than most pauses of this writer.
function pauseMs() {
  if (gaps.length < 3) return 350;
  const most = [...gaps].sort((a, b) => a - b)[Math.floor(0.8 * gaps.length)];
  return Math.min(PAUSES_MS[1], Math.max(PAUSES_MS[0], 1.15 * most));
}

function stop() {
  clearTimeout(timer);
  asking?.abort();
  asking = null;
}

function refresh() {
  find("undo").disabled = !sheet.canUndo();
  find("redo").disabled = !sheet.canRedo();
  find("clear").disabled = sheet.strokes.length === 0;
  find("hint").hidden = sheet.strokes.length > 0;
}

function end() {
  liftedAt = performance.now();
  stop();
  refresh();
  keep(INK_KEY, rounded(sheet.strokes));
  const { strokes } = sheet;
  if (strokes.length === 0) {
    say("");
    readings.clear();
  } else timer = setTimeout(() => ask(JSON.stringify({ strokes: rounded(strokes) }), "application/json"), pauseMs());
}

function rounded(strokes) {
  return strokes.map((stroke) => stroke.map((point) => point.map((value) => Math.round(value * 100) / 100)));
}

function open(file) {
  stop();
  viewer.show(file);
  ask(file, "application/octet-stream");
}

async function ask(body, type) {
  stop();
  last = () => ask(body, type);
  find("again").hidden = true;
  const request = (asking = new AbortController());
  say("Reading …");
  let answer, content;
  try {
    const options = { method: "POST", body, headers: { "Content-Type": type }, signal: request.signal };
    answer = await fetch(`/recognize?${QUALITIES[find("quality").value]}`, options);
    content = await answer.json();
  } catch (error) {
    if (error.name === "AbortError") return;
    say("No answer: the service or the network is gone. What you wrote is kept.", true);
    find("again").hidden = false;
    return;
  }
  if (!answer.ok) {
    say(`It cannot be read: ${content.error}`, true);
    find("again").hidden = answer.status < 500;
    readings.clear();
    return;
  }
  say(...verdictOn(content));
  await readings.show([content, ...content.alternatives]);
}

function clear() {
  history_.add(readings.latex());
  sheet.clear();
}

find("undo").addEventListener("click", sheet.undo);
find("redo").addEventListener("click", sheet.redo);
find("clear").addEventListener("click", clear);
find("again").addEventListener("click", () => last?.());
find("eraser").addEventListener("click", () => {
  sheet.isErasing = !sheet.isErasing;
  find("eraser").setAttribute("aria-pressed", String(sheet.isErasing));
  find("sheet").classList.toggle("erasing", sheet.isErasing);
});
find("quality").addEventListener("change", () => last && (viewer.isShown() || sheet.strokes.length) && last());
find("remove").addEventListener("click", () => {
  viewer.hide();
  end(); // what was on the sheet before
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", sheet.draw);
sheet.change(storedInk());
refresh();
