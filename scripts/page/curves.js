// Charts of curves: axes, bands, lines, points. Each kind of figure gives a scene: its nodes, its
// size, `tracks` of points that one can come to, and `tell`, which says what a point is.
"use strict";

const POLYGONS = {
  square: [[-0.9, -0.9], [0.9, -0.9], [0.9, 0.9], [-0.9, 0.9]],
  up: [[0, -1.15], [1.05, 0.8], [-1.05, 0.8]],
  diamond: [[0, -1.25], [1.25, 0], [0, 1.25], [-1.25, 0]],
  down: [[0, 1.15], [1.05, -0.8], [-1.05, -0.8]],
  plus: [[-0.4, -1.15], [0.4, -1.15], [0.4, -0.4], [1.15, -0.4], [1.15, 0.4], [0.4, 0.4],
    [0.4, 1.15], [-0.4, 1.15], [-0.4, 0.4], [-1.15, 0.4], [-1.15, -0.4], [-0.4, -0.4]],
};
POLYGONS.cross = POLYGONS.plus.map(([x, y]) => [(x - y) * 0.75, (x + y) * 0.75]);
POLYGONS.star = [...Array(10).keys()].map((k) => {
  const size = k % 2 ? 0.6 : 1.35;
  return [size * Math.sin((k * Math.PI) / 5), -size * Math.cos((k * Math.PI) / 5)];
});
const MARKERS = ["circle", "square", "up", "diamond", "down", "plus", "cross", "star"];
const DASHES = ["", "7 2.5", "2 2", "8 2.5 2 2.5", "4 2 1.5 2 1.5 2", "11 4", "3.5 3.5", "12 3 3 3"];

function markerPath(kind, x, y, size = 4) {
  if (kind === "circle") return `M${x - size},${y}a${size},${size} 0 1,0 ${2 * size},0a${size},${size} 0 1,0 ${-2 * size},0z`;
  return `M${POLYGONS[kind].map(([a, b]) => `${x + a * size},${y + b * size}`).join("L")}z`;
}

// Curves of one group share a colour, a marker and a button.
function groupsOf(spec) {
  const groups = new Map();
  const anyDashed = spec.curves.some((curve) => curve.dashed);
  for (const curve of spec.curves) {
    const key = curve.group ?? curve.name;
    if (!groups.has(key)) {
      const k = groups.size;
      const dash = anyDashed ? "" : DASHES[k % KINDS];
      groups.set(key, { key, k, dash, curves: [],
        colour: `k${k % KINDS}`, marker: MARKERS[(k + Math.floor(k / KINDS)) % KINDS] });
    }
    groups.get(key).curves.push(curve);
  }
  return [...groups.values()];
}

const dashOf = (group, curve) => (curve.dashed ? "5 3.5" : group.dash);

// A sample of a group's look, for its button and for the printed key: 26 by 12 pixels.
function swatch(group, dashed = false) {
  const node = shape("g", { class: group.colour });
  if (!group.curves) {
    node.append(shape("rect", { x: 6, y: 0, width: 14, height: 12, rx: 2, class: "bar" }));
    return node;
  }
  const curves = group.curves.filter((curve) => curve.dashed === dashed);
  if (curves.some((curve) => curve.mark !== "points")) {
    const dash = dashOf(group, curves[0]);
    node.append(shape("path", { d: "M0,6H26", class: "line", "stroke-dasharray": dash || "none" }));
  }
  const d = markerPath(group.marker, 13, 6);
  if (!dashed || curves.some((c) => c.mark === "points")) node.append(shape("path", { d, class: "mark" }));
  return node;
}

// What a group's key says: itself and, if it has both, its dashed curves by name.
function entriesOf(group) {
  if (!group.curves) return [{ group, dashed: false, text: group.key }];
  const solid = group.curves.filter((curve) => !curve.dashed);
  const dashed = group.curves.filter((curve) => curve.dashed);
  const entries = [{ group, dashed: solid.length === 0, text: group.key }];
  if (!solid.length || !dashed.length) return entries;
  for (const name of new Set(dashed.map((curve) => curve.name))) {
    const rest = name.startsWith(group.key) ? name.slice(group.key.length).replace(/^[\s,:·-]+/, "") : name;
    entries.push({ group, dashed: true, text: rest || name });
  }
  return entries;
}

