// Everything is readable without scripts; they add the tools and mark where one reads.
(() => {
  const all = (names, from = document) => [...from.querySelectorAll(names)];
  const make = (tag, values, ...children) => {
    const element = Object.assign(document.createElement(tag), values);
    element.append(...children);
    return element;
  };
  const target = ({ hash }) => { try { return document.getElementById(decodeURIComponent(hash.slice(1))); } catch { return null; } };

  // Buttons.
  const NAMES = {
    answers: ["Réponses seules", "Tout le rapport"],
    code: ["Afficher le code", "Masquer le code"],
    folds: ["Ouvrir les suppléments", "Fermer les suppléments"],
  };
  const MARKS = { answers: ".reply", code: "details.code", folds: "details.fold" };
  const button = (action) => document.querySelector(`[data-action=${action}]`);
  const press = (action, on) => {
    if (action === "answers") page.classList.toggle("answers", on);
    else for (const fold of all(MARKS[action])) fold.open = on;
    button(action).dataset.on = on;
    button(action).textContent = NAMES[action][Number(on)];
  };
  for (const action of Object.keys(NAMES)) {
    button(action).hidden = all(MARKS[action]).length < (action === "answers" ? 2 : 1);
    button(action).addEventListener("click", () => {
      press(action, button(action).dataset.on !== "true");
    });
  }
  button("print").addEventListener("click", () => window.print());
  const paint = (theme) => {
    page.dataset.theme = theme;
    button("theme").textContent = theme === "dark" ? "Thème clair" : "Thème sombre";
  };
  button("theme").addEventListener("click", () => {
    paint(chosen = page.dataset.theme === "dark" ? "light" : "dark");
    try { localStorage.setItem("rapport-theme", chosen); } catch { /* no storage: it lasts as long as the page */ }
  });
  dark.addEventListener("change", () => paint(chosen ?? (dark.matches ? "dark" : "light")));
  paint(page.dataset.theme);

  // The contents: where one reads, and the panel they stand in on a small screen.
  const contents = document.querySelector(".contents"), menu = contents.querySelector(".menu");
  const list = contents.querySelector(".headings"), place = contents.querySelector(".place");
  const open = (on) => {
    contents.classList.toggle("open", on);
    menu.setAttribute("aria-expanded", on);
  };
  menu.addEventListener("click", () => open(!contents.classList.contains("open")));
  document.addEventListener("click", ({ target: place }) => {
    if (place.closest(".contents a, [data-action=answers]") || !contents.contains(place)) open(false);
    if (place.closest("a")?.hash === location.hash) reveal();
  });
  contents.addEventListener("focusout", ({ relatedTarget: next }) => { if (next && !contents.contains(next)) open(false); });
  const links = new Map(all("#toc a").map((link) => [target(link), link]));
  let current;
  const mark = () => {
    const limit = innerHeight * 0.25;
    const now = [...links.keys()].filter((h) => h.getClientRects().length && h.getBoundingClientRect().top < limit).pop();
    page.classList.toggle("scrolled", scrollY > innerHeight);
    if (now === current) return;
    links.get(current)?.removeAttribute("aria-current");
    current = now;
    const link = links.get(now);
    place.textContent = link?.textContent ?? "";
    link?.setAttribute("aria-current", "location");
    if (link) list.scrollTop = link.offsetTop - list.offsetTop - list.clientHeight / 2;
  };
  addEventListener("scroll", mark, { passive: true });
  mark();

  // A reference opens the fold it leads into, and shows the whole report if it leads out of the answers.
  const reveal = () => {
    const found = target(location);
    if (!found) return;
    found.closest("details")?.setAttribute("open", "");
    if (!found.checkVisibility()) press("answers", false);
    found.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  reveal();

  // A figure, large: its own window, which scrolls where the screen is small.
  const close = make("button", { type: "button", textContent: "Fermer" });
  const large = make("div", { className: "large", tabIndex: 0 }), legend = make("p");
  const dialog = make("dialog", { ariaLabel: "Figure agrandie" }, close, large, legend);
  document.body.append(dialog);
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  for (const image of all("main figure img")) {
    const figure = image.closest("figure");
    const caption = figure.querySelector("figcaption") ?? figure.parentElement.querySelector("summary");
    const number = caption?.querySelector(".number")?.textContent.slice(0, -1).replace("F", "f");
    const zoom = make("button", { type: "button", className: "zoom", textContent: "⤢" });
    zoom.setAttribute("aria-label", `Agrandir la ${number ?? "figure"}`);
    const show = () => {
      large.replaceChildren(image.cloneNode());
      legend.replaceChildren(...(caption?.cloneNode(true).childNodes ?? []));
      dialog.showModal();
    };
    zoom.addEventListener("click", show);
    image.addEventListener("click", show);
    image.before(zoom);
  }

  // What the text names, shown beside its name unless one sees it already; Escape closes it.
  const card = make("div", { className: "preview", popover: "manual", ariaHidden: "true" });
  document.body.append(card);
  let timer = 0;
  const hide = () => {
    clearTimeout(timer);
    if (card.matches(":popover-open")) card.hidePopover();
  };
  const preview = (link) => {
    const found = target(link), own = link.getBoundingClientRect();
    const box = found.getBoundingClientRect();
    if (found.checkVisibility() && box.top < innerHeight * 0.9 && box.bottom > innerHeight * 0.1) return;
    const legend = found.closest("details")?.querySelector("summary").cloneNode(true).childNodes;
    card.replaceChildren(make("p", {}, ...legend ?? []), found.cloneNode(true));
    for (const button of all("button, details.code", card)) button.remove();
    for (const element of all("[id], [tabindex], [href]", card)) {
      for (const gone of ["id", "tabindex", "href"]) element.removeAttribute(gone);
    }
    card.showPopover();
    const size = card.getBoundingClientRect(), below = own.bottom + 6;
    const above = Math.max(6, own.top - size.height - 6);
    card.style.top = `${below + size.height < innerHeight ? below : above}px`;
    card.style.left = `${Math.max(6, Math.min(own.left, innerWidth - size.width - 16))}px`;
  };
  for (const link of all('main a[href^="#"], header a[href^="#"], .questions a')) {
    if (!target(link)) continue;
    link.addEventListener("pointerenter", (event) => {
      if (event.pointerType === "mouse") timer = setTimeout(() => preview(link), 250);
    });
    link.addEventListener("focus", () => { if (link.matches(":focus-visible")) preview(link); });
    for (const event of ["pointerleave", "blur", "click"]) link.addEventListener(event, hide);
  }
  document.addEventListener("keydown", ({ key }) => {
    if (key !== "Escape") return;
    hide();
    if (contents.classList.contains("open")) { open(false); menu.focus(); }
  });

  // Code is copied by a button; what can be scrolled can be reached by keyboard, and only that.
  for (const box of all(".highlight")) {
    const copy = make("button", { type: "button", className: "copy", textContent: "Copier" });
    copy.addEventListener("click", async () => {
      const range = document.createRange();
      range.selectNodeContents(box.querySelector("pre"));
      try {
        await navigator.clipboard.writeText(range.toString().trimEnd());
        copy.textContent = "Copié";
      } catch { // not allowed here: what is to be copied is selected
        getSelection().removeAllRanges();
        getSelection().addRange(range);
      }
      setTimeout(() => { copy.textContent = "Copier"; }, 1500);
    });
    box.append(copy);
  }
  const reach = () => {
    for (const box of all(".table, pre, table, .math.display")) {
      if (box.scrollWidth > box.clientWidth + 1) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    }
  };
  for (const block of all("details")) block.addEventListener("toggle", reach);
  addEventListener("resize", reach);
  reach();
})();
