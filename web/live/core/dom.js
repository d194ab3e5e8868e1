/**
 * Elements in one line.
 *
 * @typedef {Record<string, any>} Attributes  a function is listened to under its name, false and null are left out
 */

/** @returns {any} */
function build(/** @type {Element} */ node, /** @type {Attributes} */ attributes, /** @type {any[]} */ children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (typeof value === "function") node.addEventListener(name, value);
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** An HTML element. */
export function html(/** @type {string} */ tag, /** @type {Attributes=} */ attributes, /** @type {any[]} */ ...children) {
  return build(document.createElement(tag), attributes ?? {}, children);
}

/** An SVG element. */
export function svg(/** @type {string} */ tag, /** @type {Attributes=} */ attributes, /** @type {any[]} */ ...children) {
  return build(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes ?? {}, children);
}
