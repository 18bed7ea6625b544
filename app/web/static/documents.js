// Adding and deleting documents. The list itself is the server's: it is fetched again after a change.

import { HEADERS, refusal, send, signInPath } from "./api.js";
import { el, show } from "./dom.js";

const said = document.querySelector("#said");

// -- adding

const upload = document.querySelector("#upload");
if (upload) {
  const input = document.querySelector("#files");
  const drop = document.querySelector("#drop");
  show(upload);
  input.addEventListener("change", () => {
    sendAll([...input.files]);
    input.value = "";
  });
  upload.addEventListener("submit", (event) => event.preventDefault());
  drop.addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.classList.add("is-over");
  });
  drop.addEventListener("dragleave", () => drop.classList.remove("is-over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("is-over");
    sendAll([...event.dataTransfer.files]);
  });
}

let line = Promise.resolve(); // one file at a time, in the order they were given

function sendAll(files) {
  if (!files.length || !upload.reportValidity()) return;
  const rows = files.map((file) => [file, row(file)]);
  line = line.then(async () => {
    let added = 0;
    for (const [file, shown] of rows) added += (await sendOne(file, shown)) ? 1 : 0;
    document.querySelector("#upload-status").textContent = `${added} of ${files.length} ${files.length === 1 ? "file" : "files"} stored.`;
    if (added) await refresh();
  });
}

function row(file) {
  const bar = el("progress", { max: "1", value: "0", "aria-label": `Sending ${file.name}` });
  const state = el("span", { class: "state" }, "Waiting");
  const node = el("li", {}, el("span", { class: "name" }, file.name), state, bar);
  document.querySelector("#uploads").append(node);
  return { node, bar, state };
}

async function sendOne(file, { node, bar, state }) {
  const end = (kind, ...words) => {
    node.classList.add(kind);
    state.replaceChildren(...words);
    bar.remove();
    return kind === "ok";
  };
  if (file.size > Number(upload.dataset.maxBytes)) return end("failed", "Too large for this server. Split it, or add it with: assay ingest");
  state.textContent = "Sending…";
  try {
    const { data } = await put(file, (share) => {
      bar.value = share;
      if (share < 1) return;
      state.textContent = "Reading and indexing…";
      bar.removeAttribute("value");
    });
    const words = { added: "Added", updated: "Updated", unchanged: "Already here, unchanged" };
    return end("ok", words[data[0].status] ?? data[0].status, ": ", el("a", { href: `/documents/${encodeURIComponent(data[0].id)}` }, data[0].title || data[0].id));
  } catch (error) {
    const help = error.status === 401 ? [" ", el("a", { href: signInPath() }, "Sign in")] : [];
    return end("failed", `Not added. ${error.message}`, ...help);
  }
}

// fetch() cannot tell how much of a body has been sent, so this is an XMLHttpRequest.
function put(file, onProgress) {
  const form = new FormData();
  form.append("collection", upload.elements.collection.value.trim());
  if (upload.elements.groups.value.trim()) form.append("groups", upload.elements.groups.value);
  form.append("files", file, file.name);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", "/v1/documents");
    for (const [name, value] of Object.entries(HEADERS)) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", (event) => event.lengthComputable && onProgress(event.loaded / event.total));
    request.addEventListener("load", () => {
      if (request.status >= 400) reject(refusal(request.status, request.responseText));
      else resolve(JSON.parse(request.responseText));
    });
    request.addEventListener("error", () => reject(refusal(0)));
    request.send(form);
  });
}

// -- deleting

const dialog = document.querySelector("#confirm");
let doomed = null;

function armDeletion(within) {
  for (const b of within.querySelectorAll(".delete")) {
    show(b);
    b.addEventListener("click", () => {
      doomed = b;
      document.querySelector("#confirm-name").textContent = b.dataset.title;
      show(document.querySelector("#confirm-error"), false);
      dialog.showModal();
    });
  }
}

document.querySelector("#confirm-delete")?.addEventListener("click", async (event) => {
  const { id, title, then } = doomed.dataset;
  event.target.disabled = true;
  try {
    await send("DELETE", `/v1/documents/${encodeURIComponent(id)}`);
    dialog.close();
    if (then) location.assign(then);
    else await afterDeletion(`“${title}” was deleted.`);
  } catch (error) {
    const problem = document.querySelector("#confirm-error");
    problem.textContent = error.message;
    show(problem);
  } finally {
    event.target.disabled = false;
  }
});

async function afterDeletion(words) {
  said.textContent = words;
  await refresh();
  said.focus();
}

async function refresh() {
  const html = await fetch(location.href, { headers: HEADERS }).then((r) => (r.ok ? r.text() : ""), () => "");
  const fresh = new DOMParser().parseFromString(html, "text/html").querySelector("#listing");
  if (!fresh) {
    said.textContent = "The list below is out of date and could not be read again. Reload the page.";
    return;
  }
  const listing = document.querySelector("#listing");
  listing.replaceChildren(...document.importNode(fresh, true).childNodes);
  armDeletion(listing);
}

armDeletion(document);
