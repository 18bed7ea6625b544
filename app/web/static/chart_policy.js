// What Plotly does that the policy of these pages rightly forbids, done in a way that it allows, or not at all.

// Style attributes as text: the same through the object model.
const { setAttribute } = Element.prototype;
Element.prototype.setAttribute = function (name, value) {
  if (name === "style" && this.style) this.style.cssText = value;
  else setAttribute.call(this, name, value);
};

// A picture from a data: address, which asks what the browser can show.
const source = Object.getOwnPropertyDescriptor(HTMLImageElement.prototype, "src");
Object.defineProperty(HTMLImageElement.prototype, "src", {
  ...source,
  set(address) {
    if (!String(address).startsWith("data:")) source.set.call(this, address);
  },
});

// Sheets of the map library inside it, which nothing here uses. Plotly's own rules go into charts.css.
export async function withoutSheets(load) {
  const { createElement } = document;
  document.createElement = (name, ...rest) => createElement.call(document, name === "style" ? "template" : name, ...rest);
  try {
    return await load();
  } finally {
    document.createElement = createElement;
  }
}