// The key as drawing, for print and for saved pictures, below `top`; returns its height.
function drawKey(parent, groups, width, top) {
  let [x, y] = [0, top + 14];
  for (const { group, dashed, text } of groups.flatMap(entriesOf)) {
    const shown = shortened(text, width - 40, SMALL);
    const need = 34 + widthOf(shown) + 18;
    if (x > 0 && x + need > width) [x, y] = [0, y + 20];
    const sample = swatch(group, dashed);
    sample.setAttribute("transform", `translate(${x},${y - 6})`);
    parent.append(sample, words(shown, x + 34, y + 4, { class: "label key" }));
    x += need;
  }
  return y + 12 - top;
}

// Axes, and the frame that they leave -------------------------------------------------------------

function frameOf(spec, width, xRange, yRange) {
  const titleLines = wrapped(spec.y.label, width - 4, TEXT);
  const xLines = wrapped(spec.x.label, width - 60, TEXT);
  const height = clamp(Math.round(width * 0.52), 260, 430);
  const top = 12 + 16 * titleLines.length + 8;
  const bottom = height - 26 - 17 * xLines.length;
  const y = scaleOf(spec.y, yRange, [bottom, top]);
  // Powers of ten may stand closer than steps, of which many say no more than few.
  const apart = spec.y.scale === "log" ? 26 : clamp((bottom - top) / 7, 30, 44);
  const yTicks = ticksOf(y, Math.floor((bottom - top) / apart));
  const left = Math.max(...yTicks.map((tick) => widthOf(tick.text)), 16) + 12;
  const x = scaleOf(spec.x, xRange, [left, width - 18]);
  return { x, y, yTicks, xTicks: ticksAlong(x), left, right: width - 18, top, bottom, height, titleLines, xLines };
}

// A tick's word below its place, but within the picture.
function drawTick(parent, text, at, y, width) {
  const half = widthOf(text) / 2;
  const x = clamp(at, half, width - half);
  parent.append(words(text, x, y, { class: "tick x", "text-anchor": "middle" }));
}

function drawAxes(parent, frame) {
  const { x, y, left, right, top, bottom } = frame;
  for (const tick of frame.yTicks) {
    const at = y.at(tick.value);
    parent.append(shape("path", { d: `M${left},${at}H${right}`, class: "grid" }));
    parent.append(words(tick.text, left - 8, at + 4, { class: "tick y", "text-anchor": "end" }));
  }
  for (const tick of frame.xTicks) {
    const at = x.at(tick.value);
    parent.append(shape("path", { d: `M${at},${top}V${bottom}`, class: "grid" }));
    drawTick(parent, tick.text, at, bottom + 18, right + 18);
  }
  const minor = [...minorValues(x).map((v) => `M${x.at(v)},${bottom}v4`),
    ...minorValues(y).map((v) => `M${left},${y.at(v)}h-4`)];
  parent.append(shape("path", { d: minor.join("") || "M0,0", class: "axis" }));
  parent.append(shape("path", { d: `M${left},${bottom}H${right}`, class: "axis" }));
  parent.append(words(frame.titleLines, 0, 14, { class: "label title" }));
  parent.append(words(frame.xLines, (left + right) / 2, bottom + 38,
    { class: "label title", "text-anchor": "middle" }));
}

// Straight lines with their words, which step down where they would touch; too many stay silent.
function drawLines(parent, spec, frame) {
  const { x, y, left, right, top, bottom } = frame;
  const taken = [];
  for (const line of [...spec.lines].sort((a, b) => a.at - b.at)) {
    const isX = line.axis === "x";
    const scale = isX ? x : y;
    if (line.at < scale.low || line.at > scale.high) continue;
    const at = scale.at(line.at);
    const d = isX ? `M${at},${top}V${bottom}` : `M${left},${at}H${right}`;
    parent.append(shape("path", { d, class: "reference" }, shape("title", {}, line.label)));
    const long = widthOf(line.label);
    const flips = isX && at + 5 + long > right;
    const start = isX ? (flips ? at - 5 - long : at + 5) : right - long - 2;
    if (start < left) continue;
    const boxAt = (row) => [start, (isX ? top + 12 + row * 16 : at - 5 - row * 16)];
    const row = [0, 1, 2, 3].find((k) => {
      const [a, b] = boxAt(k);
      return b > top + 8 && taken.every((t) => a > t.end + 8 || a + long < t.start - 8 || Math.abs(b - t.at) > 14);
    });
    if (row === undefined) continue;
    const [a, b] = boxAt(row);
    taken.push({ start: a, end: a + long, at: b });
    parent.append(words(line.label, a, b, { class: "note" }));
  }
}

