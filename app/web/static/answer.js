// One question and its answer, drawn while it arrives. Everything shown goes through text nodes.

import { send, signInPath } from "./api.js";
import { button, el, number, show } from "./dom.js";

const STAGES = ["lexical", "dense", "fusion", "rerank"];
const FLAGS = { unsupported: "not supported by its sources", unchecked: "not checked" };

// The page of a document at the cited words; app/web/answers.py makes the same one.
function sourceLink(place) {
  const at = new URLSearchParams({ start: place.start, end: place.end, version: place.document_version });
  if (place.quote_sha256) at.set("quote", place.quote_sha256);
  return `/documents/${encodeURIComponent(place.document_id)}?${at}#cited`;
}

function sourceAnchor(place, attributes, ...children) {
  return el("a", { href: sourceLink(place), target: "_blank", rel: "noopener", ...attributes }, ...children);
}

export class Turn {
  constructor(question) {
    this.numbers = new Map();
    this.result = null;
    this.sentence = null;
    this.nSentences = 0;
    this.status = el("p", { class: "status", role: "status" }, "Searching the documents…");
    this.sentences = el("p", { class: "sentences", "aria-live": "polite", "aria-relevant": "additions" });
    this.answer = el("div", { class: "answer" }, this.sentences);
    this.sources = el("ol");
    this.sourcesPart = show(el("section", { class: "sources", "aria-label": "Sources" }, el("h3", {}, "Sources"), this.sources), false);
    this.after = el("div", { class: "after" });
    this.node = el("article", { class: "turn is-running" }, el("h2", { class: "question" }, question), this.status, this.answer, this.sourcesPart, this.after);
  }

  // `name` and `data` of one event of the stream; see docs/api.md.
  take(name, data) {
    const delta = data.choices?.[0]?.delta?.content ?? "";
    if (name === "retrieval") this.retrieved(data.assay.result);
    else if (name === "message") this.said(delta, data.assay.support);
    else if (name === "citation") this.cited(data.assay);
    else if (name === "final") this.finished(data.assay);
  }

  retrieved(result) {
    this.result = result;
    const n = result.hits.length;
    this.status.textContent = n ? `Reading ${n} ${n === 1 ? "chunk" : "chunks"}…` : "Nothing was found.";
  }

  said(text, support) {
    const flag = FLAGS[support];
    this.sentence = el("span", { class: `sentence${flag ? ` is-${support}` : ""}` }, el("span", { class: "said" }, text.trim()));
    if (flag) this.sentence.append(" ", el("span", { class: "flag" }, flag));
    this.sentences.append(this.sentence, " ");
    this.nSentences += 1;
  }

  cited(citation) {
    const place = `${citation.document_id}:${citation.start}:${citation.end}`;
    if (!this.numbers.has(place)) this.addSource(place, citation);
    const n = this.numbers.get(place);
    if (!this.sentence || this.sentence.querySelector(`.cite[data-n="${n}"]`)) return;
    const label = `Source ${n}: ${citation.title} (opens in a new tab)`;
    const anchor = sourceAnchor(citation, { class: "cite", "data-n": String(n), "aria-label": label, title: citation.title }, String(n));
    const flag = this.sentence.querySelector(".flag");
    flag ? flag.previousSibling.before(anchor) : this.sentence.append(anchor);
  }

  addSource(place, citation) {
    const n = this.numbers.size + 1;
    this.numbers.set(place, n);
    const about = el("span", { class: "source" }, el("span", { class: "source-title" }, citation.title || citation.document_id), el("q", {}, citation.quote));
    this.sources.append(el("li", {}, sourceAnchor(citation, {}, el("span", { class: "num", "aria-hidden": "true" }, String(n)), about)));
    show(this.sourcesPart);
  }

  finished(final) {
    if (final.sentences.length !== this.nSentences) this.redraw(final);
    if (final.abstained) this.answer.append(el("div", { class: "notice abstained", role: "status" }, el("strong", {}, "I don’t know."), " ", final.abstain_reason));
    if (final.fallback_from) {
      const why = ` The model ${final.fallback_from} did not answer, so sentences quoted from the documents stand in for it.`;
      this.answer.prepend(el("div", { class: "notice warn" }, el("strong", {}, "Fallback."), why));
    }
    if (final.dropped_citations) this.answer.append(el("p", { class: "aside" }, dropped(final.dropped_citations)));
    const n = this.numbers.size;
    this.end(final.abstained ? "No answer found." : `Answer complete, ${n} ${n === 1 ? "source" : "sources"}.`);
    this.status.classList.add("hidden");
    this.after.append(this.feedback(final.receipt_id), this.why(final));
  }

  // What the stream said is replaced by what was released, should the two ever differ.
  redraw(final) {
    this.sentences.replaceChildren();
    final.sentences.forEach((sentence, n) => {
      const points = Array.from(final.content).slice(sentence.start_index, sentence.end_index);
      this.said(points.join(""), sentence.support);
      final.annotations.filter((a) => a.citation.sentence === n).forEach((a) => this.cited(a.citation));
    });
  }

  stopped() {
    this.end("Stopped. What stands here may be incomplete.");
  }

  failed(error, retry) {
    this.end("");
    const actions = error.status === 401 ? el("a", { class: "button", href: signInPath() }, "Sign in") : button("Try again", retry);
    this.after.append(el("div", { class: "notice bad", role: "alert" }, el("strong", {}, "No answer."), " ", error.message, el("p", {}, actions)));
  }

