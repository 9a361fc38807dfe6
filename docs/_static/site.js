// What the theme leaves out for the keyboard and for screen readers.
document.addEventListener("DOMContentLoaded", () => {
  for (const summary of document.querySelectorAll("nav li > details > summary")) {
    const page = summary.closest("li").querySelector("a").textContent.trim();
    summary.setAttribute("aria-label", `Pages of ${page}`);
  }
  for (const box of document.querySelectorAll(".cell_output, .cell_output div")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0; // arrow keys scroll what has the focus
  }
});
