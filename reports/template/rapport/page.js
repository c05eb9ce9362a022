// Everything works without scripts; they add the tools and mark where one reads.
(() => {
  const page = document.documentElement;
  const FOLDS = {
    code: ["Afficher le code", "Masquer le code"],
    details: ["Ouvrir les suppléments", "Fermer les suppléments"],
  };
  const folds = (kind) =>
    document.querySelectorAll(kind === "code" ? "details.code" : "details.detail");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const system = () => (dark.matches ? "dark" : "light");
  const theme = () => page.dataset.theme ?? system();

  const remember = (value) => {
    try {
      if (value) localStorage.setItem("rapport-theme", value);
      else localStorage.removeItem("rapport-theme");
    } catch { /* no storage: the choice lasts as long as the page */ }
  };
  // Folds above what one reads change its place, not where one reads.
  const toggle = (button, kind) => {
    const open = button.getAttribute("aria-pressed") !== "true";
    const seen = document.elementsFromPoint(innerWidth / 2, innerHeight / 3)
      .find((element) => element.closest("main") && !element.matches("main, .cell"));
    const before = seen?.getBoundingClientRect().top;
    for (const block of folds(kind)) block.open = open;
    button.setAttribute("aria-pressed", open);
    button.textContent = FOLDS[kind][Number(open)];
    if (seen?.checkVisibility()) scrollBy(0, seen.getBoundingClientRect().top - before);
  };
  const actions = {
    code: (button) => toggle(button, "code"),
    details: (button) => toggle(button, "details"),
    theme(button) {
      const next = theme() === "dark" ? "light" : "dark";
      if (next === system()) delete page.dataset.theme;
      else page.dataset.theme = next;
      remember(page.dataset.theme);
      name(button);
    },
    print: () => window.print(),
  };
  const name = (button) => {
    button.textContent = theme() === "dark" ? "Thème clair" : "Thème sombre";
  };

  for (const button of document.querySelectorAll(".tools button")) {
    const action = button.dataset.action;
    button.addEventListener("click", () => actions[action](button));
    if (action === "theme") {
      name(button);
      dark.addEventListener("change", () => name(button));
    }
    if (action in FOLDS) button.hidden = folds(action).length === 0;
  }

  const copy = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch { // not allowed here: the old way
      const area = Object.assign(document.createElement("textarea"), { value: text });
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
  };
  for (const box of document.querySelectorAll(".highlight")) {
    const button = Object.assign(document.createElement("button"), {
      type: "button", className: "copy", textContent: "Copier",
    });
    button.addEventListener("click", async () => {
      await copy(box.querySelector("pre").textContent.trimEnd());
      button.textContent = "Copié";
      setTimeout(() => { button.textContent = "Copier"; }, 1500);
    });
    box.append(button);
  }

  // What can be scrolled can be reached by keyboard, and only that.
  const reach = () => {
    for (const box of document.querySelectorAll(".scroll, pre, .math.display")) {
      if (box.scrollWidth > box.clientWidth + 1) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    }
  };
  for (const block of document.querySelectorAll("details")) block.addEventListener("toggle", reach);
  addEventListener("resize", reach);
  reach();

  // A reference to a supplement opens it.
  const unfold = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const fold = target?.closest("details.detail");
    if (!fold) return;
    fold.open = true;
    fold.scrollIntoView();
  };
  addEventListener("hashchange", unfold);
  for (const link of document.querySelectorAll('main a[href^="#"]')) {
    link.addEventListener("click", () => { if (link.hash === location.hash) unfold(); });
  }
  unfold();
})();
