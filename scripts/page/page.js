// The page alive: draws each figure to its width, and lets one toggle, hover, zoom and save.
"use strict";

// What a reader has set, by figure: it outlives a new drawing, and new data.
const STATES = new Map();
let mounted = [];
const PRINT = matchMedia("print");
const DARK = matchMedia("(prefers-color-scheme: dark)");
// The text width of A4 in CSS pixels: print is laid out before a page can measure itself.
const PRINT_WIDTH = 680;
let isPrinting = PRINT.matches;

function mount(figure) {
  const spec = JSON.parse(figure.querySelector("script.spec").textContent);
  const key = `${figure.id} ${spec.title}`;
  if (!STATES.has(key)) STATES.set(key, { id: figure.id, off: new Set(), view: null, layer: 0 });
  const find = (name) => figure.querySelector(`.${name}`);
  const view = { figure, spec, state: STATES.get(key), plot: find("plot"), svg: find("drawing"),
    tip: find("tip"), stage: find("stage"), cursor: null, scene: null, drag: null };
  mounted.push(view);
  render(view);
  fillTools(view, find("tools"));
  fillLegend(view, find("legend"));
  listen(view);
  widths.observe(view.plot);
}

function render(view) {
  const width = isPrinting ? PRINT_WIDTH : Math.max(view.plot.clientWidth, 200);
  view.scene = DRAWINGS[view.spec.kind](view.spec, view.state, width);
  view.width = width;
  const { scene } = view;
  if (isPrinting && scene.groups.length) scene.height += drawKey(scene.root, shownGroups(view), width, scene.height);
  view.ring = shape("g", { class: "ring" });
  view.svg.replaceChildren(scene.root, view.ring);
  dressed(view.svg, { viewBox: `0 0 ${scene.width} ${scene.height}`, width: scene.width, height: scene.height }, []);
  view.svg.classList.toggle("grown", scene.width > width);
  view.figure.classList.toggle("zoomed", view.state.view !== null);
  point(view, null);
}

const renderAll = () => mounted.forEach(render);
const shownGroups = ({ scene, state }) => scene.groups.filter(({ key }) => !state.off.has(key));

const widths = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const view = mounted.find(({ plot }) => plot === target);
    if (view && !isPrinting && view.plot.clientWidth !== view.width) render(view);
  }
});

// Buttons ----------------------------------------------------------------------------------------

function button(view, name, title, action, ...content) {
  const node = html("button", { type: "button", id: `${view.figure.id}-${name}`, title }, ...content);
  node.addEventListener("click", action);
  return node;
}

function fillTools(view, place) {
  const add = (name, title, text, action) => {
    const node = button(view, name, title, action, text);
    node.setAttribute("aria-label", `${title}: ${view.spec.title}`);
    place.append(node);
  };
  if (view.scene.frame) {
    add("in", "Zoom in", "+", () => zoomBy(view, 0.6));
    add("out", "Zoom out", "−", () => zoomBy(view, 1 / 0.6));
    add("reset", "Whole range", "Reset", () => zoomTo(view, null));
  }
  add("save", "Save as SVG", "SVG", () => save(view));
}

function fillLegend(view, place) {
  const { spec, state } = view;
  if (spec.kind === "Chip" && spec.layers.length > 1) {
    spec.layers.forEach((layer, k) => {
      const node = button(view, `layer-${k}`, `Colour by ${layer.name}`, () => {
        state.layer = k;
        render(view);
        showPressed(view, place);
      }, layer.name);
      node.dataset.layer = k;
      place.append(node);
    });
  }
  view.scene.groups.forEach((group, k) => {
    const title = "Click: hide or show. Double click or the key O: only this one.";
    const node = button(view, `group-${k}`, title, (event) => toggle(view, place, group, event.shiftKey));
    for (const entry of entriesOf(group)) {
      node.append(shape("svg", { width: 26, height: 12, class: "swatch", "aria-hidden": "true" }, swatch(group, entry.dashed)), entry.text);
    }
    node.dataset.group = group.key;
    node.addEventListener("dblclick", () => toggle(view, place, group, true));
    node.addEventListener("keydown", (event) => {
      if (event.key.toLowerCase() === "o") toggle(view, place, group, true);
    });
    place.append(node);
  });
  showPressed(view, place);
}

