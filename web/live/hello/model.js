/**
 * The lecture's network on "hello": four letters in, three numbers of state, four scores out.
 *
 * @typedef {import("../core/cells.js").RNNWeights & {W_hy: Matrix, b_y: Float64Array}} Weights
 * @typedef {import("../core/linalg.js").Matrix} Matrix
 * @typedef {{letters: string, text: string, next: string, hidden: number, updates: number[], weights: string}} Data
 */
import { rnnBackward, rnnForward, softmax } from "../core/cells.js";
import { add, apply, applyTransposed, matrix } from "../core/linalg.js";
import { fromBase64 } from "../core/weights.js";

/** The weights after each stored update. @returns {Weights[]} */
export function snapshots(/** @type {Data} */ data) {
  const P = data.letters.length;
  const m = data.hidden;
  const all = new Float32Array(fromBase64(data.weights).buffer);
  const sizes = [[m, P], [m, m], [1, m], [P, m], [1, P]];
  const each = sizes.reduce((sum, [rows, cols]) => sum + rows * cols, 0);
  return Array.from(data.updates, (_, k) => {
    let at = k * each;
    const [W_xh, W_hh, b_h, W_hy, b_y] = sizes.map(([rows, cols]) => matrix(rows, cols, all.subarray(at, (at += rows * cols))));
    return { W_xh, W_hh, b_h: /** @type {Float64Array} */ (b_h.data), W_hy, b_y: /** @type {Float64Array} */ (b_y.data) };
  });
}

/** Read the text once, forwards and backwards; everything at index t belongs to time t, from 1 to T. */
export function readThrough(/** @type {Data} */ data, /** @type {Weights} */ weights) {
  const T = data.text.length;
  const ids = [...data.text].map((letter) => data.letters.indexOf(letter));
  const targets = [...data.next].map((letter) => data.letters.indexOf(letter));
  const xs = ids.map((id) => Float64Array.from(data.letters, (_, k) => Number(k === id)));
  const { a, h } = rnnForward(xs, new Float64Array(data.hidden), weights);
  const y = h.map((h_t) => add(apply(weights.W_hy, h_t), weights.b_y));
  const p = y.map((y_t) => softmax(y_t));
  const nats = targets.map((target, k) => -Math.log(p[k + 1][target]));
  const d_y = p.map((p_t, t) => (t === 0 ? new Float64Array(p_t.length) : p_t.map((value, k) => (value - Number(k === targets[t - 1])) / T)));
  const asked = d_y.map((d) => applyTransposed(weights.W_hy, d));
  const back = rnnBackward(h, weights, asked);
  const d_W_hh = matrix(data.hidden, data.hidden);
  for (let t = 1; t <= T; t++) back.shares[t].data.forEach((value, k) => (d_W_hh.data[k] += value));
  const loss = nats.reduce((sum, one) => sum + one, 0) / T;
  return { T, ids: [-1, ...ids], targets: [-1, ...targets], a, h, y, p, d_y, asked, ...back, d_W_hh, loss };
}

/** The shares of the uses at t … T, added up: what the way back has collected when it stands at t. */
export function collected(/** @type {ReturnType<typeof readThrough>} */ read, /** @type {number} */ t) {
  const sum = new Float64Array(read.d_W_hh.data.length);
  for (let s = Math.max(t, 1); s <= read.T; s++) read.shares[s].data.forEach((value, k) => (sum[k] += value));
  return sum;
}
