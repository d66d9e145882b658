// Bars, heat maps and chips, as scenes like those of curves.js.
"use strict";

function drawBars(spec, state, width) {
  const root = shape("g");
  const parts = [...new Set(spec.parts ?? [])];
  const groups = parts.map((key, k) => ({ key, k, colour: `k${k % KINDS}` }));
  const shown = [...spec.names.keys()].filter((i) => !state.off.has(spec.parts?.[i]));
  const texts = spec.values.map((value) => numberText(value, spec.value.format, 3));
  const layout = barRows(spec, shown, width, texts);
  const { left, right, rows, bottom } = layout;
  const range = rangeOf(spec.value, [...spec.values, ...(spec.low ?? []), ...(spec.high ?? []),
    ...(spec.value.scale === "log" ? [] : [0])], { margin: spec.value.scale === "log" ? 0.06 : 0 });
  const x = scaleOf(spec.value, range, [left, right]);
  for (const tick of ticksAlong(x)) {
    const at = x.at(tick.value);
    root.append(shape("path", { d: `M${at},4V${bottom}`, class: "grid" }));
    drawTick(root, tick.text, at, bottom + 18, width);
  }
  const zero = x.at(spec.value.scale === "log" ? x.low : clamp(0, x.low, x.high));
  root.append(shape("path", { d: `M${zero},4V${bottom}`, class: "axis" }));
  const tracks = rows.map((row) => {
    const group = groups.find(({ key }) => key === spec.parts?.[row.i]);
    return drawBar(root, spec, row, x, { text: texts[row.i], colour: group?.colour ?? "k0" });
  });
  const titles = wrapped(spec.value.label, width - 20, TEXT);
  root.append(words(titles, clamp((left + right) / 2, widthOf(titles[0], TEXT) / 2, width), bottom + 40,
    { class: "label title", "text-anchor": "middle" }));
  const tell = ({ i, colour }) => ({ name: spec.names[i], colour, rows: [
    [spec.value.label, intervalText(spec.values[i], spec.low?.[i], spec.high?.[i], spec.value.format)],
    ...(spec.parts ? [["part", spec.parts[i]]] : []),
  ] });
  return { root, width, height: bottom + 44 + 17 * titles.length - 10, groups, tracks, tell, weights: [0, 1], reach: 30 };
}

// Names stand beside the bars, or above them where the page is narrow.
function barRows(spec, shown, width, texts) {
  const beside = width >= 400;
  const widest = Math.max(0, ...spec.names.map((name) => widthOf(name, TEXT)));
  const room = beside ? Math.min(widest, width * 0.36) + 14 : 0;
  const left = beside ? room : 1;
  const right = width - Math.max(24, ...texts.map((text) => widthOf(text))) - 18;
  const rows = [];
  let top = 6;
  for (const i of shown) {
    const lines = wrapped(spec.names[i], beside ? room - 14 : width - 8, TEXT);
    const height = beside ? Math.max(28, 16 * lines.length + 10) : 16 * lines.length + 26;
    const middle = beside ? top + height / 2 : top + height - 12;
    const name = beside ? middle + 4 - 8 * (lines.length - 1) : top + 14;
    rows.push({ i, lines, middle, name, beside, left });
    top += height;
  }
  return { left, right, rows, bottom: top + 4 };
}

function drawBar(root, spec, row, x, { text, colour }) {
  const { i, middle } = row;
  const value = spec.values[i];
  const [low, high] = [spec.low?.[i], spec.high?.[i]];
  root.append(words(row.lines, row.beside ? row.left - 10 : 0, row.name,
    { class: "label name", "text-anchor": row.beside ? "end" : "start" }));
  const zero = x.at(spec.value.scale === "log" ? x.low : clamp(0, x.low, x.high));
  const end = isNumber(value) ? x.at(value) : zero;
  const size = { x: Math.min(zero, end), y: middle - 8, width: Math.abs(end - zero), height: 16, rx: 1.5 };
  root.append(shape("g", { class: colour }, shape("rect", { ...size, class: "bar mark" })));
  const hasInterval = isNumber(low) && isNumber(high);
  if (hasInterval) {
    const d = `M${x.at(low)},${middle}H${x.at(high)}M${x.at(low)},${middle - 4}v8M${x.at(high)},${middle - 4}v8`;
    root.append(shape("path", { d, class: "interval" }));
  }
  const after = Math.max(end, zero, hasInterval ? x.at(high) : 0);
  root.append(words(text, after + 7, middle + 4, { class: "tick value" }));
  return { points: [{ x: end, y: middle, i }], i, colour };
}