// Hides or shows a group; `alone` leaves it as the only one, or brings back all if it was that.
function toggle(view, place, group, alone) {
  const { off } = view.state;
  const others = view.scene.groups.filter(({ key }) => key !== group.key);
  if (alone) {
    const wasAlone = !off.has(group.key) && others.every(({ key }) => off.has(key));
    off.clear();
    if (!wasAlone) others.forEach(({ key }) => off.add(key));
  } else if (!off.delete(group.key)) {
    off.add(group.key);
  }
  render(view);
  showPressed(view, place);
}

function showPressed({ state }, place) {
  for (const node of place.children) {
    const { layer, group } = node.dataset;
    const isOn = layer === undefined ? !state.off.has(group) : Number(layer) === state.layer;
    node.setAttribute("aria-pressed", isOn);
  }
}

// Pointing ---------------------------------------------------------------------------------------

function listen(view) {
  const { plot } = view;
  plot.addEventListener("pointermove", (event) => (view.drag ? dragOn(view, event) : hover(view, event)));
  plot.addEventListener("pointerdown", (event) => dragFrom(view, event));
  plot.addEventListener("pointerup", (event) => dragEnd(view, event));
  plot.addEventListener("pointercancel", () => dragStop(view));
  plot.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && !view.drag && point(view, null));
  plot.addEventListener("blur", () => point(view, null));
  plot.addEventListener("scroll", () => point(view, null));
  plot.addEventListener("keydown", (event) => {
    if (!event.ctrlKey && !event.metaKey && !event.altKey && onKey(view, event.key)) event.preventDefault();
  });
  plot.addEventListener("wheel", (event) => {
    if (!event.ctrlKey || !view.scene.frame) return;
    event.preventDefault();
    zoomBy(view, event.deltaY > 0 ? 1.25 : 0.8, placeOf(view, event));
  }, { passive: false });
}

function placeOf(view, event) {
  const box = view.svg.getBoundingClientRect();
  const scale = view.scene.width / box.width;
  return { x: (event.clientX - box.left) * scale, y: (event.clientY - box.top) * scale };
}

function hover(view, event) {
  const { tracks, weights = [1, 1], reach } = view.scene;
  const at = placeOf(view, event);
  let [nearest, found] = [reach, null];
  for (const track of tracks) {
    for (let k = 0; k < track.points.length; k += 1) {
      const { x, y } = track.points[k];
      const away = Math.hypot((x - at.x) * weights[0], (y - at.y) * weights[1]);
      if (away < nearest) [nearest, found] = [away, { track, k }];
    }
  }
  point(view, found);
}

// Marks a point and says what it is; null marks none.
function point(view, cursor) {
  const { tip, ring, scene } = view;
  view.cursor = cursor;
  ring.replaceChildren();
  tip.hidden = cursor === null;
  if (!cursor) return;
  const { x, y } = cursor.track.points[cursor.k];
  const [wide, high] = scene.ring ?? [18, 18];
  const box = { x: x - wide / 2, y: y - high / 2, width: wide, height: high, rx: scene.ring ? 1 : 9 };
  ring.append(shape("rect", box));
  fillTip(tip, scene.tell(cursor.track, cursor.track.points[cursor.k]));
  const scale = view.svg.getBoundingClientRect().width / scene.width || 1;
  const left = x * scale - view.plot.scrollLeft;
  const room = view.stage.clientWidth - tip.offsetWidth;
  tip.style.left = `${clamp(left - tip.offsetWidth / 2, 0, Math.max(room, 0))}px`;
  const above = y * scale - tip.offsetHeight - 16;
  tip.style.top = `${above < -60 ? y * scale + 18 : above}px`;
}