// Curves -----------------------------------------------------------------------------------------

// Runs of neighbours at which all the given columns have numbers.
function runsOf(columns) {
  const runs = [];
  let run = [];
  for (let i = 0; i < columns[0].length; i += 1) {
    if (columns.every((column) => isNumber(column[i]))) run.push(i);
    else if (run.length) runs.push(run.splice(0));
  }
  return run.length ? [...runs, run] : runs;
}

function pathThrough(indices, xs, ys, isStep) {
  let [path, before] = ["", null];
  for (const i of indices) {
    const [x, y] = [xs[i].toFixed(2), ys[i].toFixed(2)];
    path += path ? `${isStep ? `L${x},${before}` : ""}L${x},${y}` : `M${x},${y}`;
    before = y;
  }
  return path;
}

function bandPath(curve, pixels) {
  return runsOf([pixels.x, pixels.low, pixels.high]).map((run) => {
    const isStep = curve.mark === "step";
    const over = pathThrough(run, pixels.x, pixels.high, isStep);
    // A step holds until the next point, so that backwards the height comes before the place.
    const under = [];
    run.forEach((i, k) => {
      if (isStep && k) under.push(`L${pixels.x[i]},${pixels.low[run[k - 1]]}`);
      under.push(`L${pixels.x[i]},${pixels.low[i]}`);
    });
    return `${over}${under.reverse().join("")}z`;
  }).join("");
}

function barPath(pixels) {
  return runsOf([pixels.x, pixels.low, pixels.high]).flat().map((i) => {
    const [x, low, high] = [pixels.x[i], pixels.low[i], pixels.high[i]];
    return `M${x},${low}V${high}M${x - 3},${low}h6M${x - 3},${high}h6`;
  }).join("");
}

function pixelsOf(curve, frame) {
  const isLog = frame.y.axis.scale === "log";
  const along = (column, scale) => column?.map((value) => (isNumber(value) ? scale.at(value) : null));
  // On a logarithmic axis a zero has no place: it is a gap, and its upper end is shown as a limit.
  const y = curve.y.map((value) => (isNumber(value) && !(isLog && value <= 0) ? frame.y.at(value) : null));
  const xLog = frame.x.axis.scale === "log";
  const x = curve.x.map((value) => (isNumber(value) && !(xLog && value <= 0) ? frame.x.at(value) : null));
  const limits = isLog && curve.high
    ? [...curve.y.keys()].filter((i) => curve.y[i] === 0 && curve.high[i] > 0 && isNumber(x[i])) : [];
  return { x, y, low: along(curve.low, frame.y), high: along(curve.high, frame.y), limits };
}

