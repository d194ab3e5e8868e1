/**
 * One step of each cell, and its way back. Symbols and the order of gates are the library's: i, f, g, o, where g is
 * the candidate; weights are (out, in).
 *
 * @typedef {import("./linalg.js").Matrix} Matrix
 * @typedef {import("./linalg.js").Vector} Vector
 * @typedef {{W_xh: Matrix, W_hh: Matrix, b_h: Vector}} RNNWeights
 * @typedef {{W_x: Matrix, W_h: Matrix, b: Vector}} LSTMWeights
 * @typedef {{W_x: Matrix, W_h: Matrix, b: Vector, b_n: Vector}} GRUWeights
 * @typedef {{h: Float64Array, C: Float64Array}} LSTMState
 */
import { add, apply, applyTransposed, outer } from "./linalg.js";

export const sigmoid = (/** @type {number} */ a) => 1 / (1 + Math.exp(-a));

/** @type {Record<string, (a: number) => number>} */
export const NONLINEARITIES = { tanh: Math.tanh, relu: (a) => Math.max(a, 0), linear: (a) => a };

/** The derivative of each, written with the state it produced. @type {Record<string, (h: number) => number>} */
export const DERIVATIVES = { tanh: (h) => 1 - h * h, relu: (h) => (h > 0 ? 1 : 0), linear: () => 1 };

/** One step of a vanilla RNN: h_t = ξ(W_hh h_{t-1} + W_xh x_t + b_h). */
export function rnnStep(/** @type {Vector} */ x, /** @type {Vector} */ h, /** @type {RNNWeights} */ weights, nonlinearity = "tanh") {
  const a = add(add(apply(weights.W_xh, x), apply(weights.W_hh, h)), weights.b_h);
  return { a, h: a.map(NONLINEARITIES[nonlinearity]) };
}

/** A vanilla RNN over a sequence: a[t] and h[t] for t = 1 … T, h[0] the first state. */
export function rnnForward(/** @type {Vector[]} */ xs, /** @type {Float64Array} */ h_0, /** @type {RNNWeights} */ weights, nonlinearity = "tanh") {
  const a = [new Float64Array(h_0.length)];
  const h = [h_0];
  for (const x of xs) {
    const step = rnnStep(x, h[h.length - 1], weights, nonlinearity);
    a.push(step.a);
    h.push(step.h);
  }
  return { a, h };
}

/**
 * The way back. `asked[t]` is what the loss itself asks of h_t (zeros where it asks nothing), t = 1 … T.
 * @returns {{d_h: Float64Array[], delta: Float64Array[], shares: Matrix[]}} d_h[0 … T], delta[1 … T] = dL/da_t, and
 *   shares[1 … T], δ_t h_{t-1}ᵀ, which add up to dL/dW_hh
 */
export function rnnBackward(/** @type {Float64Array[]} */ h, /** @type {RNNWeights} */ weights, /** @type {Vector[]} */ asked, nonlinearity = "tanh") {
  const T = h.length - 1;
  const slope = DERIVATIVES[nonlinearity];
  const delta = h.map((h_t) => new Float64Array(h_t.length));
  const d_h = h.map((h_t) => new Float64Array(h_t.length));
  const shares = [outer(h[0], h[0])];
  for (let t = T; t >= 1; t--) {
    d_h[t] = t === T ? Float64Array.from(asked[t]) : add(asked[t], applyTransposed(weights.W_hh, delta[t + 1]));
    delta[t] = d_h[t].map((d, i) => d * slope(h[t][i]));
    shares[t] = outer(delta[t], h[t - 1]);
  }
  d_h[0] = applyTransposed(weights.W_hh, delta[1]);
  return { d_h, delta, shares };
}

/** From the four pre-activations of one unit and its old cell state: gates, candidate, new cell state, hidden state. */
export function lstmUnit(/** @type {number} */ a_i, /** @type {number} */ a_f, /** @type {number} */ a_g, /** @type {number} */ a_o, /** @type {number} */ before) {
  const i = sigmoid(a_i);
  const f = sigmoid(a_f);
  const g = Math.tanh(a_g);
  const o = sigmoid(a_o);
  const C = f * before + i * g;
  return { i, f, g, o, C, h: o * Math.tanh(C) };
}

/** One step of an LSTM, and everything that was computed inside. */
export function lstmStep(/** @type {Vector} */ x, /** @type {LSTMState} */ state, /** @type {LSTMWeights} */ weights) {
  return lstmInside(add(apply(weights.W_x, x), weights.b), state, weights.W_h);
}