function fillTip(tip, { name, colour, rows, note }) {
  const head = html("strong", { class: colour ?? "" }, name);
  const list = html("dl");
  for (const [label, value] of rows) list.append(html("dt", {}, label), html("dd", {}, value));
  tip.replaceChildren(head, list, ...(note ? [html("p", {}, note)] : []));
}

function onKey(view, key) {
  if (key === "Escape") zoomTo(view, null);
  else if (view.scene.frame && (key === "+" || key === "=")) zoomBy(view, 0.6);
  else if (view.scene.frame && key === "-") zoomBy(view, 1 / 0.6);
  else if (/^(Arrow|Home|End)/.test(key)) step(view, key);
  else return false;
  return true;
}

// Along a curve by left and right, to the next curve by up and down: there to the nearest in x.
function step(view, key) {
  const { tracks, isGrid } = view.scene;
  if (!tracks.length) return;
  let { track, k } = view.cursor ?? { track: tracks[0], k: -1 };
  let t = Math.max(tracks.indexOf(track), 0);
  const isSingles = tracks.every(({ points }) => points.length === 1);
  const move = { ArrowLeft: -1, ArrowRight: 1 }[key] ?? 0;
  const turn = view.cursor ? { ArrowUp: -1, ArrowDown: 1 }[key] ?? 0 : 0;
  if (turn || (isSingles && move && view.cursor)) {
    const x = track.points[k].x;
    t = isGrid ? clamp(t + turn, 0, tracks.length - 1) : (t + (turn || move) + tracks.length) % tracks.length;
    const away = tracks[t].points.map((place) => Math.abs(place.x - x));
    k = away.indexOf(Math.min(...away));
  } else if (key === "Home" || key === "End") {
    k = key === "Home" ? 0 : track.points.length - 1;
  } else {
    k = clamp(k + (move || (view.cursor ? 0 : 1)), 0, track.points.length - 1);
  }
  point(view, { track: tracks[t], k });
  const at = tracks[t].points[k].x;
  const { plot } = view;
  if (at < plot.scrollLeft || at > plot.scrollLeft + plot.clientWidth) plot.scrollLeft = at - plot.clientWidth / 2;
}

// Zooming ----------------------------------------------------------------------------------------

function zoomTo(view, range) {
  view.state.view = range;
  render(view);
}

// Zooms about a place; by a factor below 1 one comes nearer.
function zoomBy(view, factor, at) {
  const { frame } = view.scene;
  const { x, y } = at ?? { x: (frame.left + frame.right) / 2, y: (frame.top + frame.bottom) / 2 };
  const around = (scale, middle) => [scale.from, scale.to].map((end) => scale.value(middle + (end - middle) * factor));
  zoomTo(view, { x: around(frame.x, x), y: around(frame.y, y) });
}

function dragFrom(view, event) {
  if (event.pointerType === "touch") hover(view, event);
  const { frame } = view.scene;
  if (!frame || event.button !== 0) return;
  const at = placeOf(view, event);
  if (at.x < frame.left || at.x > frame.right || at.y < frame.top || at.y > frame.bottom) return;
  view.drag = { from: at, to: at, isTouch: event.pointerType === "touch", view: { x: [frame.x.low, frame.x.high], y: [frame.y.low, frame.y.high] } };
}

function dragOn(view, event) {
  const { drag } = view;
  const { frame } = view.scene;
  const at = placeOf(view, event);
  drag.to = { x: clamp(at.x, frame.left, frame.right), y: clamp(at.y, frame.top, frame.bottom) };
  if (drag.isTouch) {
    hover(view, event);
    return;
  }
  if (Math.hypot(at.x - drag.from.x, at.y - drag.from.y) < 6) return;
  if (event.pointerId) view.plot.setPointerCapture(event.pointerId);
  point(view, null);
  const [x, y] = selected(view);
  view.ring.replaceChildren(shape("rect", { class: "selection", x: x[0], y: y[0], width: x[1] - x[0], height: y[1] - y[0] }));
}

