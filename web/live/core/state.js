/**
 * What a figure shows, as a few named values: checked, and written into a link.
 *
 * @typedef {{kind: "integer" | "number" | "stop" | "choice" | "yes" | "text", start: any, least?: number, most?: number,
 *   step?: number, of?: any[]}} Field
 * @typedef {Record<string, Field>} Fields
 * @typedef {Record<string, any>} State
 */

/** The state a figure begins with. @returns {State} */
export function startState(/** @type {Fields} */ fields) {
  return Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, field.start]));
}

/** What a field takes, in words. */
export function expected(/** @type {Field} */ field) {
  if (field.kind === "choice" || field.kind === "stop") return `one of ${field.of?.join(", ")}`;
  if (field.kind === "yes") return "0 or 1";
  if (field.kind === "text") return `a text of at most ${field.most} characters`;
  return `a ${field.kind === "integer" ? "whole " : ""}number from ${field.least} to ${field.most}`;
}

/** The value that a text of a link stands for, or undefined where it stands for none. */
export function readValue(/** @type {Field} */ field, /** @type {string} */ text) {
  if (field.kind === "text") return text.length <= (field.most ?? Infinity) ? text : undefined;
  if (field.kind === "choice") return field.of?.includes(text) ? text : undefined;
  if (field.kind === "yes") return text === "1" ? true : text === "0" ? false : undefined;
  const value = /^-?\d+(\.\d+)?(e-?\d+)?$/.test(text) ? Number(text) : NaN;
  if (field.kind === "stop") return field.of?.includes(value) ? value : undefined;
  if (!(value >= (field.least ?? -Infinity) && value <= (field.most ?? Infinity))) return undefined;
  return field.kind === "integer" && !Number.isInteger(value) ? undefined : value;
}

/**
 * Read an address's fragment, `#live=hello&t=3`. Null where it does not speak to this figure.
 * @returns {{state: State, problem: string | null} | null}
 */
export function readLink(/** @type {string} */ name, /** @type {Fields} */ fields, /** @type {string} */ hash) {
  const asked = new URLSearchParams(hash.replace(/^#/, ""));
  if (asked.get("live") !== name) return null;
  const state = startState(fields);
  let problem = null;
  for (const [key, text] of asked) {
    if (key === "live") continue;
    const value = fields[key] && readValue(fields[key], text);
    const got = text.length > 40 ? `${text.slice(0, 40)}…` : text;
    if (value !== undefined) state[key] = value;
    else if (fields[key]) problem ??= `The link asks for ${key} = “${got}”; expected ${expected(fields[key])}. The rest of it is shown.`;
    else problem ??= `The link sets “${key.slice(0, 40)}”, which this figure does not have. The rest of it is shown.`;
  }
  return { state, problem };
}

/** The fragment that brings a state back; what is as at the start is left out. */
export function writeLink(/** @type {string} */ name, /** @type {Fields} */ fields, /** @type {State} */ state) {
  const parts = new URLSearchParams({ live: name });
  for (const [key, field] of Object.entries(fields))
    if (state[key] !== field.start) parts.set(key, field.kind === "yes" ? String(Number(state[key])) : String(state[key]));
  return `#${parts}`;
}