/** An LSTM step whose input has been projected already. */
export function lstmInside(/** @type {Vector} */ fromInput, /** @type {LSTMState} */ state, /** @type {Matrix} */ W_h) {
  const m = state.h.length;
  const a = add(fromInput, apply(W_h, state.h));
  const step = {};
  for (const name of ["i", "f", "g", "o", "C", "h"]) step[name] = new Float64Array(m);
  for (let k = 0; k < m; k++) {
    const unit = lstmUnit(a[k], a[m + k], a[2 * m + k], a[3 * m + k], state.C[k]);
    for (const name of ["i", "f", "g", "o", "C", "h"]) step[name][k] = unit[name];
  }
  return /** @type {{i: Float64Array, f: Float64Array, g: Float64Array, o: Float64Array, C: Float64Array, h: Float64Array}} */ (step);
}

/**
 * The way back through one LSTM step.
 * @returns {{delta: Float64Array, h: Float64Array, C: Float64Array}} dL/da (4m), and dL/d of the state before
 */
export function lstmBack(/** @type {ReturnType<typeof lstmInside>} */ step, /** @type {Vector} */ before, /** @type {Vector} */ d_h, /** @type {Vector} */ d_C, /** @type {Matrix} */ W_h) {
  const m = step.h.length;
  const delta = new Float64Array(4 * m);
  const C = new Float64Array(m);
  for (let k = 0; k < m; k++) {
    const shown = Math.tanh(step.C[k]);
    const all = d_C[k] + d_h[k] * step.o[k] * (1 - shown * shown);
    delta[k] = all * step.g[k] * step.i[k] * (1 - step.i[k]);
    delta[m + k] = all * before[k] * step.f[k] * (1 - step.f[k]);
    delta[2 * m + k] = all * step.i[k] * (1 - step.g[k] * step.g[k]);
    delta[3 * m + k] = d_h[k] * shown * step.o[k] * (1 - step.o[k]);
    C[k] = all * step.f[k];
  }
  return { delta, h: applyTransposed(W_h, delta), C };
}

/** One step of a GRU, torch's variant: r, z, n, and the new state. */
export function gruStep(/** @type {Vector} */ x, /** @type {Vector} */ h, /** @type {GRUWeights} */ weights) {
  const m = h.length;
  const fromInput = add(apply(weights.W_x, x), weights.b);
  const fromState = apply(weights.W_h, h);
  const r = new Float64Array(m);
  const z = new Float64Array(m);
  const n = new Float64Array(m);
  const after = new Float64Array(m);
  for (let k = 0; k < m; k++) {
    r[k] = sigmoid(fromInput[k] + fromState[k]);
    z[k] = sigmoid(fromInput[m + k] + fromState[m + k]);
    n[k] = Math.tanh(fromInput[2 * m + k] + r[k] * (fromState[2 * m + k] + weights.b_n[k]));
    after[k] = (1 - z[k]) * n[k] + z[k] * h[k];
  }
  return { r, z, n, h: after };
}

/** The way back through one GRU step: dL/d of the state before, and of both kinds of pre-activation (3m each). */
export function gruBack(/** @type {ReturnType<typeof gruStep>} */ step, /** @type {Vector} */ before, /** @type {Vector} */ d_h, /** @type {GRUWeights} */ weights) {
  const m = step.h.length;
  const recurrent = apply(weights.W_h, before);
  const input = new Float64Array(3 * m);
  const state = new Float64Array(3 * m);
  for (let k = 0; k < m; k++) {
    const d_n = d_h[k] * (1 - step.z[k]) * (1 - step.n[k] * step.n[k]);
    const d_r = d_n * (recurrent[2 * m + k] + weights.b_n[k]) * step.r[k] * (1 - step.r[k]);
    const d_z = d_h[k] * (before[k] - step.n[k]) * step.z[k] * (1 - step.z[k]);
    input.set([d_r], k), input.set([d_z], m + k), input.set([d_n], 2 * m + k);
    state.set([d_r], k), state.set([d_z], m + k), state.set([d_n * step.r[k]], 2 * m + k);
  }
  const h = applyTransposed(weights.W_h, state).map((value, k) => value + d_h[k] * step.z[k]);
  return { input, state, h };
}

/** Probabilities from scores. @returns {Float64Array} */
export function softmax(/** @type {Vector} */ scores) {
  const top = scores.reduce((a, b) => Math.max(a, b), -Infinity);
  const each = Float64Array.from(scores, (score) => Math.exp(score - top));
  const sum = each.reduce((a, b) => a + b, 0);
  return each.map((value) => value / sum);
}
