// Tables that scroll inside of their own box can be scrolled by the keyboard.
function makeFocusable() {
  for (const table of document.querySelectorAll(".bd-content table")) {
    if (table.scrollWidth > table.clientWidth) table.tabIndex = 0;
    else table.removeAttribute("tabindex");
  }
}
window.addEventListener("load", makeFocusable);
window.addEventListener("resize", makeFocusable);

// The theme's buttons that unfold a part of the navigation have no name of their own.
window.addEventListener("load", () => {
  for (const button of document.querySelectorAll(".bd-sidebar summary, .bd-links summary")) {
    const page = button.closest("li")?.querySelector("a")?.textContent.trim();
    button.setAttribute("aria-label", `Pages below ${page}`);
  }
});
