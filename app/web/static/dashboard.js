document.querySelector(".views [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

// Filters without empty fields: an address that is worth sharing.

for (const form of document.querySelectorAll(".filters")) {
  form.addEventListener("submit", () => {
    for (const field of form.elements) if (!field.value) field.disabled = true;
  });
}
// A page that comes back from the browser's memory has them again.
addEventListener("pageshow", () => {
  for (const field of document.querySelectorAll(".filters :disabled")) field.disabled = false;
});
