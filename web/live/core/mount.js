/**
 * A figure in a page: a custom element hands it what a notebook's widget would, a model and a place.
 *
 * @typedef {import("./frame.js").About} About
 */
import { html } from "./dom.js";
import { readLink } from "./state.js";

/** What anywidget calls a model: named values, and who listens to them. */
export class PageModel {
  constructor(/** @type {Record<string, any>} */ values) {
    this.values = values;
    this.listeners = /** @type {Map<string, Set<() => void>>} */ (new Map());
  }

  get(/** @type {string} */ name) {
    return this.values[name];
  }

  set(/** @type {string} */ name, /** @type {any} */ value) {
    this.values[name] = value;
  }

  save_changes() {}

  on(/** @type {string} */ event, /** @type {() => void} */ then) {
    const all = this.listeners.get(event) ?? new Set();
    this.listeners.set(event, all.add(then));
  }

  off(/** @type {string} */ event, /** @type {() => void} */ then) {
    this.listeners.get(event)?.delete(then);
  }

  tell(/** @type {string} */ event) {
    this.listeners.get(event)?.forEach((then) => then());
  }
}

/**
 * Define <unrolled-live-NAME>, which becomes the figure wherever it stands.
 * @param {{default: {render(place: {model: any, el: HTMLElement}): any}, about: About}} figure
 * @param {any} data  what the figure computes from
 * @param {string} base  where files lie that a figure may ask for
 */
export function mount(figure, data, base) {
  const { about } = figure;
  const tag = `unrolled-live-${about.name}`;
  if (customElements.get(tag)) return;
  customElements.define(tag, class extends HTMLElement {
    connectedCallback() {
      if (this.model) return;
      const start = JSON.parse(this.getAttribute("start") ?? "{}");
      this.model = new PageModel({ data, base, start });
      this.follow();
      addEventListener("hashchange", () => this.follow());
      try {
        figure.default.render({ model: this.model, el: this });
      } catch (error) {
        this.replaceChildren(html("p", { class: "live live-error", role: "alert" },
          `This figure could not start in your browser (${error instanceof Error ? error.message : error}). The picture above shows the same.`));
      }
    }

    /** Take the state that the address asks for, if it speaks to this figure, and bring the figure into view. */
    follow() {
      const read = readLink(about.name, about.fields, location.hash);
      if (!read) return;
      this.model.set("state", read.state);
      this.model.set("problem", read.problem);
      this.model.tell("change:state");
      requestAnimationFrame(() => this.scrollIntoView({ block: "start" }));
    }
  });
}