// The scale of colours, with its ticks: drawn above what it explains.
function drawColourBar(root, ramp, width, state) {
  const lines = wrapped(ramp.scale.axis.label, width, TEXT);
  const top = 14 + 16 * lines.length;
  const long = Math.min(width - 2, 320);
  const gradient = `${state.id}-ramp`;
  const stops = ramp.stops.map((colour, k) =>
    shape("stop", { offset: k / (ramp.stops.length - 1), "stop-color": colour }));
  root.append(shape("linearGradient", { id: gradient }, ...stops));
  root.append(words(lines, 0, 14, { class: "label title" }));
  root.append(shape("rect", { x: 1, y: top - 6, width: long, height: 12, rx: 2, fill: `url(#${gradient})` }));
  const scale = scaleOf(ramp.scale.axis, [ramp.scale.low, ramp.scale.high], [1, 1 + long]);
  for (const tick of ticksAlong(scale, 26)) {
    const at = scale.at(tick.value);
    root.append(shape("path", { d: `M${at},${top + 6}v4`, class: "axis" }));
    drawTick(root, tick.text, at, top + 23, width);
  }
  return top + 40;
}

function hatching(root, state) {
  const id = `${state.id}-absent`;
  root.append(shape("pattern", { id, width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
    shape("rect", { width: 6, height: 6, class: "surface" }), shape("path", { d: "M1,0V6", class: "hatch" })));
  return `url(#${id})`;
}

function absentKey(root, fill, x, y) {
  root.append(shape("rect", { x, y: y - 10, width: 12, height: 12, fill, class: "outline" }));
  root.append(words("no value", x + 18, y, { class: "tick" }));
}

// Heat maps --------------------------------------------------------------------------------------

// Above this many cells they are one image: a browser is slow with so many nodes.
const CELLS = 3000;

function heatLayout(spec, width, top) {
  const [rows, columns] = [spec.rows.length, spec.columns.length];
  const nameRoom = Math.min(Math.max(0, ...spec.rows.map((name) => widthOf(name))), width * 0.3);
  const left = nameRoom + 34;
  let cellWidth = Math.min((width - left - 8) / columns, 92);
  let cellHeight = clamp(520 / rows, 2, 34);
  if (rows > 12 && columns > 12) cellWidth = cellHeight = Math.min(cellWidth, Math.max(600 / rows, 3));
  const widest = Math.max(0, ...spec.columns.map((name) => widthOf(name)));
  const isUpright = widest + 10 > cellWidth * Math.max(1, Math.ceil(columns / 16));
  const nameHeight = isUpright ? Math.min(widest, 110) : 12;
  return { rows, columns, left, top: top + 8, cellWidth, cellHeight, nameRoom, isUpright, nameHeight,
    right: left + cellWidth * columns, bottom: top + 8 + cellHeight * rows };
}

function heatNames(root, spec, at) {
  const everyRow = Math.ceil(16 / at.cellHeight);
  spec.rows.forEach((name, k) => {
    if (k % everyRow) return;
    const y = at.top + (k + 0.5) * at.cellHeight + 4;
    root.append(words(shortened(name, at.nameRoom), at.left - 8, y, { class: "tick y", "text-anchor": "end" }));
  });
  const widest = Math.max(...spec.columns.map((name) => widthOf(name)));
  const everyColumn = Math.ceil((at.isUpright ? 17 : widest + 10) / at.cellWidth);
  spec.columns.forEach((name, k) => {
    if (k % everyColumn) return;
    const x = at.left + (k + 0.5) * at.cellWidth;
    if (!at.isUpright) {
      root.append(words(name, x, at.bottom + 16, { class: "tick x", "text-anchor": "middle" }));
      return;
    }
    const [a, b] = [x + 4, at.bottom + 8];
    root.append(words(shortened(name, 110), a, b, { class: "tick x", "text-anchor": "end", transform: `rotate(-90 ${a} ${b})` }));
  });
  const middle = (at.left + at.right) / 2;
  root.append(words(spec.column_label, Math.max(middle, widthOf(spec.column_label, TEXT) / 2), at.bottom + at.nameHeight + 32,
    { class: "label title", "text-anchor": "middle" }));
  const y = (at.top + at.bottom) / 2;
  root.append(words(shortened(spec.row_label, Math.max(at.bottom - at.top, 120), TEXT), 12, y,
    { class: "label title", "text-anchor": "middle", transform: `rotate(-90 12 ${y})` }));
}

function heatCells(root, spec, at, ramp, absent) {
  const cells = shape("g", { class: "cells" });
  root.append(cells);
  const colours = spec.values.map((row) => row.map((value) => (isNumber(value) ? ramp.colour(value) : null)));
  if (at.rows * at.columns > CELLS) {
    cells.append(shape("rect", { x: at.left, y: at.top, width: at.right - at.left, height: at.bottom - at.top, fill: absent }));
    cells.append(shape("image", { href: heatImage(colours, at), x: at.left, y: at.top, class: "mark",
      width: at.right - at.left, height: at.bottom - at.top, preserveAspectRatio: "none" }));
    return;
  }
  const gap = Math.min(at.cellWidth, at.cellHeight) > 10 ? 1 : 0;
  const texts = spec.values.map((row) => row.map((value) => numberText(value, spec.value.format, 2)));
  const widest = Math.max(0, ...texts.flat().map((text) => widthOf(text)));
  const hasRoom = widest + 8 < at.cellWidth && at.cellHeight >= 18;
  colours.forEach((row, r) => row.forEach((fill, c) => {
    const [x, y] = [at.left + c * at.cellWidth, at.top + r * at.cellHeight];
    cells.append(shape("rect", { x, y, width: at.cellWidth - gap, height: at.cellHeight - gap, fill: fill ?? absent, class: "mark" }));
    if (!hasRoom || !fill) return;
    cells.append(words(texts[r][c], x + at.cellWidth / 2, y + at.cellHeight / 2 + 4,
      { class: "tick cell", "text-anchor": "middle", fill: inkOn(fill) }));
  }));
}

function heatImage(colours, at) {
  const canvas = document.createElement("canvas");
  // Whole pixels a cell, so that no browser smooths one into another.
  const size = Math.max(1, Math.floor(1200 / Math.max(at.rows, at.columns)));
  [canvas.width, canvas.height] = [at.columns * size, at.rows * size];
  const brush = canvas.getContext("2d");
  colours.forEach((row, r) => row.forEach((fill, c) => {
    if (!fill) return;
    brush.fillStyle = fill;
    brush.fillRect(c * size, r * size, size, size);
  }));
  return canvas.toDataURL("image/png");
}

function drawHeatMap(spec, state, width) {
  const root = shape("g");
  const ramp = rampOf(spec.value, spec.values.flat(), spec.centred);
  const at = heatLayout(spec, width, drawColourBar(root, ramp, width, state));
  const fill = hatching(root, state);
  heatCells(root, spec, at, ramp, fill);
  heatNames(root, spec, at);
  let height = at.bottom + at.nameHeight + 40;
  if (spec.values.flat().some((value) => !isNumber(value))) {
    absentKey(root, fill, at.left, height + 12);
    height += 22;
  }
  const tracks = spec.values.map((row, r) => ({ r, points: row.map((_, i) => ({
    i, x: at.left + (i + 0.5) * at.cellWidth, y: at.top + (r + 0.5) * at.cellHeight })) }));
  const tell = ({ r }, { i }) => ({ name: `${spec.rows[r]}, ${spec.columns[i]}`, rows: [
    [spec.value.label, numberText(spec.values[r][i], spec.value.format)]] });
  const ring = [at.cellWidth, at.cellHeight];
  return { root, width, height, groups: [], tracks, tell, ring, isGrid: true, weights: [1 / ring[0], 1 / ring[1]], reach: 0.72 };
}

// Chips ------------------------------------------------------------------------------------------

// Places in pixels: as wide as there is room, but never so small that a finger misses a qubit.
function chipLayout(spec, width, top) {
  const xs = spec.places.map(([x]) => x);
  const ys = spec.places.map(([, y]) => y);
  const [left, upper] = [Math.min(...xs), Math.min(...ys)];
  const [wide, tall] = [Math.max(...xs) - left, Math.max(...ys) - upper];
  let nearest = Infinity;
  for (let a = 0; a < xs.length; a += 1) {
    for (let b = 0; b < a; b += 1) nearest = Math.min(nearest, Math.hypot(xs[a] - xs[b], ys[a] - ys[b]) || Infinity);
  }
  if (nearest === Infinity) nearest = 1;
  const fits = Math.min((width - 52) / (wide || 1), 560 / (tall || 1));
  const unit = clamp(fits, 22 / nearest, 76 / nearest);
  const radius = clamp(unit * nearest * 0.36, 8, 20);
  const edge = radius + 7;
  const full = Math.max(width, wide * unit + 2 * edge);
  const start = (full - wide * unit) / 2;
  return { radius, full, height: tall * unit + 2 * edge,
    places: spec.places.map(([x, y]) => [start + (x - left) * unit, top + edge + (y - upper) * unit]) };
}

function drawChip(spec, state, width) {
  const root = shape("g");
  const layer = spec.layers[state.layer] ?? { name: "", value: { label: "" }, qubits: [], couplings: [] };
  const values = [...layer.qubits, ...layer.couplings];
  const ramp = rampOf(layer.value, values, layer.centred);
  const hasValues = values.some(isNumber);
  const top = hasValues ? drawColourBar(root, ramp, width, state) + 6 : 4;
  const at = chipLayout(spec, width, top);
  const fill = hatching(root, state);
  const colour = (list, k) => (isNumber(list[k]) ? ramp.colour(list[k]) : fill);
  const couplings = chipCouplings(root, spec, at, layer.couplings, colour);
  const qubits = chipQubits(root, spec, at, layer.qubits, colour);
  let height = top + at.height;
  if (layer.qubits.length && layer.qubits.some((value) => !isNumber(value))) {
    absentKey(root, fill, 24, height + 14);
    height += 24;
  }
  const tell = (track, { i }) => {
    const isQubit = track === qubits;
    const ends = spec.couplings[i];
    const name = isQubit ? spec.names[i] : `${spec.names[ends[0]]} – ${spec.names[ends[1]]}`;
    // All layers at once: a bad qubit is rarely bad in one way only.
    const rows = spec.layers.map((each) => [each.name, (isQubit ? each.qubits : each.couplings)[i], each.value.format]);
    return { name, note: isQubit && spec.ringed.includes(i) ? "ringed" : undefined,
      rows: rows.filter(([, value]) => value !== undefined).map(([label, value, format]) => [label, numberText(value, format)]) };
  };
  return { root, width: at.full, height, groups: [], tracks: [qubits, couplings].filter((t) => t.points.length),
    tell, reach: Math.max(at.radius * 1.6, 16) };
}

function chipCouplings(root, spec, at, values, colour) {
  const points = spec.couplings.map(([a, b], i) => {
    const [[x1, y1], [x2, y2]] = [at.places[a], at.places[b]];
    const line = { x1, y1, x2, y2 };
    if (isNumber(values[i])) {
      root.append(shape("line", { ...line, class: "casing" }));
      root.append(shape("line", { ...line, class: "coupling mark", stroke: colour(values, i) }));
    } else {
      root.append(shape("line", { ...line, class: values.length ? "coupling none" : "coupling plain" }));
    }
    return { x: (x1 + x2) / 2, y: (y1 + y2) / 2, i };
  });
  return { points };
}

function chipQubits(root, spec, at, values, colour) {
  const hasRoom = spec.names.every((name) => widthOf(name) <= 2 * at.radius - 3);
  const points = at.places.map(([x, y], i) => {
    const fill = values.length ? colour(values, i) : null;
    const disc = shape("circle", { cx: x, cy: y, r: at.radius, class: `qubit mark ${fill ? "" : "surface"}` });
    if (fill) disc.setAttribute("fill", fill);
    root.append(disc);
    if (spec.ringed.includes(i)) root.append(shape("circle", { cx: x, cy: y, r: at.radius + 3.5, class: "ringed" }));
    if (hasRoom) {
      const ink = fill?.startsWith("#") ? { fill: inkOn(fill), class: "tick cell" } : { class: "tick name" };
      root.append(words(spec.names[i], x, y + 4, { "text-anchor": "middle", ...ink }));
    }
    return { x, y, i };
  });
  return { points };
}

const DRAWINGS = { Chart: drawChart, Bars: drawBars, HeatMap: drawHeatMap, Chip: drawChip };
