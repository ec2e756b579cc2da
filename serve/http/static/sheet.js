"use strict";
// A sheet to write on, for the service's page and the demo. Records the pen's strokes in CSS pixels.
const MIN_STEP_PX = 1;

// onBegin: called when the pen touches the sheet. onEnd: called when it is lifted or strokes were removed;
// `sheet.strokes` is the ink.
function makeSheet(canvas, { onBegin, onEnd }) {
  const pen = canvas.getContext("2d");
  let current = null;

  const sheet = {
    strokes: [],
    undo: () => change(sheet.strokes.slice(0, -1)),
    clear: () => change([]),
    show, // replaces the ink by strokes in any unit
    draw,
    watch: new ResizeObserver(fit),
  };

  function fit() {
    const scale = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (width === 0) return; // hidden
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    const isOutside = ([x, y]) => x > width || y > height;
    if (sheet.strokes.some((stroke) => stroke.some(isOutside))) sheet.strokes = placed(sheet.strokes, width, height);
    draw();
  }

  function draw() {
    pen.clearRect(0, 0, canvas.clientWidth, canvas.clientHeight);
    pen.lineWidth = 2.5;
    pen.lineCap = pen.lineJoin = "round";
    pen.strokeStyle = getComputedStyle(canvas).color;
    pen.beginPath();
    for (const [first, ...rest] of sheet.strokes) {
      pen.moveTo(...first);
      pen.lineTo(...first); // a dot if there are no more points
      for (const point of rest) pen.lineTo(...point);
    }
    pen.stroke();
  }

  function change(strokes) {
    current = null;
    sheet.strokes = strokes;
    draw();
    onEnd();
  }

  function show(strokes) {
    current = null;
    sheet.strokes = placed(strokes, canvas.clientWidth, canvas.clientHeight);
    draw();
  }

  function positionOf(event) {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left - canvas.clientLeft, event.clientY - box.top - canvas.clientTop];
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    if (current !== null) {
      // ignore a second finger; a pen replaces the stroke of a resting hand
      if (event.pointerType !== "pen" || current.type === "pen") return;
      sheet.strokes.pop();
    }
    event.preventDefault();
    canvas.focus({ preventScroll: true, focusVisible: false });
    canvas.setPointerCapture(event.pointerId);
    current = { id: event.pointerId, type: event.pointerType, points: [positionOf(event)] };
    sheet.strokes.push(current.points);
    onBegin();
    draw();
  });

  canvas.addEventListener("pointermove", (event) => {
    if (current === null || event.pointerId !== current.id) return;
    const steps = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
    for (const step of steps.length ? steps : [event]) {
      const [x, y] = positionOf(step);
      const [lastX, lastY] = current.points[current.points.length - 1];
      if (Math.hypot(x - lastX, y - lastY) >= MIN_STEP_PX) current.points.push([x, y]);
    }
    draw();
  });

  for (const name of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(name, (event) => {
      if (current === null || event.pointerId !== current.id) return;
      current = null;
      onEnd();
    });
  }

  canvas.addEventListener("keydown", (event) => {
    const isUndo = event.key === "Backspace" || (event.key === "z" && (event.ctrlKey || event.metaKey));
    const isClear = event.key === "Delete" || event.key === "Escape";
    if ((!isUndo && !isClear) || sheet.strokes.length === 0) return;
    event.preventDefault();
    if (isUndo) sheet.undo();
    else sheet.clear();
  });

  sheet.watch.observe(canvas);
  return sheet;
}

// Strokes in any unit, scaled to fit the sheet with margins, and centred.
function placed(strokes, width, height) {
  const xs = strokes.flatMap((stroke) => stroke.map(([x]) => x));
  const ys = strokes.flatMap((stroke) => stroke.map(([, y]) => y));
  const [left, top] = [xs, ys].map((values) => values.reduce((a, b) => Math.min(a, b), Infinity));
  const [inkWidth, inkHeight] = [xs.reduce((a, b) => Math.max(a, b), left) - left, ys.reduce((a, b) => Math.max(a, b), top) - top];
  const scale = Math.min((0.85 * width) / (inkWidth || 1), (0.7 * height) / (inkHeight || 1));
  const [x0, y0] = [(width - scale * inkWidth) / 2 - scale * left, (height - scale * inkHeight) / 2 - scale * top];
  return strokes.map((stroke) => stroke.map(([x, y]) => [x0 + scale * x, y0 + scale * y]));
}
