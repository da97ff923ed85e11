"use strict";
// Without this script the page shows the same; tables keep their order.

for (const table of document.querySelectorAll("table[data-sortable]")) {
  const body = table.tBodies[0];
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = heading.textContent;
    heading.replaceChildren(button);
    button.addEventListener("click", () => {
      const falling = heading.getAttribute("aria-sort") === "ascending";
      headings.forEach((each) => each.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", falling ? "descending" : "ascending");
      body.append(...sorted([...body.rows], column, falling ? -1 : 1));
    });
  });
}
for (const hint of document.querySelectorAll(".hint")) hint.hidden = false;

// Numbers go by their value and before texts; what is missing is always last.
function sorted(rows, column, sign) {
  const keyed = rows.map((row) => {
    const cell = row.cells[column];
    const number = "sort" in cell.dataset ? Number(cell.dataset.sort) : null;
    return { row, number, text: cell.textContent.trim() };
  });
  const missing = (each) => each.number === null && ["", "-"].includes(each.text);
  keyed.sort((a, b) => {
    if (missing(a) || missing(b)) return missing(a) - missing(b);
    if (a.number !== null && b.number !== null) return sign * (a.number - b.number);
    return sign * a.text.localeCompare(b.text, undefined, { numeric: true });
  });
  return keyed.map((each) => each.row);
}

// A link to a curve opens what hides it.
function open() {
  const target = document.getElementById(location.hash.slice(1));
  const hiding = target?.closest("details");
  if (hiding) {
    hiding.open = true;
    target.scrollIntoView({ block: "center" });
  }
}
addEventListener("hashchange", open);
open();