function drawCurve(parent, group, curve, frame) {
  const pixels = pixelsOf(curve, frame);
  const node = shape("g", { class: `curve ${group.colour}`, "data-name": curve.name });
  const points = runsOf([pixels.x, pixels.y]);
  if (pixels.low && pixels.high) {
    const isPoints = curve.mark === "points";
    const d = isPoints ? barPath(pixels) : bandPath(curve, pixels);
    if (d) node.append(shape("path", { d, class: isPoints ? "whisker" : "band" }));
  }
  if (curve.mark !== "points") {
    const d = points.map((run) => pathThrough(run, pixels.x, pixels.y, curve.mark === "step")).join("");
    const dash = dashOf(group, curve) || "none";
    if (d) node.append(shape("path", { d, class: "line", "stroke-dasharray": dash }));
  }
  const all = points.flat();
  const every = curve.mark === "points" || all.length <= 40 ? 1 : Math.ceil(all.length / 8);
  const marked = all.filter((_, k) => (k + group.k * 3) % every === 0);
  const lone = points.filter((run) => run.length === 1).flat();
  const size = all.length > 200 && every === 1 ? 2.5 : 4;
  const d = [...new Set([...marked, ...lone])].map((i) => markerPath(group.marker, pixels.x[i], pixels.y[i], size));
  if (d.length) node.append(shape("path", { d: d.join(""), class: "mark" }));
  for (const i of pixels.limits) {
    const [x, y] = [pixels.x[i], pixels.high[i]];
    node.append(shape("path", { d: `M${x - 5},${y}h10M${x},${y}v16m-4,-5l4,5l4,-5`, class: "limit" }));
  }
  parent.append(node);
  const heights = pixels.y.map((y, i) => (pixels.limits.includes(i) ? pixels.high[i] : y));
  return runsOf([pixels.x, heights]).flat().map((i) => ({ x: pixels.x[i], y: heights[i], i }))
    .filter(({ x, y }) => x >= frame.left - 1 && x <= frame.right + 1 && y >= frame.top - 1 && y <= frame.bottom + 1);
}

function rangesOf(spec, curves, view) {
  const isLog = spec.y.scale === "log";
  const ys = curves.flatMap((curve) => curve.y);
  const least = Math.min(...ys.filter((y) => y > 0).slice(0, 1e5));
  // An interval that goes down to almost nothing must not flatten all the rest.
  const ends = curves.flatMap((curve) => [...(curve.low ?? []), ...(curve.high ?? [])])
    .filter((value) => isNumber(value) && (!isLog || value > least / 20));
  const hasMarks = curves.some((c) => c.mark === "points" || c.x.length <= 40);
  const x = rangeOf(spec.x, curves.flatMap((c) => c.x), { margin: hasMarks ? 0.04 : 0 });
  const y = rangeOf(spec.y, [...ys, ...ends], { margin: 0.06, zero: true });
  return view ?? { x, y };
}

function intervalText(value, low, high, format) {
  const text = numberText(value, format);
  if (!isNumber(low) || !isNumber(high)) return text;
  return `${text} [${numberText(low, format)}, ${numberText(high, format)}]`;
}

function drawChart(spec, state, width) {
  const root = shape("g");
  const groups = groupsOf(spec);
  const ranges = rangesOf(spec, spec.curves, state.view);
  const frame = frameOf(spec, width, ranges.x, ranges.y);
  drawAxes(root, frame);
  const clip = `${state.id}-clip`;
  const { left, right, top, bottom } = frame;
  root.append(shape("clipPath", { id: clip },
    shape("rect", { x: left - 6, y: top - 6, width: right - left + 12, height: bottom - top + 12 })));
  const inner = shape("g", { "clip-path": `url(#${clip})` });
  root.append(inner);
  if (spec.diagonal) {
    const [a, b] = [Math.min(frame.x.low, frame.y.low), Math.max(frame.x.high, frame.y.high)];
    inner.append(shape("path", { d: `M${frame.x.at(a)},${frame.y.at(a)}L${frame.x.at(b)},${frame.y.at(b)}`, class: "reference" }));
  }
  const tracks = [];
  for (const group of groups.filter(({ key }) => !state.off.has(key))) {
    for (const curve of group.curves) {
      const points = drawCurve(inner, group, curve, frame);
      if (points.length) tracks.push({ points, curve, colour: group.colour });
    }
  }
  drawLines(root, spec, frame);
  if (!spec.curves.some((c) => runsOf([c.x, c.y]).length)) {
    root.append(words("No data yet", (left + right) / 2, (top + bottom) / 2, { class: "note empty", "text-anchor": "middle" }));
  }
  const tell = ({ curve, colour }, { i }) => ({ name: curve.name, colour, note: curve.notes?.[i], rows: [
    [spec.x.label, numberText(curve.x[i], spec.x.format)],
    [spec.y.label, intervalText(curve.y[i], curve.low?.[i], curve.high?.[i], spec.y.format)],
  ] });
  return { root, width, height: frame.height, groups, tracks, tell, frame, reach: 48 };
}
