/** Step through "hello": forwards letter by letter, backwards share by share, at any of the stored updates. */
import { slider, steps, toggle } from "../core/controls.js";
import { html, svg } from "../core/dom.js";
import { Frame } from "../core/frame.js";
import { arrow, drawing, label, node } from "../core/graph.js";
import { grid, short, tiles } from "../core/heat.js";
import { column, norm } from "../core/linalg.js";
import { collected, readThrough, snapshots } from "./model.js";

/** @type {import("../core/frame.js").About} */
export const about = {
  name: "hello",
  title: "Step through “hello”",
  tryFirst: "Move t to 3 and on to 4: both times it reads l. Then set the updates to 400 and compare the two answers again.",
  noticed: "Both l’s look up the same column of W_xh, so only the state can tell them apart. Before training it answers both with the "
    + "same letter; after 400 updates the states lie far apart, and the second l gives o. Backwards, each use of W_hh adds a share; "
    + "that of t = 1 is zero, since h_0 is.",
  fields: {
    t: { kind: "integer", least: 0, most: 4, start: 1 },
    updates: { kind: "stop", of: [0, 1, 2, 3, 5, 7, 10, 15, 20, 25, 30, 40, 50, 60, 80, 100, 150, 200, 300, 400], start: 0 },
    backward: { kind: "yes", start: false },
  },
};

const sym = (/** @type {string} */ letter, /** @type {any} */ sub = "", sup = "") => [letter, sub !== "" && html("sub", {}, String(sub)), sup && html("sup", {}, sup)];
const op = (/** @type {string} */ sign) => html("span", { class: "live-op" }, sign);

export default {
  render(/** @type {{model: import("../core/frame.js").Model, el: HTMLElement}} */ place) {
    /** @type {import("./model.js").Data} */
    const data = place.model.get("data");
    const all = snapshots(data);
    const reads = all.map((weights) => readThrough(data, weights));
    const frame = new Frame(place, about, (view) => {
      const at = data.updates.indexOf(view.state.updates);
      draw(view, data, all[at], reads[at]);
    });
    frame.controls.append(
      slider(frame, "t", { label: "Time t", say: (t) => (t === 0 ? "0, nothing read yet" : `${t}, reads ${data.text[t - 1]}`) }),
      slider(frame, "updates", { label: "Updates", say: (k) => `${k}: loss ${short(reads[data.updates.indexOf(k)].loss, 3)}` }),
      steps(frame, "t", { back: "← Earlier", on: "Later →" }),
      toggle(frame, "backward", { label: "Run it backward" }));
    frame.draw();
    return () => frame.close();
  },
};

/** @typedef {ReturnType<typeof readThrough>} Read */

function draw(/** @type {Frame} */ frame, /** @type {import("./model.js").Data} */ data, /** @type {import("./model.js").Weights} */ weights, /** @type {Read} */ read) {
  const { t, backward } = frame.state;
  const sentence = backward ? sayBack(data, read, t) : sayOn(data, read, t);
  frame.show(picture(frame, data, read, sentence), ...(backward ? rowsBack(weights, read, t) : rowsOn(data, weights, read, t)));
  frame.say(sentence);
  frame.table(() => tables(data, read, t));
}

function sayOn(/** @type {import("./model.js").Data} */ data, /** @type {Read} */ read, /** @type {number} */ t) {
  if (t === 0) return "t = 0: nothing is read yet, and the state h_0 is zero.";
  const said = best(read.p[t]);
  const share = (/** @type {number} */ k) => `${(100 * read.p[t][k]).toFixed(0)} %`;
  const right = read.targets[t];
  return `t = ${t}: it reads ${data.text[t - 1]} and says ${data.letters[said]} with ${share(said)}; `
    + (said === right ? "that is right." : `right is ${data.letters[right]}, which gets ${share(right)}.`);
}

