// Scales, ticks, numbers in words and colours: what the kinds of figures share.
"use strict";

// The namespace comes from the parser, so that the file holds no address at all.
const NAMESPACE = (() => {
  const probe = document.createElement("template");
  probe.innerHTML = "<svg></svg>";
  return probe.content.firstChild.namespaceURI;
})();
const FONT = getComputedStyle(document.body).fontFamily;
const PEN = document.createElement("canvas").getContext("2d");
const KINDS = 8;
const TEXT = 13;
const SMALL = 12;

function shape(name, attributes = {}, ...children) {
  return dressed(document.createElementNS(NAMESPACE, name), attributes, children);
}

function html(name, attributes = {}, ...children) {
  return dressed(document.createElement(name), attributes, children);
}

function dressed(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const isNumber = (value) => value !== null && value !== undefined;

function widthOf(text, size = SMALL) {
  PEN.font = `${size}px ${FONT}`;
  return PEN.measureText(text).width;
}

// Lines no wider than `width`; names break after hyphens and dots, or anywhere if they must.
function wrapped(text, width, size = SMALL) {
  const lines = [""];
  for (let word of text.split(/(?<=[\s\-_/.,])/)) {
    const together = lines.at(-1) + word;
    if (widthOf(together.trimEnd(), size) <= width) {
      lines[lines.length - 1] = together;
      continue;
    }
    if (lines.at(-1)) lines.push("");
    while (widthOf(word.trimEnd(), size) > width && word.length > 1) {
      let end = word.length - 1;
      while (end > 1 && widthOf(word.slice(0, end), size) > width) end -= 1;
      lines[lines.length - 1] = word.slice(0, end);
      lines.push("");
      word = word.slice(end);
    }
    lines[lines.length - 1] = word;
  }
  return lines.map((line) => line.trim());
}

// One line that ends in … where it would be too wide.
function shortened(text, width, size = SMALL) {
  if (widthOf(text, size) <= width) return text;
  let end = text.length;
  while (end > 1 && widthOf(`${text.slice(0, end)}…`, size) > width) end -= 1;
  return `${text.slice(0, end).trimEnd()}…`;
}

function words(lines, x, y, attributes = {}) {
  const node = shape("text", { x, y, class: "label", ...attributes });
  [lines].flat().forEach((line, k) => {
    node.append(shape("tspan", { x, dy: k ? TEXT + 3 : 0 }, line));
  });
  return node;
}

// Numbers ----------------------------------------------------------------------------------------

function powerText(exponent) {
  const digits = [...String(Math.abs(exponent))].map((digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit]);
  return `10${exponent < 0 ? "⁻" : ""}${digits.join("")}`;
}

function plainText(value, digits = 4) {
  const size = Math.abs(value);
  const sign = value < 0 ? "−" : "";
  if (size === 0) return "0";
  if (Number.isInteger(size) && size < 1e7) return sign + size.toLocaleString("en-US");
  if (size >= 0.99995e-3 && size < 1e5) return sign + Number(size.toPrecision(digits));
  const [factor, exponent] = size.toExponential(digits - 1).split("e").map(Number);
  return sign + (factor === 1 ? "" : `${factor} × `) + powerText(exponent);
}

// Sizes of the units of time; `steps` are those between ticks that are not 1-2-5.
const UNITS = [
  { size: 1e-9, name: "ns" },
  { size: 1e-6, name: "µs" },
  { size: 1e-3, name: "ms" },
  { size: 1, name: "s" },
  { size: 60, name: "min", steps: [1, 2, 5, 10, 15, 30, 60] },
  { size: 3600, name: "h", steps: [1, 2, 3, 6, 12, 24] },
  { size: 86400, name: "d" },
];

function unitOf(seconds) {
  const size = Math.abs(seconds) * 1.0005;
  if (size >= 172800) return UNITS[6];
  if (size >= 7200) return UNITS[5];
  if (size >= 120) return UNITS[4];
  return UNITS.slice(0, 4).findLast((unit) => size >= unit.size) ?? UNITS[size < 1e-9 ? 0 : 3];
}

function numberText(value, format, digits = 4) {
  if (!isNumber(value)) return "none";
  if (format === "percent") return `${plainText(Number((100 * value).toPrecision(12)), digits)} %`;
  if (format !== "seconds" || value === 0) return plainText(value, digits);
  const unit = unitOf(value);
  return `${plainText(Number((value / unit.size).toPrecision(12)), digits)} ${unit.name}`;
}

// Scales and ticks -------------------------------------------------------------------------------

function scaleOf(axis, [low, high], [from, to]) {
  const isLog = axis.scale === "log";
  const fold = isLog ? Math.log10 : Number;
  const [a, b] = [fold(low), fold(high)];
  const at = (value) => from + ((to - from) * (fold(value) - a)) / (b - a);
  const value = (pixel) => {
    const folded = a + ((b - a) * (pixel - from)) / (to - from);
    return isLog ? 10 ** folded : folded;
  };
  // Zero on a logarithmic axis lies at its lower end.
  return { axis, low, high, from, to, value, at: (v) => (isLog && v <= 0 ? from : at(v)) };
}

// The ends of an axis: the data with a margin, unless the axis says. `zero`: it begins there if near.
function rangeOf(axis, values, { margin = 0, zero = false } = {}) {
  const isLog = axis.scale === "log";
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (!isNumber(value) || (isLog && value <= 0)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (low > high) [low, high] = isLog ? [0.1, 1] : [0, 1];
  if (isLog) {
    const pad = low === high ? 2 : (high / low) ** margin;
    [low, high] = [low / pad, high * pad];
  } else {
    const pad = low === high ? Math.abs(low) / 2 || 1 : (high - low) * margin;
    const fromZero = zero && low >= 0 && low < 0.5 * high;
    [low, high] = [fromZero ? 0 : low - pad, high + pad];
  }
  if (isNumber(axis.low) && !(isLog && axis.low <= 0)) low = axis.low;
  if (isNumber(axis.high) && !(isLog && axis.high <= 0)) high = axis.high;
  if (high > low) return [low, high];
  return isLog ? [low, low * 10] : [low, low + 1];
}

function linearTicks(low, high, room, format) {
  const widest = Math.max(Math.abs(low), Math.abs(high));
  const unit =
    { percent: { size: 0.01, name: "%" }, seconds: unitOf(widest) }[format] ?? { size: 1, name: "" };
  const raw = (high - low) / unit.size / Math.max(room, 1);
  const ten = 10 ** Math.floor(Math.log10(raw));
  const round = [1, 2, 5, 10].map((factor) => factor * ten).find((size) => size >= raw * 0.999);
  const listed = raw > 0.5 ? unit.steps?.find((size) => size >= raw) : undefined;
  const step = listed ?? round;
  const decimals = clamp(Math.ceil(-Math.log10(step) - 1e-9), 0, 12);
  const isPlain = widest / unit.size < 1e7 && (decimals <= 3 || widest / unit.size >= 1e-3);
  const ticks = [];
  for (let k = Math.ceil(low / unit.size / step - 1e-9); k * step <= (high / unit.size) * (1 + 1e-9) + step * 1e-9; k += 1) {
    const count = Number((k * step).toPrecision(12));
    const digits = { minimumFractionDigits: decimals, maximumFractionDigits: decimals };
    const text = isPlain ? count.toLocaleString("en-US", digits).replace("-", "−") : plainText(count);
    ticks.push({ value: count * unit.size, text: unit.name && count ? `${text} ${unit.name}` : text });
  }
  return ticks;
}

function logTicks(low, high, room, format) {
  const first = Math.floor(Math.log10(low) - 1e-9);
  const last = Math.ceil(Math.log10(high) + 1e-9);
  const among = (factors, every = 1) => {
    const values = [];
    for (let e = first; e <= last; e += 1) {
      if (e % every) continue;
      for (const factor of factors) values.push(Number(`${factor}e${e}`));
    }
    return values.filter((value) => value >= low * 0.9999 && value <= high * 1.0001);
  };
  const fine = [[1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8], [1, 1.5, 2, 3, 4, 5, 7]];
  const coarse = [[1, 2, 3, 5, 7], [1, 2, 5], [1, 3], [1]];
  const dense = [...(high / low < 6 ? fine : []), ...coarse].map((factors) => among(factors));
  let values = dense.find((some) => some.length <= Math.max(room, 2)) ?? [];
  for (let every = 2; values.length === 0 && every < 40; every += 1) {
    const some = among([1], every);
    if (some.length <= Math.max(room, 2)) values = some;
  }
  if (values.length < 2) return linearTicks(low, high, room, format).filter((t) => t.value > 0);
  const isPlain = values[0] >= 0.999e-3 && values.at(-1) < 1e4;
  const text = (value) => {
    if (format !== "plain" || isPlain) return numberText(value, format);
    const [factor, exponent] = value.toExponential(2).split("e").map(Number);
    return (factor === 1 ? "" : `${factor}×`) + powerText(exponent);
  };
  return values.map((value) => ({ value, text: text(value) }));
}

function ticksOf(scale, room) {
  const make = scale.axis.scale === "log" ? logTicks : linearTicks;
  return make(scale.low, scale.high, room, scale.axis.format);
}

// Ticks along x whose labels do not touch each other.
function ticksAlong(scale, gap = 14) {
  const room = Math.abs(scale.to - scale.from);
  for (let count = Math.floor(room / 52); count > 1; count -= 1) {
    const ticks = ticksOf(scale, count);
    const apart = ticks.every((tick, k) => {
      if (k === 0) return true;
      const need = (widthOf(tick.text) + widthOf(ticks[k - 1].text)) / 2 + gap;
      return scale.at(tick.value) - scale.at(ticks[k - 1].value) >= need;
    });
    if (apart) return ticks;
  }
  return ticksOf(scale, 2).filter((_, k, all) => k === 0 || k === all.length - 1).slice(0, 1);
}

// The unlabelled ticks of a logarithmic axis: 2, 3, … 9 of each decade.
function minorValues(scale) {
  const decades = Math.log10(scale.high / scale.low);
  if (scale.axis.scale !== "log" || decades > 7) return [];
  const values = [];
  for (let e = Math.floor(Math.log10(scale.low)); e <= Math.log10(scale.high); e += 1) {
    for (let factor = 1; factor < 10; factor += 1) values.push(factor * 10 ** e);
  }
  return values.filter((value) => value > scale.low && value < scale.high);
}

// Colours ----------------------------------------------------------------------------------------

// Viridis (van der Walt and Smith): steady in lightness, told apart by the colour-blind.
const VIRIDIS = ["#440154", "#482475", "#414487", "#355f8d", "#2a788e", "#21918c", "#22a884",
  "#44bf70", "#7ad151", "#bddf26", "#fde725"];

const channels = (colour) => [1, 3, 5].map((k) => parseInt(colour.slice(k, k + 2), 16));

function blend(stops, share) {
  const place = clamp(share, 0, 1) * (stops.length - 1);
  const k = Math.min(Math.floor(place), stops.length - 2);
  const [a, b] = [channels(stops[k]), channels(stops[k + 1])];
  const mixed = a.map((value, c) => Math.round(value + (b[c] - value) * (place - k)));
  return `#${mixed.map((value) => value.toString(16).padStart(2, "0")).join("")}`;
}

// Ink that can be read on a colour: black or white, by relative luminance (WCAG 2).
function inkOn(colour) {
  const linear = channels(colour).map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  const luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  return luminance > 0.179 ? "#000000" : "#ffffff";
}

function themeColour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

// From values to colours: one hue after another, or two hues around 0.
function rampOf(axis, values, centred = false) {
  let stops = VIRIDIS;
  let [low, high] = rangeOf(axis, values);
  if (centred) {
    stops = ["correction", "middle", "error"].map(themeColour);
    high = Math.max(Math.abs(low), Math.abs(high));
    low = -high;
  }
  const scale = scaleOf(centred ? { ...axis, scale: "linear" } : axis, [low, high], [0, 1]);
  return { scale, stops, colour: (value) => blend(stops, scale.at(value)) };
}
