/** Pieces of drawings: nodes, arrows, axes and lines, in the book's colours by class. */
import { svg } from "./dom.js";

/** A drawing of a size in px, with a sentence in place of itself for who can't see it. */
export function drawing(/** @type {number} */ width, /** @type {number} */ height, /** @type {string} */ label, /** @type {any[]} */ ...children) {
  return svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label, class: "live-drawing" }, children);
}

/** An arrow from one point to another, bent by `bend` px to its left; its head is drawn, no marker is needed. */
export function arrow(/** @type {number} */ x1, /** @type {number} */ y1, /** @type {number} */ x2, /** @type {number} */ y2, role = "", bend = 0) {
  const length = Math.hypot(x2 - x1, y2 - y1) || 1;
  const cx = (x1 + x2) / 2 + (bend * (y2 - y1)) / length;
  const cy = (y1 + y2) / 2 - (bend * (x2 - x1)) / length;
  const angle = Math.atan2(y2 - cy, x2 - cx);
  const head = [-0.45, 0.45].map((turn) => `${x2 - 8 * Math.cos(angle + turn)},${y2 - 8 * Math.sin(angle + turn)}`);
  return svg("g", { class: `live-arrow ${role}` }, svg("path", { d: `M${x1},${y1} Q${cx},${cy} ${x2},${y2}` }),
    svg("polygon", { points: `${x2},${y2} ${head.join(" ")}` }));
}

/** A text; `sub` stands lower and smaller behind it. */
export function label(/** @type {number} */ x, /** @type {number} */ y, /** @type {string} */ text, role = "", sub = "") {
  return svg("text", { x, y, class: `live-label ${role}` }, text, sub && svg("tspan", { class: "live-sub", dy: "0.3em" }, sub));
}

/** A circle with a text in it. */
export function node(/** @type {number} */ x, /** @type {number} */ y, /** @type {number} */ r, /** @type {string} */ text, role = "", sub = "") {
  return svg("g", { class: `live-node ${role}` }, svg("circle", { cx: x, cy: y, r }), label(x, y, text, "", sub));
}

/**
 * A place for curves: what turns values into px, and the axes themselves.
 * @param {{x: number, y: number, width: number, height: number, xs: [number, number], ys: [number, number], log?: boolean,
 *   xTicks: number[], yTicks: number[], xLabel: string, yLabel: string, tick?: (value: number) => string}} options
 */
export function axes({ x, y, width, height, xs, ys, log = false, xTicks, yTicks, xLabel, yLabel, tick = String }) {
  const place = log ? Math.log10 : (/** @type {number} */ v) => v;
  const [low, high] = ys.map(place);
  const right = (/** @type {number} */ value) => x + (width * (value - xs[0])) / (xs[1] - xs[0]);
  const up = (/** @type {number} */ value) => y + height - (height * (Math.min(Math.max(place(value), low - 9), high + 9) - low)) / (high - low);
  const lines = [
    ...yTicks.map((value) => [svg("line", { class: "live-rule", x1: x, x2: x + width, y1: up(value), y2: up(value) }),
      svg("text", { class: "live-tick live-end", x: x - 6, y: up(value) }, tick(value))]),
    ...xTicks.map((value) => svg("text", { class: "live-tick", x: right(value), y: y + height + 16 }, String(value))),
    svg("line", { class: "live-axis", x1: x, x2: x + width, y1: y + height, y2: y + height }),
    svg("text", { class: "live-tick", x: x + width / 2, y: y + height + 36 }, xLabel),
    svg("text", { class: "live-tick live-start", x: Math.max(x - 40, 2), y: y - 14 }, yLabel),
  ];
  return { right, up, lines: lines.flat(Infinity) };
}

/** A line through points, broken where a value is no number or nothing that a logarithm takes. */
export function curve(/** @type {[number, number][]} */ points, role = "", attributes = {}) {
  let d = "";
  let pen = "M";
  for (const [x, y] of points) {
    if (!Number.isFinite(y)) pen = "M";
    else {
      d += `${pen}${x.toFixed(1)},${y.toFixed(1)}`;
      pen = "L";
    }
  }
  return svg("path", { class: `live-curve ${role}`, d, ...attributes });
}
