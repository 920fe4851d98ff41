
// Everything here is a convenience: without it the page says the same.
"use strict";

for (const time of document.querySelectorAll("header time, .facts time")) {
  time.title = new Date(time.dateTime).toLocaleString() + " on this computer's clock";
}

const order = new Intl.Collator(undefined, { numeric: true });
const key = (cell) => cell.textContent.trim().replace(cell.matches(".number") ? /[<> ]/g : /^$/, "");

for (const table of document.querySelectorAll(".sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...table.tBodies[0].rows].map((row) => [key(row.cells[column]), row]);
      rows.sort(([a], [b]) => (down ? -1 : 1) * order.compare(a, b));
      for (const [, row] of rows) table.tBodies[0].append(row);
    });
  });
}

const filter = document.querySelector(".filter");
const rows = [...document.querySelectorAll(".people tbody tr")];
filter.hidden = rows.length < 2;
filter.querySelector("input").addEventListener("input", (event) => {
  const wanted = event.target.value.trim().toLowerCase();
  let shown = 0;
  for (const row of rows) {
    row.hidden = !row.textContent.toLowerCase().includes(wanted);
    shown += row.hidden ? 0 : 1;
  }
  filter.querySelector("output").textContent = wanted ? `${shown} of ${rows.length}` : "";
});
