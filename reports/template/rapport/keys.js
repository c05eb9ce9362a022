// Keys that spare the mouse, and the window that tells them. They can be turned off: some readers
// speak to their computer, or type with what touches several keys at once.
(() => {
  const page = document.documentElement;
  const LISTED = [
    [["/"], "chercher dans la page"],
    [["Entrée"], "dans la recherche\u00a0: résultat suivant (avec Maj\u00a0: précédent)"],
    [["n", "p"], "question suivante, précédente"],
    [["c"], "montrer ou masquer tout le code"],
    [["s"], "ouvrir ou fermer tous les suppléments"],
    [["Échap"], "fermer ce qui est ouvert"],
    [["?"], "cette aide"],
  ];
  const make = (tag, values = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), values);
    element.append(...children);
    return element;
  };
  const off = make("input", { type: "checkbox", id: "touches" });
  const close = make("button", { type: "button", textContent: "Fermer" });
  const rows = LISTED.map(([keys, text]) => make("tr", {},
    make("th", { scope: "row" }, ...keys.flatMap((key) => [make("kbd", { textContent: key }), " "])),
    make("td", { textContent: text })));
  const dialog = make("dialog", { className: "keys" },
    make("h2", { id: "raccourcis", textContent: "Raccourcis clavier" }),
    make("table", {}, make("tbody", {}, ...rows)),
    make("p", {}, make("label", {}, off, " Raccourcis d’une seule touche")), close);
  dialog.setAttribute("aria-labelledby", "raccourcis");
  document.body.append(dialog);
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  document.addEventListener("rapport-keys", () => dialog.showModal());

  const remember = (on) => {
    if (on) delete page.dataset.keys;
    else page.dataset.keys = "off";
    try {
      if (on) localStorage.removeItem("rapport-raccourcis");
      else localStorage.setItem("rapport-raccourcis", "off");
    } catch { /* no storage: the choice lasts as long as the page */ }
  };
  try {
    if (localStorage.getItem("rapport-raccourcis")) page.dataset.keys = "off";
  } catch { /* none */ }
  off.checked = page.dataset.keys !== "off";
  off.addEventListener("change", () => remember(off.checked));

  const questions = [...document.querySelectorAll("main .question")];
  const margin = () => parseFloat(getComputedStyle(page).scrollPaddingTop) + 8;
  const go = (step) => {
    const tops = questions.map((q) => q.getBoundingClientRect().top - margin());
    const next = step > 0 ? tops.findIndex((top) => top > 1) : tops.findLastIndex((top) => top < -9);
    const question = questions[next];
    if (!question) return;
    question.tabIndex = -1;
    question.focus({ preventScroll: true });
    question.scrollIntoView();
  };
  const press = (action) => document.querySelector(`.tools [data-action=${action}]`).click();
  const actions = {
    "?": () => dialog.showModal(),
    n: () => go(1),
    p: () => go(-1),
    c: () => press("code"),
    s: () => press("details"),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || page.dataset.keys === "off") return;
    if (!(event.key in actions) || event.target.closest("input, textarea, dialog")) return;
    event.preventDefault();
    actions[event.key]();
  });
})();
