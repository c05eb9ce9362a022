// A figure, table, section or question that the text names, shown beside its name while the pointer
// or the focus is there, unless one sees it already. The pointer may go into it; Escape closes it.
(() => {
  if (!HTMLElement.prototype.showPopover) return;
  const WAIT = 250, LINGER = 150; // ms
  const card = Object.assign(document.createElement("div"), { className: "preview", popover: "manual" });
  card.setAttribute("aria-hidden", "true"); // what it shows stands behind the link, for everyone
  document.body.append(card);
  let shown = null, timer = 0;

  const bare = (node) => {
    const copy = node.cloneNode(true);
    for (const gone of copy.querySelectorAll("button, .here, .marker, details.code")) gone.remove();
    for (const element of [copy, ...copy.querySelectorAll("*")]) {
      for (const name of ["id", "tabindex", "aria-labelledby"]) element.removeAttribute(name);
      if (element.matches("a")) element.removeAttribute("href");
    }
    return copy;
  };
  const content = (target) => {
    const fold = target.closest("details.detail");
    const legend = Object.assign(document.createElement("p"), { className: "legend" });
    if (fold) legend.append(...bare(fold.querySelector("summary")).childNodes);
    if (target.matches("figure, .table")) return fold ? [legend, bare(target)] : [bare(target)];
    if (!target.matches("h2, h3")) return [bare(target)];
    const after = [...document.querySelectorAll("main p:not(.source)")]
      .find((p) => target.compareDocumentPosition(p) & Node.DOCUMENT_POSITION_FOLLOWING);
    return after ? [bare(target), bare(after)] : [bare(target)];
  };
  const inView = (target) => {
    const box = target.getBoundingClientRect();
    return target.checkVisibility() && box.top < innerHeight * 0.9 && box.bottom > innerHeight * 0.1;
  };
  const place = (link) => {
    const own = link.getBoundingClientRect(), box = card.getBoundingClientRect();
    const below = own.bottom + 6, above = own.top - box.height - 6;
    const fits = below + box.height < innerHeight || above < 0;
    card.style.top = `${Math.max(6, fits ? Math.min(below, innerHeight - box.height - 6) : above)}px`;
    const left = own.left + own.width / 2 - box.width / 2;
    card.style.left = `${Math.max(6, Math.min(left, innerWidth - box.width - 16))}px`;
  };
  const show = (link) => {
    const target = document.getElementById(decodeURIComponent(link.hash.slice(1)));
    if (!target || !target.closest("main") || inView(target)) return;
    card.replaceChildren(...content(target));
    card.showPopover();
    card.scrollTop = 0;
    place(link);
    shown = link;
  };
  const hide = () => {
    clearTimeout(timer);
    if (shown) card.hidePopover();
    shown = null;
  };
  const later = (action, wait) => {
    clearTimeout(timer);
    timer = setTimeout(action, wait);
  };

  for (const link of document.querySelectorAll('main a[href^="#"]:not(.here), .questions a')) {
    link.addEventListener("pointerenter", (event) => {
      if (event.pointerType === "mouse" && shown !== link) later(() => { hide(); show(link); }, WAIT);
    });
    link.addEventListener("pointerleave", () => later(hide, LINGER));
    link.addEventListener("focus", () => { if (link.matches(":focus-visible")) show(link); });
    link.addEventListener("blur", hide);
    link.addEventListener("click", hide);
  }
  card.addEventListener("pointerenter", () => clearTimeout(timer));
  card.addEventListener("pointerleave", () => later(hide, LINGER));
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
  addEventListener("scroll", () => {
    if (!shown || card.matches(":hover")) return;
    const own = shown.getBoundingClientRect();
    if (shown === document.activeElement && own.top > 0 && own.bottom < innerHeight) place(shown);
    else hide();
  }, { passive: true });
})();
