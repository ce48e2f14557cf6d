// Tables that scroll inside of their own box can be scrolled by the keyboard.
function makeFocusable() {
  for (const table of document.querySelectorAll(".bd-content table")) {
    if (table.scrollWidth > table.clientWidth) table.tabIndex = 0;
    else table.removeAttribute("tabindex");
  }
}
window.addEventListener("load", makeFocusable);
window.addEventListener("resize", makeFocusable);
