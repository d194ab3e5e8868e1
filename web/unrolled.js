// Anything that scrolls sideways inside itself must be reachable with the keyboard; nothing else takes a tab stop.
const SCROLLERS = "div.math, .pst-scrollable-table-container, pre, .cell_output, .cell_output > .output, dt.sig";
const boxes = [...document.querySelectorAll(SCROLLERS)];

function mark(box) {
  const scrolls = box.scrollWidth > box.clientWidth && getComputedStyle(box).overflowX !== "visible";
  if (scrolls) box.tabIndex = 0;
  else if (box.tabIndex === 0) box.removeAttribute("tabindex");
}

const markAll = () => boxes.forEach(mark);
const watcher = new ResizeObserver((entries) => entries.forEach((entry) => mark(entry.target)));
boxes.forEach((box) => watcher.observe(box));
addEventListener("load", async () => {
  markAll();
  await window.MathJax?.startup?.promise; // a formula has its width only once it is set
  markAll();
});
