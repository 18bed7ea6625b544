// The question box: sends a question, shows the answer as it arrives, and goes on with the conversation.

import { Refused, refusal, send, serverEvents } from "./api.js";
import { Turn } from "./answer.js";
import { show } from "./dom.js";

const form = document.querySelector("#ask");
const box = form.elements.q;
const conversation = document.querySelector("#conversation");
const page = document.querySelector("#asking");
const buttons = { send: form.querySelector("#send"), stop: form.querySelector("#stop"), fresh: form.querySelector("#new") };
let running = null;

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const question = box.value.trim();
  if (!question || running) return;
  box.value = "";
  fit();
  ask(question);
});

box.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    form.requestSubmit();
  }
});
box.addEventListener("input", fit);
buttons.stop.addEventListener("click", () => running?.abort());
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") running?.abort();
});

async function ask(question) {
  const turn = new Turn(question);
  conversation.append(turn.node);
  page.classList.add("has-turns");
  box.placeholder = "Ask a follow-up";
  turn.node.scrollIntoView({ block: "start", behavior: calm() ? "auto" : "smooth" });
  running = new AbortController();
  busy(true);
  try {
    await stream(question, turn, running.signal);
  } catch (error) {
    if (error.name === "AbortError") turn.stopped();
    else turn.failed(error, () => retry(turn, question));
  } finally {
    running = null;
    busy(false);
    box.focus({ preventScroll: true });
  }
}

async function stream(question, turn, signal) {
  const response = await send("POST", "/v1/chat/completions", body(question), signal);
  let isComplete = false;
  for await (const [name, data] of serverEvents(response)) {
    if (data === "[DONE]") break;
    if (name === "error") throw refusal(500, data);
    turn.take(name, JSON.parse(data));
    isComplete ||= name === "final";
  }
  if (!isComplete) throw new Refused(0, "The answer ended before it was complete.");
}

function body(question) {
  const chosen = form.elements.collection.value;
  return {
    model: "assay",
    stream: true,
    messages: [{ role: "user", content: question }],
    strict: form.elements.strict.checked,
    conversation_id: form.elements.conversation.value,
    ...(chosen ? { collection: chosen } : {}),
  };
}

function retry(turn, question) {
  if (running) return;
  turn.node.remove();
  ask(question);
}

function busy(isBusy) {
  show(buttons.send, !isBusy);
  show(buttons.stop, isBusy);
  show(buttons.fresh, !isBusy);
}

function fit() {
  box.rows = Math.min(8, box.value.split("\n").length);
}

const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

fit();
if (matchMedia("(pointer: fine)").matches) box.focus({ preventScroll: true });
