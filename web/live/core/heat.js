/** Numbers as tints: orange for plus, blue for minus, the paper for nothing; the number itself always stands by. */
import { html, svg } from "./dom.js";

/** How full a tint is, in per cent: at most 45, so that ink on it can still be read. */
export function fullness(/** @type {number} */ value, /** @type {number} */ limit) {
  if (!Number.isFinite(value)) return 45;
  return Math.round(45 * Math.min(Math.abs(value) / limit, 1));
}

/** Class and style of a tinted element. */
export function tint(/** @type {number} */ value, limit = 1) {
  return { class: value < 0 ? "live-tint live-minus" : "live-tint live-plus", style: `--full: ${fullness(value, limit)}%` };
}

/** A number in few digits, with a true minus. */
export function short(/** @type {number} */ value, digits = 2) {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e4 || size < 0.5 * 10 ** -digits)) return power(value);
  return value.toFixed(digits).replace(/^-(0\.?0*)$/, "$1").replace("-", "−");
}

/** A number as a power of ten: 3·10⁻⁵. */
export function power(/** @type {number} */ value) {
  if (value === 0) return "0";
  const [digits, exponent] = value.toExponential(1).split("e");
  const raised = exponent.replace("+", "").replace(/[-\d]/g, (digit) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(digit)]);
  return `${digits.replace(/\.0$/, "").replace("-", "−")}·10${raised}`;
}

/**
 * A matrix or a column as a grid of tinted numbers with a name above.
 * @param {any} name
 * @param {ArrayLike<number>} values  row after row
 * @param {{cols?: number, limit?: number, digits?: number, role?: string, lit?: (row: number, col: number) => boolean, tops?: string[]}} options
 */
export function grid(name, values, options = {}) {
  const { cols = 1, limit = 1, digits = 2, role = "", lit, tops } = options;
  const cells = Array.from(values, (value, at) => {
    const { class: kind, style } = tint(value, limit);
    const on = lit?.(Math.floor(at / cols), at % cols) ? " live-lit" : "";
    return html("span", { class: kind + on, style }, short(value, digits));
  });
  return html("div", { class: `live-grid ${role}` }, html("span", { class: "live-name" }, name),
    html("div", { class: "live-cells", style: `--cols: ${cols}` }, (tops ?? []).map((top) => html("span", { class: "live-top" }, top)), cells));
}

/** The same small, as tiles of a drawing: a column of tints at (x, y). */
export function tiles(/** @type {ArrayLike<number>} */ values, /** @type {number} */ x, /** @type {number} */ y, /** @type {{width: number, height: number, cols?: number, limit?: number, numbers?: boolean}} */ { width, height, cols = 1, limit = 1, numbers = false }) {
  return Array.from(values, (value, at) => {
    const left = x + (at % cols) * width;
    const top = y + Math.floor(at / cols) * height;
    return [svg("rect", { x: left, y: top, width, height, ...tint(value, limit) }),
      numbers && svg("text", { x: left + width / 2, y: top + height / 2, class: "live-number" }, short(value))];
  });
}