  end(status) {
    this.node.classList.remove("is-running");
    this.status.textContent = status;
    this.sentence = null;
  }

  feedback(receiptId) {
    const said = el("span", { role: "status", class: "aside" });
    const correction = el("textarea", { rows: "3", maxlength: "10000", id: `correction-${receiptId}` });
    const form = show(el("form", { class: "correction" }, el("label", { for: correction.id }, "What should it have said? (optional)"), correction, el("button", { class: "button" }, "Send")), false);
    const rate = async (rating, text) => {
      try {
        await send("POST", "/v1/feedback", { receipt_id: receiptId, rating, correction: text });
        said.textContent = "Thank you, noted.";
        for (const b of [up, down]) b.setAttribute("aria-pressed", String(b === (rating === "up" ? up : down)));
        show(form, false);
      } catch (error) {
        said.textContent = error.message;
      }
    };
    const up = button("Helpful", () => rate("up", ""), { class: "plain rate", "aria-pressed": "false" });
    const down = button("Not right", () => {
      show(form, form.hidden);
      if (form.hidden) return;
      correction.focus({ preventScroll: true });
      form.scrollIntoView({ block: "nearest" });
    }, { class: "plain rate", "aria-pressed": "false" });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      rate("down", correction.value.trim());
      down.focus();
    });
    return el("div", { class: "feedback" }, up, down, said, form);
  }

  why(final) {
    const hits = this.result?.hits ?? [];
    const used = STAGES.filter((stage) => hits.some((hit) => stage in hit.stages));
    const head = el("tr", {}, el("th", { scope: "col", class: "figure" }, "#"), el("th", { scope: "col" }, "Chunk"), ...used.map((s) => el("th", { scope: "col", class: "figure" }, s[0].toUpperCase() + s.slice(1))));
    const table = el("table", { class: "stages" }, el("thead", {}, head), el("tbody", {}, ...hits.map((hit, n) => hitRow(hit, n + 1, used))));
    const times = { ...final.timings_ms };
    const within = Object.entries(this.result?.timings_ms ?? {}).map(([stage, ms]) => `${stage} ${number(ms)}`).join(", ");
    return el(
      "details",
      { class: "why", open: final.abstained && hits.length > 0 },
      el("summary", {}, "Why this answer"),
      hits.length ? el("div", { class: "scroll", role: "region", "aria-label": "What was found", tabindex: "0" }, table) : el("p", {}, "Nothing was found that you may read."),
      hits.length ? el("p", { class: "aside" }, "Each stage: the rank it gave the chunk, and its score.") : null,
      ...withheld(final.withheld, hits),
      el("h3", {}, "Time"),
      el("dl", { class: "times" }, ...Object.entries(times).flatMap(([step, ms]) => [el("dt", {}, step), el("dd", {}, `${number(ms)} ms`, step === "retrieve" && within ? el("span", { class: "aside" }, ` (${within})`) : null)])),
      el("p", { class: "aside" }, "Index snapshot ", el("code", {}, final.snapshot_id), " · ", el("a", { href: `/receipts/${encodeURIComponent(final.receipt_id)}`, target: "_blank", rel: "noopener" }, "Receipt, replay and checks")),
    );
  }
}

function hitRow(hit, rank, stages) {
  const { chunk, sources } = hit;
  const title = sources[0]?.title || chunk.document_id;
  const path = chunk.heading_path.filter((heading, n) => n > 0 || heading !== title).join(" › ");
  const also = sources.length > 1 ? `also in ${sources.slice(1).map((s) => s.title).join(", ")}` : "";
  const text = el("details", { class: "chunk" }, el("summary", {}, path || "Read it"), el("p", {}, chunk.text));
  return el(
    "tr",
    {},
    el("td", { class: "figure" }, String(rank)),
    el("th", { scope: "row" }, sourceAnchor(chunk, {}, title), also ? el("span", { class: "uri" }, also) : null, text),
    ...stages.map((stage) => {
      const score = hit.stages[stage];
      return el("td", { class: "figure" }, ...(score ? [el("span", { class: "rank" }, String(score.rank)), " ", el("span", { class: "score" }, number(score.score))] : ["–"]));
    }),
  );
}

// What screening kept from the answerer: its place and the reason, never its words.
function withheld(stretches, hits) {
  if (!stretches.length) return [];
  const rows = stretches.map((stretch) => {
    const hit = hits.find((h) => h.chunk.id === stretch.chunk_id);
    const place = { ...hit?.chunk, start: stretch.start, end: stretch.end };
    const title = hit?.sources[0]?.title || stretch.chunk_id;
    return el("li", {}, hit ? sourceAnchor(place, {}, title) : title, `: ${stretch.reason}`, el("span", { class: "uri" }, `characters ${stretch.start} to ${stretch.end}`));
  });
  return [el("h3", {}, "Withheld"), el("p", { class: "aside" }, "These stretches give orders to a machine and were kept from whatever wrote the answer."), el("ul", {}, ...rows)];
}

function dropped(n) {
  return n === 1
    ? "1 citation written by the model pointed to nothing that backs the sentence and was dropped."
    : `${n} citations written by the model pointed to nothing that backs the sentence and were dropped.`;
}
