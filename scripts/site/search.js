// Filters the table of concepts by the words written, which the address keeps: index.html#search=zinc
const form = document.querySelector("form");
const field = form.querySelector("input");
const rows = [...document.querySelectorAll("tbody tr")];

function filter() {
  const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const row of rows) row.hidden = !words.every((word) => row.dataset.words.includes(word));
  const shown = rows.filter((row) => !row.hidden).length;
  form.querySelector("output").textContent = shown
    ? `${shown} of ${rows.length} concepts`
    : "No concept has these words. The workbench searches descriptions and motifs of all features.";
}

function read() {
  field.value = new URLSearchParams(location.hash.slice(1)).get("search") ?? "";
  filter();
}

field.addEventListener("input", () => {
  filter();
  const said = field.value ? `#${new URLSearchParams({ search: field.value })}` : " ";
  history.replaceState(null, "", said === " " ? location.pathname : said);
});
form.addEventListener("submit", (event) => event.preventDefault());
addEventListener("hashchange", read);
form.hidden = false;
read();