function sayBack(/** @type {import("./model.js").Data} */ data, /** @type {Read} */ read, /** @type {number} */ t) {
  const whole = norm(read.d_W_hh.data);
  if (t === 0) return `The way back is done: all ${read.T} shares add up to dL/dW_hh, of length ${short(whole, 4)}.`;
  return `Back at t = ${t}, δ_${t} has length ${short(norm(read.delta[t]), 4)}. This use of W_hh adds a share of length `
    + `${short(norm(read.shares[t].data), 4)}; the sum so far has ${short(norm(collected(read, t)), 4)} of ${short(whole, 4)} in the end.`;
}

const best = (/** @type {Float64Array} */ p) => p.indexOf(Math.max(...p));

/** The folded loop beside, or on a narrow screen above, the four copies of it. */
function picture(/** @type {Frame} */ frame, /** @type {import("./model.js").Data} */ data, /** @type {Read} */ read, /** @type {string} */ sentence) {
  const wide = frame.width >= 600;
  const left = wide ? 190 : 0;
  const top = wide ? 0 : 175;
  const start = left + (wide ? 66 : 42);
  const each = (frame.width - start) / read.T;
  const height = top + (frame.state.backward ? 372 : 300);
  return drawing(frame.width, height, sentence,
    folded(frame, wide ? 62 : frame.width / 2 - 12, wide ? 168 : 84, wide ? 92 : 58, data, read),
    wide && svg("text", { x: left + 2, y: 168, class: "live-words" }, "="),
    Array.from({ length: read.T }, (_, k) => copy(frame, data, read, k + 1, start + each * (k + 0.5), each, top)),
    svg("g", { class: frame.state.backward && frame.state.t > 0 ? "live-faint" : "" },
      tiles(frame.state.backward ? read.d_h[0] : read.h[0], start - (wide ? 54 : 40), top + 138, { width: wide ? 44 : 38, height: 20, numbers: true }),
      label(start - (wide ? 32 : 21), top + 214, frame.state.backward ? "∂h" : "h", frame.state.backward ? "gradient" : "hidden", "0")));
}

/** Where an arrow is lit: at the time that is looked at, in the copy and in the loop alike. */
function folded(/** @type {Frame} */ frame, /** @type {number} */ x, /** @type {number} */ y, /** @type {number} */ gap, /** @type {import("./model.js").Data} */ data, /** @type {Read} */ read) {
  const { t, backward } = frame.state;
  const on = t > 0 ? " live-lit-role" : "";
  const role = (/** @type {string} */ name) => (backward ? "gradient" : name) + on;
  const loop = backward ? "M" + `${x + 16},${y + 14} C${x + 70},${y + 46} ${x + 70},${y - 46} ${x + 18},${y - 15}` : `M${x + 16},${y - 14} C${x + 70},${y - 46} ${x + 70},${y + 46} ${x + 18},${y + 15}`;
  const tip = backward ? `${x + 17},${y - 16} ${x + 28},${y - 17} ${x + 23},${y - 25}` : `${x + 17},${y + 16} ${x + 28},${y + 17} ${x + 23},${y + 25}`;
  return svg("g", {},
    svg("g", { class: `live-arrow ${role("hidden")}` }, svg("path", { d: loop }), svg("polygon", { points: tip })),
    backward ? arrow(x, y - gap + 20, x, y - 23, role("output")) : arrow(x, y - 22, x, y - gap + 20, role("output")),
    backward ? arrow(x, y + 22, x, y + gap - 20, role("input")) : arrow(x, y + gap - 20, x, y + 23, role("input")),
    label(x + 76, y, "W", backward ? "gradient" : "hidden", "hh"),
    label(x - 26, y - gap / 2, "W", backward ? "gradient" : "output", "hy"), label(x - 26, y + gap / 2, "W", backward ? "gradient" : "input", "xh"),
    node(x, y, 21, "h", `hidden${t > 0 ? " live-here" : ""}`), node(x, y - gap, 18, t > 0 ? data.letters[best(read.p[t])] : "y", "output"),
    node(x, y + gap, 18, t > 0 ? data.text[t - 1] : "x", "input"));
}

