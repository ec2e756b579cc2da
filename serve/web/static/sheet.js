"use strict";
// A sheet to write on, for the service's page and the demo. Records the pen's strokes in CSS pixels.
const MIN_STEP_PX = 1;
const ERASER_PX = 12; // how near the eraser must come to a stroke
const MAX_STEPS = 200; // that can be undone

// onBegin: called when the pen touches the sheet. onEnd: called when it is lifted or strokes were changed otherwise;
// `sheet.strokes` is the ink.
function makeSheet(canvas, { onBegin, onEnd }) {
  const pen = canvas.getContext("2d");
  let current = null; // the pen or finger that writes
  let past = []; // the inks before each change
  let future = []; // the inks that were undone

  const sheet = {
    strokes: [],
    isErasing: false, // whether the pen erases
    canUndo: () => past.length > 0,
    canRedo: () => future.length > 0,
    undo: () => step(past, future),
    redo: () => step(future, past),
    clear: () => change([]), // can be undone
    change, // to other strokes, in pixels of the sheet; can be undone
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

  function remember() {
    past = [...past.slice(1 - MAX_STEPS), [...sheet.strokes]];
    future = [];
  }

  function change(strokes) {
    if (strokes.length || sheet.strokes.length) remember();
    set(strokes);
  }

  function step(from, to) {
    if (from.length === 0) return;
    to.push([...sheet.strokes]);
    set(from.pop());
  }

  function set(strokes) {
    current = null;
    sheet.strokes = strokes;
    fit();
    onEnd();
  }

  function show(strokes) {
    remember();
    current = null;
    sheet.strokes = placed(strokes, canvas.clientWidth, canvas.clientHeight);
    draw();
  }

  function positionOf(event) {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left - canvas.clientLeft, event.clientY - box.top - canvas.clientTop];
  }

  function erase(place) {
    const left = sheet.strokes.filter((stroke) => distance(stroke, place) > ERASER_PX);
    if (left.length === sheet.strokes.length) return;
    if (!current.hasErased) remember();
    current.hasErased = true;
    sheet.strokes = left;
  }

  canvas.addEventListener("pointerdown", (event) => {
    const isEraser = sheet.isErasing || (event.pointerType === "pen" && event.button === 5); // a pen's other end
    if (event.button !== 0 && !isEraser) return;
    if (current !== null) {
      // ignore a second finger; a pen replaces the stroke of a resting hand
      if (event.pointerType !== "pen" || current.type === "pen") return;
      if (current.points) {
        sheet.strokes.pop();
        past.pop();
      }
    }
    event.preventDefault();
    canvas.focus({ preventScroll: true, focusVisible: false });
    canvas.setPointerCapture(event.pointerId);
    const place = positionOf(event);
    current = { id: event.pointerId, type: event.pointerType, points: isEraser ? null : [place], hasErased: false };
    if (isEraser) erase(place);
    else {
      remember();
      sheet.strokes.push(current.points);
    }
    onBegin();
    draw();
  });

  canvas.addEventListener("pointermove", (event) => {
    if (current === null || event.pointerId !== current.id) return;
    const steps = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
    for (const each of steps.length ? steps : [event]) {
      const [x, y] = positionOf(each);
      if (!current.points) {
        erase([x, y]);
        continue;
      }
      const [lastX, lastY] = current.points[current.points.length - 1];
      if (Math.hypot(x - lastX, y - lastY) >= MIN_STEP_PX) current.points.push([x, y]);
    }
    draw();
  });

  for (const name of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(name, (event) => {
      if (current === null || event.pointerId !== current.id) return;
      const { points } = current;
      current = null;
      if (points && isScribble(points)) {
        const others = sheet.strokes.slice(0, -1);
        const left = others.filter((stroke) => !isCovered(stroke, points));
        if (left.length < others.length) sheet.strokes = left; // the scribble crosses them out
        draw();
      }
      onEnd();
    });
  }

  canvas.addEventListener("keydown", (event) => {
    const isCommand = event.ctrlKey || event.metaKey;
    const key = event.key.toLowerCase();
    const isRedo = isCommand && (key === "y" || (key === "z" && event.shiftKey));
    const isUndo = key === "backspace" || (isCommand && key === "z" && !event.shiftKey);
    const isClear = key === "delete" || key === "escape";
    const action = isRedo ? sheet.redo : isUndo ? sheet.undo : isClear && sheet.strokes.length ? sheet.clear : null;
    if (action === null) return;
    event.preventDefault();
    action();
  });

  sheet.watch.observe(canvas);
  return sheet;
}