// The dragged range in pixels; a flat one takes all of the other axis.
function selected({ drag, scene: { frame } }) {
  const sorted = (a, b) => [Math.min(a, b), Math.max(a, b)];
  const x = sorted(drag.from.x, drag.to.x);
  const y = sorted(drag.from.y, drag.to.y);
  const isFlat = y[1] - y[0] < 24 && x[1] - x[0] >= 24;
  const isSteep = x[1] - x[0] < 24 && y[1] - y[0] >= 24;
  return [isSteep ? [frame.left, frame.right] : x, isFlat ? [frame.top, frame.bottom] : y];
}

function dragEnd(view) {
  const { drag, scene: { frame } } = view;
  if (!drag) return;
  const [x, y] = selected(view);
  dragStop(view);
  const isClick = Math.abs(drag.to.x - drag.from.x) < 8 && Math.abs(drag.to.y - drag.from.y) < 8;
  if (isClick || drag.isTouch) return;
  zoomTo(view, { x: x.map(frame.x.value), y: [y[1], y[0]].map(frame.y.value) });
}

function dragStop(view) {
  view.drag = null;
  view.ring.replaceChildren();
}

// Saving -----------------------------------------------------------------------------------------

const STYLED = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-opacity", "stroke-dasharray",
  "stroke-linejoin", "stroke-linecap", "paint-order", "font-family", "font-size", "font-weight", "text-anchor"];

// The picture with its title and key, and with all colours written out, so that it stands alone.
function save(view) {
  const { scene, spec, svg } = view;
  point(view, null);
  const root = shape("g", { transform: "translate(16,40)" }, ...scene.root.cloneNode(true).childNodes);
  const bottom = scene.height + (scene.groups.length ? drawKey(root, shownGroups(view), scene.width, scene.height) : 0);
  const size = { width: scene.width + 32, height: bottom + 56 };
  const sheet = shape("svg", { ...size, viewBox: `0 0 ${size.width} ${size.height}`, class: "drawing sheet" },
    shape("rect", { ...size, class: "sheet-ground" }), words(spec.title, 16, 24, { class: "label heading" }), root);
  svg.after(sheet);
  for (const node of sheet.querySelectorAll("*")) {
    const style = getComputedStyle(node);
    for (const name of STYLED) {
      const value = style.getPropertyValue(name);
      if (value && !value.startsWith("url")) node.setAttribute(name, value.replaceAll('"', "'"));
    }
  }
  sheet.remove();
  const file = new Blob([new XMLSerializer().serializeToString(sheet)], { type: "image/svg+xml" });
  const link = html("a", { href: URL.createObjectURL(file), download: `${fileName(spec.title)}.svg` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

const fileName = (title) => title.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "").slice(0, 60) || "figure";

// The whole page ---------------------------------------------------------------------------------

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : DARK.matches;
}

function showTheme() {
  document.querySelector("#theme").textContent = isDark() ? "Light colours" : "Dark colours";
  renderAll();
}

function printing(is) {
  if (isPrinting === is) return;
  isPrinting = is;
  renderAll();
}

function start() {
  mounted = [];
  document.querySelectorAll("figure[data-drawn]").forEach(mount);
}

document.documentElement.classList.add("ready");
document.querySelector("#theme").addEventListener("click", () => {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  showTheme();
});
DARK.addEventListener("change", showTheme);
PRINT.addEventListener("change", () => printing(PRINT.matches));
addEventListener("beforeprint", () => printing(true));
addEventListener("afterprint", () => printing(PRINT.matches));
start();
showTheme();
