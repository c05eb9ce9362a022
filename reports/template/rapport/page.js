// Everything works without this script; it adds the tools and marks where one reads.
(() => {
  const page = document.documentElement;
  const tools = document.querySelector(".tools");
  const blocks = [...document.querySelectorAll("details.code")];
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (page.dataset.theme ?? (dark.matches ? "dark" : "light")) === "dark";

  const actions = {
    code(button) {
      const open = button.getAttribute("aria-pressed") !== "true";
      for (const block of blocks) block.open = open;
      button.setAttribute("aria-pressed", open);
      button.textContent = open ? "Masquer le code" : "Afficher le code";
    },
    theme(button) {
      page.dataset.theme = isDark() ? "light" : "dark";
      name(button);
    },
    print: () => window.print(),
  };
  const name = (button) => { button.textContent = isDark() ? "Thème clair" : "Thème sombre"; };

  for (const button of tools.querySelectorAll("button")) {
    button.addEventListener("click", () => actions[button.dataset.action](button));
    if (button.dataset.action === "theme") {
      name(button);
      dark.addEventListener("change", () => name(button));
    }
    if (button.dataset.action === "code") button.hidden = blocks.length === 0;
  }
  tools.hidden = false;

  const contents = document.querySelector(".contents details");
  if (!matchMedia("(min-width: 68rem)").matches) contents.open = false;

  const links = new Map(
    [...document.querySelectorAll("#toc a")].map((a) => [decodeURIComponent(a.hash.slice(1)), a]));
  const headings = [...links.keys()].map((id) => document.getElementById(id)).filter(Boolean);
  const mark = () => {
    const limit = innerHeight * 0.25;
    const current = headings.filter((h) => h.getBoundingClientRect().top < limit).pop();
    for (const link of links.values()) link.removeAttribute("aria-current");
    if (current) links.get(current.id).setAttribute("aria-current", "location");
  };
  let waiting = false;
  addEventListener("scroll", () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; mark(); });
  }, { passive: true });
  mark();
})();
