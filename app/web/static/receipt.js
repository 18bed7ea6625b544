// Repeats an answer's retrieval and says what differs.

import { send } from "./api.js";
import { el, show } from "./dom.js";

const replay = document.querySelector("#replay");
const result = document.querySelector("#replayed");

show(replay).addEventListener("click", async () => {
  replay.disabled = true;
  result.replaceChildren(el("p", { class: "status" }, "Repeating…"));
  try {
    const response = await send("POST", `/v1/receipts/${encodeURIComponent(replay.dataset.id)}/replay`);
    result.replaceChildren(told(await response.json()));
  } catch (error) {
    result.replaceChildren(el("div", { class: "notice bad" }, error.message));
  } finally {
    replay.disabled = false;
  }
});

function told(outcome) {
  if (outcome.identical) {
    return el("div", { class: "notice good" }, el("strong", {}, "Identical."), " The same snapshot gives the same chunks with the same scores, bit for bit.");
  }
  return el(
    "div",
    { class: "notice warn" },
    el("strong", {}, `Not identical: ${outcome.differences.length} ${outcome.differences.length === 1 ? "difference" : "differences"}.`),
    el("ul", {}, ...outcome.differences.map((d) => el("li", {}, d))),
  );
}
