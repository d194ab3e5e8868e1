/**
 * Controls that write into a figure's state: real inputs with a text, a value in words, and room for a finger.
 *
 * @typedef {import("./frame.js").Frame} Frame
 * @typedef {{label: any, say?: (value: any, frame: Frame) => string, shown?: (state: any) => boolean}} Options
 */
import { html } from "./dom.js";

let inputs = 0;

/** Show a control only while its figure's state wants it. */
function keep(/** @type {Frame} */ frame, /** @type {HTMLElement} */ row, /** @type {Options} */ options, /** @type {() => void} */ update) {
  frame.updates.push(() => {
    row.hidden = options.shown ? !options.shown(frame.state) : false;
    update();
  });
  return row;
}

/** A slider over a field that is a number, or over the stops of one that has stops. */
export function slider(/** @type {Frame} */ frame, /** @type {string} */ name, /** @type {Options & {least?: number, most?: (state: any) => number}} */ options) {
  const field = frame.about.fields[name];
  const stops = field.kind === "stop" ? field.of ?? [] : null;
  const id = `${frame.id}-${name}-${++inputs}`;
  const output = html("output", { for: id });
  const input = html("input", { type: "range", id, min: stops ? 0 : options.least ?? field.least, max: stops ? stops.length - 1 : field.most,
    step: stops ? 1 : field.step ?? 1,
    input: () => frame.set({ [name]: stops ? stops[Number(input.value)] : Number(input.value) }) });
  const row = html("div", { class: "live-slider" }, html("label", { for: id }, options.label), output, input);
  return keep(frame, row, options, () => {
    const value = frame.state[name];
    if (options.most) input.max = options.most(frame.state);
    input.value = stops ? stops.indexOf(value) : value;
    const words = options.say ? options.say(value, frame) : String(value);
    output.textContent = words;
    input.setAttribute("aria-valuetext", words);
  });
}

/** A switch over a field that is yes or no. */
export function toggle(/** @type {Frame} */ frame, /** @type {string} */ name, /** @type {Options} */ options) {
  const input = html("input", { type: "checkbox", role: "switch", change: () => frame.set({ [name]: input.checked }) });
  const row = html("label", { class: "live-toggle" }, input, html("span", {}, options.label));
  return keep(frame, row, options, () => (input.checked = frame.state[name]));
}

/** One of a few, as a row of buttons of which one is pressed. @param {Options & {names?: Record<string, any>}} options */
export function choice(/** @type {Frame} */ frame, /** @type {string} */ name, options) {
  const id = `${frame.id}-${name}-${++inputs}`;
  const field = frame.about.fields[name];
  const radios = (field.of ?? []).map((value) => {
    const input = html("input", { type: "radio", name: id, value, change: () => frame.set({ [name]: value }) });
    return { value, input, label: html("label", {}, input, html("span", {}, options.names?.[value] ?? String(value))) };
  });
  const row = html("fieldset", { class: "live-choice" }, html("legend", {}, options.label), radios.map((radio) => radio.label));
  return keep(frame, row, options, () => radios.forEach(({ value, input }) => (input.checked = frame.state[name] === value)));
}

/** A button. */
export function button(/** @type {any} */ label, /** @type {() => void} */ press, /** @type {Record<string, any>} */ attributes = {}) {
  return html("button", { type: "button", click: press, ...attributes }, label);
}

/** Two buttons, one step back and one on, for a field that counts. */
export function steps(/** @type {Frame} */ frame, /** @type {string} */ name, /** @type {{back: string, on: string, most?: (state: any) => number, least?: (state: any) => number}} */ options) {
  const field = frame.about.fields[name];
  const least = () => options.least?.(frame.state) ?? field.least ?? 0;
  const most = () => options.most?.(frame.state) ?? field.most ?? 0;
  const move = (/** @type {number} */ by) => frame.set({ [name]: Math.min(Math.max(frame.state[name] + by, least()), most()) });
  const back = button(options.back, () => move(-1));
  const on = button(options.on, () => move(1));
  const row = html("div", { class: "live-steps" }, back, on);
  // never `disabled`, which would throw the focus away under the reader's finger
  return keep(frame, row, { label: "" }, () => {
    back.setAttribute("aria-disabled", String(frame.state[name] <= least()));
    on.setAttribute("aria-disabled", String(frame.state[name] >= most()));
  });
}
