// Laws of the live figures' modules that need neither a browser nor torch: node --test tests/live
import assert from "node:assert/strict";
import { test } from "node:test";
import * as cells from "../../web/live/core/cells.js";
import { fullness, power, short } from "../../web/live/core/heat.js";
import * as linalg from "../../web/live/core/linalg.js";
import { Generator } from "../../web/live/core/random.js";
import { expected, readLink, startState, writeLink } from "../../web/live/core/state.js";
import { crc32, fromBase64, fromHalf, readSafetensors } from "../../web/live/core/weights.js";

const near = (a, b, tolerance) => assert.ok(Math.abs(a - b) <= tolerance, `${a} is not ${b}`);
const random = (rows, cols, seed, scale = 1) => linalg.matrix(rows, cols, new Generator(seed).normal(rows * cols).map((v) => v * scale));

test("wrong sizes are named", () => {
  const A = linalg.matrix(2, 3);
  assert.throws(() => linalg.matrix(2, 2, [1]), /values: expected 2 × 2 = 4 numbers, got 1/);
  assert.throws(() => linalg.apply(A, [1, 2]), /x: expected 3 numbers, got 2/);
  assert.throws(() => linalg.applyTransposed(A, [1, 2, 3]), /y: expected 2 numbers/);
  assert.throws(() => linalg.multiply(A, A), /B: expected 3 rows, got 2/);
  assert.throws(() => linalg.eigenvalues(A), /square/);
  assert.throws(() => new Generator(-1), /seed/);
  assert.throws(() => new Generator(1.5), /seed/);
});

test("eigenvalues that are known: a rotation, a nilpotent shift, a block with a repeated value", () => {
  const c = Math.cos(0.3);
  const s = Math.sin(0.3);
  const [a, b] = linalg.eigenvalues(linalg.matrix(2, 2, [c, -s, s, c]));
  near(a.re, c, 1e-12), near(Math.abs(a.im), s, 1e-12), near(a.im, -b.im, 1e-12);
  const shift = linalg.matrix(32, 32);
  for (let i = 0; i < 31; i++) shift.data[i * 32 + i + 1] = 3;
  assert.ok(linalg.eigenvalues(shift).every(({ re, im }) => re === 0 && im === 0));
  near(linalg.spectralNorm(shift), 3, 1e-12);
  for (const { re, im } of linalg.eigenvalues(linalg.matrix(3, 3, [2, 1, 0, 0, 2, 0, 0, 0, 5])).slice(1)) near(re, 2, 1e-7), near(im, 0, 1e-7);
});

test("the spectral norm neither overflows nor vanishes", () => {
  const A = random(6, 6, 1);
  const norm = linalg.spectralNorm(A);
  for (const scale of [1e-200, 1e200]) near(linalg.spectralNorm(random(6, 6, 1, scale)) / scale, norm, 1e-9 * norm);
  assert.equal(linalg.spectralNorm(linalg.matrix(3, 3)), 0);
});

test("the way back of each cell is the slope of the way on", () => {
  const m = 4;
  const x = new Generator(1).normal(3);
  const lstm = { W_x: random(4 * m, 3, 2), W_h: random(4 * m, m, 3), b: new Generator(4).normal(4 * m) };
  const gru = { W_x: random(3 * m, 3, 2), W_h: random(3 * m, m, 3), b: new Generator(4).normal(3 * m), b_n: new Generator(5).normal(m) };
  const state = { h: new Generator(6).normal(m), C: new Generator(7).normal(m) };
  const [u, v] = [new Generator(8).normal(m), new Generator(9).normal(m)];
  const step = cells.lstmStep(x, state, lstm);
  const back = cells.lstmBack(step, state.C, u, v, lstm.W_h);
  const value = (s) => linalg.dot(u, cells.lstmStep(x, s, lstm).h) + linalg.dot(v, cells.lstmStep(x, s, lstm).C);
  const gruStep = cells.gruStep(x, state.h, gru);
  const gruBack = cells.gruBack(gruStep, state.h, u, gru);
  for (let k = 0; k < m; k++) {
    for (const part of ["h", "C"]) {
      const moved = (by) => ({ ...state, [part]: state[part].map((w, j) => w + (j === k ? by : 0)) });
      near(back[part][k], (value(moved(1e-6)) - value(moved(-1e-6))) / 2e-6, 1e-8);
    }
    const slope = [1e-6, -1e-6].map((by) => linalg.dot(u, cells.gruStep(x, state.h.map((w, j) => w + (j === k ? by : 0)), gru).h));
    near(gruBack.h[k], (slope[0] - slope[1]) / 2e-6, 1e-8);
  }
});

