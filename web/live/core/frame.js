/**
 * What every figure has around its drawing: what to try first, controls, a sentence for who listens, the numbers as a
 * table, what was to be noticed, a link to this moment, and a place for what went wrong.
 *
 * @typedef {import("./state.js").Fields} Fields
 * @typedef {{name: string, title: string, tryFirst: string, noticed: string, fields: Fields, summary?: string}} About
 * @typedef {{get(name: string): any, set(name: string, value: any): void, save_changes(): void,
 *   on(event: string, then: () => void): void, off?(event: string, then: () => void): void}} Model
 */
import { html } from "./dom.js";
import { startState, writeLink } from "./state.js";

let figures = 0;

export class Frame {
  /**
   * @param {{model: Model, el: HTMLElement}} place
   * @param {About} about
   * @param {(frame: Frame) => void} draw  called whenever the state or the width has changed
   */
  constructor({ model, el }, about, draw) {
    this.model = model;
    this.about = about;
    this.drawing = draw;
    this.id = `live-${about.name}-${++figures}`;
    this.state = { ...startState(about.fields), ...about.begin, ...(model.get("start") ?? {}), ...(model.get("state") ?? {}) };
    this.updates = /** @type {(() => void)[]} */ ([]);
    this.touched = 0;

    this.stage = html("div", { class: "live-stage" });
    this.controls = html("div", { class: "live-controls" });
    this.status = html("p", { class: "live-says", role: "status" });
    this.error = html("p", { class: "live-error", role: "alert" });
    this.numbers = html("div", { class: "live-table", tabindex: "0", role: "group", "aria-label": "The figure's numbers" });
    this.details = html("details", { class: "live-numbers", toggle: () => this.draw() },
      html("summary", {}, "As numbers"), this.numbers);
    this.noticed = html("p", { class: "live-noticed" });
    this.link = html("a", { class: "live-link", click: () => this.copy() }, "Link to this moment");
    this.root = html("section", { class: `live live-${about.name}`, "aria-labelledby": `${this.id}-title` },
      html("p", { class: "live-title", id: `${this.id}-title` }, html("span", { class: "live-mark" }, "Live"), about.title),
      html("p", { class: "live-try" }, html("b", {}, "Try first. "), about.tryFirst),
      this.error, this.controls, this.status, this.stage, this.noticed, this.details,
      html("p", { class: "live-foot" }, this.link,
        html("button", { type: "button", class: "live-plain", click: () => this.reset() }, "Start again")));
    el.append(this.root);
    this.fail(model.get("problem"));

    this.changed = () => this.take(model.get("state"));
    model.on("change:state", this.changed);
    let width = 0;
    this.watcher = new ResizeObserver(() => {
      if (this.stage.clientWidth !== width) this.draw();
      width = this.stage.clientWidth;
    });
    this.watcher.observe(this.stage);
  }

  /** The width there is for a drawing, in px. */
  get width() {
    return Math.max(this.stage.clientWidth, 240);
  }

  /** Change some values of the state, as a reader does. */
  set(/** @type {Record<string, any>} */ values) {
    this.state = { ...this.state, ...values };
    this.touched++;
    this.fail(null);
    this.model.set("state", this.state);
    this.model.save_changes();
    this.draw();
  }

  /** Take a state that came from elsewhere: a link, or the notebook's other side. */
  take(/** @type {Record<string, any> | undefined} */ state) {
    if (!state || state === this.state) return;
    this.state = { ...this.state, ...state };
    this.draw();
    this.fail(this.model.get("problem"));
  }

  reset() {
    this.set({ ...startState(this.about.fields), ...(this.model.get("start") ?? {}) });
    this.touched = 0;
    this.draw();
  }

  draw() {
    try {
      this.drawing(this);
    } catch (error) {
      this.fail(`This could not be computed: ${error instanceof Error ? error.message : error}.`);
    }
    for (const update of this.updates) update();
    this.link.href = writeLink(this.about.name, this.about.fields, this.state);
    this.noticed.replaceChildren(...(this.touched > 2 ? [html("b", {}, "What you will have noticed. "), this.about.noticed] : []));
  }

  /** Put a drawing on the stage. */
  show(/** @type {Node[]} */ ...nodes) {
    this.stage.replaceChildren(...nodes);
  }

  /** Say one sentence to who listens, and to who reads; said again only when it differs. */
  say(/** @type {string} */ sentence) {
    if (this.status.textContent !== sentence) this.status.textContent = sentence;
  }

  /** Say what went wrong, or with null that nothing did. */
  fail(/** @type {string | null | undefined} */ sentence) {
    this.error.textContent = sentence ?? "";
  }

  /** The numbers as a table, written only while it is open. @param {() => {caption: string, head: string[], rows: (string | number)[][]}[]} tables */
  table(tables) {
    if (!this.details.open) return;
    this.numbers.replaceChildren(...tables().map(({ caption, head, rows }) =>
      html("table", {}, html("caption", {}, caption),
        html("thead", {}, html("tr", {}, head.map((cell) => html("th", { scope: "col" }, cell)))),
        html("tbody", {}, rows.map(([first, ...rest]) =>
          html("tr", {}, html("th", { scope: "row" }, String(first)), rest.map((cell) => html("td", {}, written(cell)))))))));
  }

  async copy() {
    try {
      await navigator.clipboard.writeText(this.link.href);
      this.link.textContent = "Link copied";
    } catch {
      this.link.textContent = "The link is in the address line"; // following it put it there
    }
    setTimeout(() => (this.link.textContent = "Link to this moment"), 2000);
  }

  /** Stop listening. */
  close() {
    this.watcher.disconnect();
    this.model.off?.("change:state", this.changed);
    this.root.remove();
  }
}

/** A number as the table writes it: seven digits, small and large ones with a power of ten. */
export function written(/** @type {string | number} */ value) {
  if (typeof value === "string") return value;
  const size = Math.abs(value);
  return size === 0 || Number.isInteger(value) || (size >= 1e-2 && size < 1e5) ? String(Number(value.toFixed(7))) : value.toExponential(6);
}
