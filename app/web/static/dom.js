// Builds elements. Text only ever becomes text nodes; there is no way in for markup.

export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return node;
}

export function button(name, onClick, attributes = {}) {
  const node = el("button", { type: "button", class: "button", ...attributes }, name);
  node.addEventListener("click", onClick);
  return node;
}

export function show(node, visible = true) {
  node.hidden = !visible;
  return node;
}

// A score or a time in as many digits as a reader can use.
export function number(value) {
  return Math.abs(value) >= 1000 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(3)));
}