/** The copy of time t: what is read below, the state, and what is said above. */
function copy(/** @type {Frame} */ frame, /** @type {import("./model.js").Data} */ data, /** @type {Read} */ read, /** @type {number} */ t, /** @type {number} */ x, /** @type {number} */ each, /** @type {number} */ top) {
  const { t: now, backward } = frame.state;
  const here = t === now;
  const done = backward ? t >= now : t <= now;
  const width = Math.min(52, each - 20);
  const lit = here ? " live-lit-role" : "";
  const numbers = backward ? read.delta[t] : read.h[t];
  const limit = backward ? Math.max(0.02, ...read.delta.flatMap((d) => Array.from(d, Math.abs))) : 1;
  const from = x - each + width / 2;
  const to = x - width / 2;
  const bar = Math.min(13, (each - 12) / 4);
  const share = Math.min(16, (each - 24) / 3);
  return svg("g", { class: done ? "" : "live-faint", "data-t": t, click: () => frame.set({ t }) },
    svg("rect", { x: x - each / 2 + 2, y: top, width: each - 4, height: frame.state.backward ? 372 : 300, rx: 10, class: here ? "live-band" : "", fill: "transparent" }),
    [...data.letters].map((letter, k) => {
      const left = x + (k - 2) * bar;
      const height = 52 * read.p[t][k];
      return [svg("rect", { x: left + 1, y: top + 62 - height, width: bar - 2, height, class: `live-bar ${k === read.targets[t] ? "output" : ""}` }),
        svg("text", { x: left + bar / 2, y: top + 72, class: "live-tick" }, letter)];
    }),
    backward ? arrow(x, top + 86, x, top + 132, `gradient${lit}`) : arrow(x, top + 134, x, top + 86, `output${lit}`),
    t > 1 || !backward || now === 0 ? (backward ? arrow(to - 3, top + 168, t === 1 ? to - Math.max(each * 0.28, 14) : from + 3, top + 168, `gradient${here && t > 1 ? lit : ""}`)
      : arrow(t === 1 ? to - Math.max(each * 0.28, 14) : from + 3, top + 168, to - 3, top + 168, `hidden${lit}`)) : null,
    backward ? null : arrow(x, top + 242, x, top + 204, `input${lit}`),
    tiles(numbers, to, top + 138, { width, height: 20, limit, numbers: true }),
    label(x + width / 2 - 2, top + 214, backward ? "δ" : "h", backward ? "gradient" : "hidden", String(t)),
    node(x, top + 262, 18, data.text[t - 1], `input${here ? " live-here" : ""}`),
    label(x + 30, top + 276, "x", "input", String(t)),
    backward ? [tiles(read.shares[t].data, x - 1.5 * share, top + 296, { width: share, height: share, cols: 3, limit: shareLimit(read) }),
      svg("text", { x, y: top + 358, class: "live-tick" }, `share ${t}`)] : null);
}

const shareLimit = (/** @type {Read} */ read) => Math.max(1e-6, ...read.shares.slice(1).flatMap((share) => Array.from(share.data, Math.abs)));

/** The step at t with all its numbers. */
function rowsOn(/** @type {import("./model.js").Data} */ data, /** @type {import("./model.js").Weights} */ weights, /** @type {Read} */ read, /** @type {number} */ t) {
  if (t === 0) return [html("div", { class: "live-row" }, grid(sym("h", 0), read.h[0], { role: "hidden" }))];
  const letter = data.text[t - 1];
  return [
    html("div", { class: "live-row" }, op("tanh("),
      grid(sym("W", "hh"), weights.W_hh.data, { cols: data.hidden, limit: 2, role: "hidden" }), grid(sym("h", t - 1), read.h[t - 1], { role: "hidden" }), op("+"),
      grid([...sym("W", "xh"), ` of ${letter}`], column(weights.W_xh, read.ids[t]), { limit: 2, role: "input" }), op("+"),
      grid(sym("b", "h"), weights.b_h, { limit: 2 }), op(") = tanh"), grid(sym("a", t), read.a[t], { limit: 3 }), op("="),
      grid(sym("h", t), read.h[t], { role: "hidden" })),
    html("div", { class: "live-row" },
      grid(sym("W", "hy"), weights.W_hy.data, { cols: data.hidden, limit: 2, role: "output" }), grid(sym("h", t), read.h[t], { role: "hidden" }), op("+"),
      grid(sym("b", "y"), weights.b_y, { limit: 2 }), op("="), grid(["scores ", ...sym("y", t)], read.y[t], { limit: 5, role: "output" }), op("→ softmax"),
      grid(`p of ${[...data.letters].join(", ")}`, read.p[t], { role: "output", lit: (row) => row === read.targets[t] })),
  ];
}

