"use strict";
// All parts together: what is written or opened is sent to a service, and its answer is shown.
const PAUSES_MS = [250, 900]; // the shortest and the longest wait for another stroke
const FOR_NOW = [408, 429]; // statuses that say nothing of the ink, as those from 500 on do

// find: returns the element of an id.
// service: recognize(item, quality, signal), with strokes, a list of inks or a file as the item, and
// typeset(formulas, signal), both of which return a promise of the answer or throw a ServiceError, and a promise
// of examples.
// Returns the parts, and stop(), which ends them.
function makeWriter(find, service) {
  const life = new AbortController();
  const pace = { liftedAt: null, gaps: [] }; // when the pen left the sheet, and the pauses before, ms, the latest last
  let timer = 0;
  let asking = null; // the pending request, aborted when the ink changes
  let last = null; // what was asked: a function that asks it again
  let example = null; // the one that the sheet shows unchanged

  const typeset = service.typeset;
  const sheet = makeSheet(find("sheet"), { onBegin: begin, onEnd: end });
  const viewer = makeViewer(find);
  const written = makeHistory(find, { typeset, onChoose: (latex) => readings.put(latex), keep });
  const readings = makeReadings(find, { typeset, onCopy: written.add });
  offerExamples(find, { examples: service.examples, onChoose: showExample });
  watchFiles(find, { onFiles: open, onProblem: (text) => say(text, true), signal: life.signal });

  function keep(key, value) {
    find("full").hidden = store(key, value);
  }

  function say(text, isWarning = false) {
    find("note").textContent = text;
    find("note").classList.toggle("warn", isWarning);
  }

  function begin() {
    if (pace.liftedAt !== null) {
      const gap = performance.now() - pace.liftedAt;
      if (gap < 1500) pace.gaps = [...pace.gaps.slice(-19), gap]; // longer ones are thoughts
    }
    pace.liftedAt = null;
    stop();
    refresh();
  }

  // How long to wait for another stroke: a little longer than most pauses of this writer.
  pace.pauseMs = () => {
    if (pace.gaps.length < 3) return 350;
    const most = [...pace.gaps].sort((a, b) => a - b)[Math.floor(0.8 * pace.gaps.length)];
    return Math.min(PAUSES_MS[1], Math.max(PAUSES_MS[0], 1.15 * most));
  };

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
    pace.liftedAt = performance.now();
    example = null;
    stop();
    refresh();
    keep(INK_KEY, rounded(sheet.strokes));
    if (sheet.strokes.length === 0) {
      say("");
      show(null);
    } else timer = setTimeout(() => ask(readInk), pace.pauseMs());
  }

  function showExample(chosen) {
    hideFiles();
    sheet.change(placed(chosen.strokes, find("sheet").clientWidth, find("sheet").clientHeight));
    example = chosen;
    find("paper").scrollIntoView({ block: "nearest" });
  }

  // The answer for what is on the sheet, as one line or as several.
  async function readInk(signal) {
    const strokes = rounded(sheet.strokes);
    const lines = linesOf(strokes);
    if (lines.length === 0) return recognize({ strokes }, signal);
    const inks = [strokes, ...lines].map((each) => ({ strokes: each }));
    const { results } = await recognize(inks, signal);
    const failed = results.find((result) => result.error);
    return failed ? (results[0].error ? Promise.reject(new ServiceError(failed.error, failed.status)) : results[0]) : joined(results[0], results.slice(1));
  }

  function recognize(item, signal) {
    return service.recognize(item, find("quality").value, signal);
  }

  function open(files) {
    stop();
    example = null;
    last = null;
    viewer.show(files[0]);
    find("several").hidden = files.length < 2;
    if (files.length === 1) return ask((signal) => recognize(files[0], signal));
    const answers = new Map();
    const lines = files.map((file) => lineOf(file, () => {
      viewer.show(file);
      if (answers.has(file)) show(answers.get(file));
      else ask((signal) => recognize(file, signal));
    }));
    find("opened").replaceChildren(...lines);
    return ask(async (signal) => {
      for (const [i, file] of files.entries()) {
        say(`Reading ${i + 1} of ${files.length} files …`);
        const answer = await recognize(file, signal).catch((error) => {
          if (!(error instanceof ServiceError)) throw error;
          return { error: error.message };
        });
        if (!answer.error) answers.set(file, answer);
        lines[i].querySelector("code").textContent = answer.error ? `It cannot be read: ${answer.error}` : answer.latex;
      }
      const first = files.find((file) => answers.has(file));
      if (!first) throw new ServiceError("none of the files is a picture or an ink of a formula", 422);
      viewer.show(first);
      return answers.get(first);
    });
  }

  function lineOf(file, onChoose) {
    const [line, choose, name, code] = ["li", "button", "span", "code"].map((tag) => document.createElement(tag));
    name.textContent = file.name;
    code.textContent = "…";
    choose.append(name, code);
    choose.addEventListener("click", onChoose);
    line.append(choose);
    return line;
  }

  function hideFiles() {
    viewer.hide();
    find("several").hidden = true;
    find("opened").replaceChildren();
  }

  async function ask(read) {
    stop();
    last = () => ask(read);
    find("again").hidden = true;
    const request = (asking = new AbortController());
    say("Reading …");
    try {
      const answer = await read(request.signal);
      if (request.signal.aborted) return;
      await show(answer);
    } catch (error) {
      if (request.signal.aborted) return;
      const isKnown = error instanceof ServiceError;
      const isForNow = isKnown && (error.status >= 500 || FOR_NOW.includes(error.status));
      const problem = isKnown ? `${isForNow ? "No answer now" : "It cannot be read"}: ${error.message}` : "No answer: the service or the network is gone. What you wrote is kept.";
      say(problem, true);
      find("again").hidden = isKnown && !isForNow;
      if (isKnown) show(null);
    }
  }

  // Shows an answer; nothing for null.
  function show(answer) {
    const isExample = answer !== null && example !== null;
    find("expected").hidden = !isExample || answer.latex === example.latex;
    find("expected").textContent = isExample ? `The example is ${example.latex}` : "";
    find("seen").hidden = !answer?.picture;
    if (answer?.picture) find("seen-picture").src = answer.picture;
    if (answer === null) return readings.show([]);
    say(...verdictOn(answer));
    return readings.show([answer, ...answer.alternatives]);
  }

  function rounded(strokes) {
    return strokes.map((stroke) => stroke.map((point) => point.map((value) => Math.round(value * 100) / 100)));
  }

  const onClick = (id, action) => find(id).addEventListener("click", action);
  onClick("undo", sheet.undo);
  onClick("redo", sheet.redo);
  onClick("clear", () => {
    written.add(readings.latex());
    sheet.clear();
  });
  onClick("again", () => last?.());
  onClick("eraser", () => {
    sheet.isErasing = !sheet.isErasing;
    find("eraser").setAttribute("aria-pressed", String(sheet.isErasing));
    find("sheet").classList.toggle("erasing", sheet.isErasing);
  });
  onClick("remove", () => {
    hideFiles();
    end(); // what was on the sheet before
  });
  find("quality").addEventListener("change", () => last && (viewer.isShown() || sheet.strokes.length) && last());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", sheet.draw, { signal: life.signal });
  sheet.change(storedInk());
  refresh();
  return { sheet, viewer, readings, written, pace, stop: () => life.abort() };
}

// An answer of the service that is no reading: it cannot be read, or not now.
class ServiceError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}
