"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const ascending = head.getAttribute("aria-sort") === "descending" ||
      (!head.hasAttribute("aria-sort") && column === 0);
    for (const other of heads) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    const key = (row) => {
      const cell = row.cells[column];
      return "value" in cell.dataset ? Number(cell.dataset.value) : cell.textContent.trim();
    };
    const compare = (a, b) => {
      const [x, y] = [key(a), key(b)];
      if (x === "" || y === "") return (x === "") - (y === "");  // what is missing stays last
      const order = typeof x === "number" && typeof y === "number" ? x - y :
        String(x).localeCompare(String(y), "en", {numeric: true});
      return ascending ? order : -order;
    };
    table.tBodies[0].append(...[...table.tBodies[0].rows].sort(compare));
  }));
}
document.getElementById("copy").addEventListener("click", async () => {
  const source = document.getElementById("latex-source");
  const told = document.getElementById("copied");
  try {
    await navigator.clipboard.writeText(source.textContent);
    told.textContent = "Copied.";
  } catch {  // where pages may not write to the clipboard
    getSelection().selectAllChildren(source);
    told.textContent = "Selected: press Ctrl+C.";
  }
});
addEventListener("beforeprint", () => {
  for (const each of document.querySelectorAll("#speakers details")) each.open = true;
});