/** The step back at t with all its numbers, and the sum of what has been collected. */
function rowsBack(/** @type {import("./model.js").Weights} */ weights, /** @type {Read} */ read, /** @type {number} */ t) {
  const m = weights.W_hh.rows;
  const limit = shareLimit(read);
  const sum = grid(t > 1 ? ["sum of shares ", `${t} to ${read.T}`] : ["dL/d", ...sym("W", "hh")], collected(read, t), { cols: m, limit, digits: 4, role: "gradient" });
  if (t === 0) return [html("div", { class: "live-row" }, grid(["dL/d", ...sym("h", 0)], read.d_h[0], { limit, digits: 4 }), sum)];
  const later = read.d_h[t].map((value, k) => value - read.asked[t][k]);
  const wide = Math.max(0.02, ...Array.from(read.d_h[t], Math.abs));
  return [
    html("div", { class: "live-row" }, op("("), grid(["from ", ...sym("y", t)], read.asked[t], { limit: wide, digits: 4, role: "output" }), op("+"),
      grid([...sym("W", "hh", "⊤"), ...sym("δ", t + 1)], later, { limit: wide, digits: 4, role: "gradient" }), op(") ⊙"),
      grid(["1 − ", ...sym("h", t, "2")], read.h[t].map((h) => 1 - h * h), { role: "hidden" }), op("="),
      grid(sym("δ", t), read.delta[t], { limit: wide, digits: 4, role: "gradient" })),
    html("div", { class: "live-row" }, grid(["share: ", ...sym("δ", t), " ", ...sym("h", t - 1, "⊤")], read.shares[t].data, { cols: m, limit, digits: 4, role: "gradient" }), op("→"), sum),
  ];
}

function tables(/** @type {import("./model.js").Data} */ data, /** @type {Read} */ read, /** @type {number} */ t) {
  const units = [1, 2, 3].map((unit) => `unit ${unit}`);
  const times = Array.from({ length: read.T }, (_, k) => k + 1);
  return [
    { caption: "Pre-activation a_t and state h_t", head: ["t", "reads", ...units.map((u) => `a, ${u}`), ...units.map((u) => `h, ${u}`)],
      rows: times.map((s) => [s, data.text[s - 1], ...read.a[s], ...read.h[s]]) },
    { caption: "Scores y_t and probabilities p_t", head: ["t", ...[...data.letters].map((l) => `y of ${l}`), ...[...data.letters].map((l) => `p of ${l}`)],
      rows: times.map((s) => [s, ...read.y[s], ...read.p[s]]) },
    { caption: "On the way back: δ_t, and the share δ_t h_(t−1)ᵀ row by row", head: ["t", ...units.map((u) => `δ, ${u}`), ...Array.from({ length: 9 }, (_, k) => `share ${Math.floor(k / 3) + 1},${(k % 3) + 1}`)],
      rows: [...times.map((s) => [s, ...read.delta[s], ...read.shares[s].data]), ["all", "", "", "", ...read.d_W_hh.data]] },
    { caption: "The loss, and dL/dW_hh collected from the last time down to t", head: ["t", "loss", ...Array.from({ length: 9 }, (_, k) => `${Math.floor(k / 3) + 1},${(k % 3) + 1}`)],
      rows: [[t, read.loss, ...collected(read, t)]] },
  ];
}
