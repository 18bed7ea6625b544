// Signing in and out, on whatever page shows it.

import { send } from "./api.js";
import { show } from "./dom.js";

const form = document.querySelector("#sign-in");
form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const problem = document.querySelector("#problem");
  const key = form.elements.key;
  show(problem, false);
  try {
    await send("POST", "/v1/session", { key: key.value.trim() });
    location.assign(form.dataset.next);
  } catch (error) {
    problem.textContent = error.message;
    show(problem);
    key.setAttribute("aria-invalid", "true");
    key.select();
  }
});

document.querySelector("#sign-out")?.addEventListener("click", async () => {
  await send("DELETE", "/v1/session");
  location.assign("/signin");
});