// Strokes in any unit, scaled to fit the sheet with margins, and centred.
function placed(strokes, width, height) {
  const { left, top, right, bottom } = boxOf(strokes.flat());
  const [inkWidth, inkHeight] = [right - left, bottom - top];
  const scale = Math.min((0.85 * width) / (inkWidth || 1), (0.7 * height) / (inkHeight || 1));
  const [x0, y0] = [(width - scale * inkWidth) / 2 - scale * left, (height - scale * inkHeight) / 2 - scale * top];
  return strokes.map((stroke) => stroke.map(([x, y]) => [x0 + scale * x, y0 + scale * y]));
}

function boxOf(points) {
  const box = { left: Infinity, top: Infinity, right: -Infinity, bottom: -Infinity };
  for (const [x, y] of points) {
    box.left = Math.min(box.left, x);
    box.right = Math.max(box.right, x);
    box.top = Math.min(box.top, y);
    box.bottom = Math.max(box.bottom, y);
  }
  return box;
}

// The least distance of a stroke from a place, in pixels.
function distance(stroke, [x, y]) {
  let least = Infinity;
  stroke.forEach(([x1, y1], i) => {
    const [x2, y2] = stroke[Math.min(i + 1, stroke.length - 1)];
    const length2 = (x2 - x1) ** 2 + (y2 - y1) ** 2;
    const share = length2 ? Math.max(0, Math.min(1, ((x - x1) * (x2 - x1) + (y - y1) * (y2 - y1)) / length2)) : 0;
    least = Math.min(least, Math.hypot(x - x1 - share * (x2 - x1), y - y1 - share * (y2 - y1)));
  });
  return least;
}

// Whether a stroke goes to and fro as nobody writes: it turns back at least five times, each time by a third of its
// extent, along one axis. A w turns back three times.
function isScribble(points) {
  const { left, top, right, bottom } = boxOf(points);
  return [[0, right - left], [1, bottom - top]].some(([axis, extent]) => extent >= 15 && turnsOf(points, axis, extent / 3) >= 5);
}

function turnsOf(points, axis, least) {
  let [turns, direction, extreme] = [0, 0, points[0][axis]];
  for (const point of points) {
    const change = point[axis] - extreme;
    if (direction === 0 ? Math.abs(change) >= least : -direction * change >= least) {
      if (direction !== 0) turns += 1;
      direction = Math.sign(change);
      extreme = point[axis];
    } else if (direction * change > 0) extreme = point[axis];
  }
  return turns;
}

// Whether most of a stroke lies in the box of the scribble.
function isCovered(stroke, scribble) {
  const { left, top, right, bottom } = boxOf(scribble);
  const inside = stroke.filter(([x, y]) => x >= left && x <= right && y >= top && y <= bottom);
  return inside.length >= 0.6 * stroke.length;
}

// A small drawing of strokes, as an SVG element.
function thumbnail(strokes) {
  const make = (name) => document.createElementNS("http://www.w3.org/2000/svg", name);
  const [svg, path] = [make("svg"), make("path")];
  const [width, height] = [120, 56];
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("aria-hidden", "true");
  const lines = placed(strokes, width, height).map((points) => points.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`));
  path.setAttribute("d", lines.map((points) => `M${points.join("L")}${points.length === 1 ? "h0" : ""}`).join(""));
  svg.append(path);
  return svg;
}
