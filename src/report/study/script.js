"use strict";
// Tables sort by a click on a heading: numbers by their keys, text by its letters, nothing last.
const compare = (a, b, down) => {
  if (a === b) return 0;
  if (a === "") return 1;
  if (b === "") return -1;
  const order = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
  return down ? -order : order;
};
const key = (row, column) => {
  const cell = row.cells[column];
  if (!cell) return "";
  if (cell.dataset.key !== undefined) return Number(cell.dataset.key);
  const text = cell.textContent.trim();
  return text === "–" ? "" : text;
};
for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const button = heading.querySelector("button");
    if (!button) return;
    button.addEventListener("click", () => {
      const numeric = heading.classList.contains("n");
      const before = heading.getAttribute("aria-sort");
      const down = before ? before === "ascending" : numeric;
      for (const other of headings) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", down ? "descending" : "ascending");
      const body = table.tBodies[0];
      const rows = [...body.rows].map((row) => [key(row, column), row]);
      rows.sort((a, b) => compare(a[0], b[0], down));
      body.append(...rows.map((pair) => pair[1]));
    });
  });
}
// Groups of rows can be left out of the large table.
for (const box of document.querySelectorAll("input[data-group]")) {
  box.addEventListener("change", () => {
    for (const row of document.querySelectorAll(`tr[data-group="${box.dataset.group}"]`)) {
      row.classList.toggle("gone", !box.checked);
    }
  });
}