test("half precision, base64 and the checksum", () => {
  for (const [bits, value] of [[0x3c00, 1], [0xc000, -2], [0x0001, 2 ** -24], [0x7bff, 65504], [0x7c00, Infinity], [0, 0]]) assert.equal(fromHalf(bits), value);
  assert.ok(Number.isNaN(fromHalf(0x7e00)));
  assert.deepEqual([...fromBase64("AQID/w==")], [1, 2, 3, 255]);
  assert.equal(crc32(new TextEncoder().encode("123456789")), 0xcbf43926);
});

/** A safetensors file of one tensor. */
function safetensors(entry, body) {
  const header = new TextEncoder().encode(JSON.stringify({ __metadata__: { a: "b" }, W: entry }));
  const bytes = new Uint8Array(8 + header.length + body.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(header.length), true);
  bytes.set(header, 8), bytes.set(body, 8 + header.length);
  return bytes;
}

test("a file of weights is read whole or refused in a sentence", () => {
  const body = new Uint8Array(Float32Array.from([1, 2, 3, 4]).buffer);
  const good = safetensors({ dtype: "F32", shape: [2, 2], data_offsets: [0, 16] }, body);
  assert.deepEqual([...readSafetensors(good).W.data], [1, 2, 3, 4]);
  for (const length of [0, 7, 20, good.length - 1]) assert.throws(() => readSafetensors(good.subarray(0, length)), /cut short/);
  assert.throws(() => readSafetensors(safetensors({ dtype: "I64", shape: [2], data_offsets: [0, 16] }, body)), /expected F32 or F16, got I64/);
  const spoiled = good.slice();
  spoiled[9] = 0;
  assert.throws(() => readSafetensors(spoiled), /table of contents/);
});

const fields = {
  t: { kind: "integer", least: 0, most: 4, start: 1 },
  scale: { kind: "number", least: 0, most: 2, step: 0.1, start: 1 },
  drive: { kind: "stop", of: [0.01, 0.1, 1], start: 1 },
  cell: { kind: "choice", of: ["rnn", "lstm"], start: "rnn" },
  backward: { kind: "yes", start: false },
  text: { kind: "text", most: 10, start: "hi" },
};

test("a link brings a state back", () => {
  const state = { t: 3, scale: 0.5, drive: 0.01, cell: "lstm", backward: true, text: "a&b=c # ü\n" };
  assert.deepEqual(readLink("x", fields, writeLink("x", fields, state)), { state, problem: null });
  assert.equal(writeLink("x", fields, startState(fields)), "#live=x");
  assert.equal(readLink("x", fields, "#live=y&t=3"), null);
  assert.equal(readLink("x", fields, "#summary"), null);
  assert.equal(readLink("x", fields, ""), null);
});

test("what a link may not ask for is named, and the rest of it is taken", () => {
  for (const [part, name] of [["t=NaN", "t"], ["t=5", "t"], ["t=1.5", "t"], ["t=", "t"], ["scale=Infinity", "scale"], ["scale=1e9", "scale"],
    ["drive=0.5", "drive"], ["cell=gru", "cell"], ["backward=yes", "backward"], ["text=abcdefghijkl", "text"]]) {
    const { state, problem } = readLink("x", fields, `#live=x&${part}${name === "t" ? "&scale=2" : "&t=4"}`);
    assert.match(problem, new RegExp(`${name} = .*expected`), part);
    assert.equal(state[name], fields[name].start);
    assert.equal(name === "t" ? state.scale : state.t, name === "t" ? 2 : 4);
  }
  assert.match(readLink("x", fields, "#live=x&<b>=1").problem, /does not have/);
  assert.match(expected(fields.t), /whole number from 0 to 4/);
});

test("numbers in few digits", () => {
  assert.deepEqual([0, 0.5, -0.004, 3.14159, -2, 12345, 1e-9, NaN].map((v) => short(v)), ["0.00", "0.50", "−4·10⁻³", "3.14", "−2.00", "1.2·10⁴", "10⁻⁹".replace("10", "1·10"), "NaN"]);
  assert.equal(power(0), "0");
  assert.deepEqual([0, 1, 9, NaN].map((v) => fullness(v, 2)), [0, 23, 45, 45]);
});
