// The contents: where one reads, and the panel they stand in on a small screen.
(() => {
  const contents = document.querySelector(".contents");
  const menu = contents.querySelector(".menu");
  const place = contents.querySelector(".place");
  const list = contents.querySelector(".headings");

  const toggle = (open) => {
    contents.classList.toggle("open", open);
    menu.setAttribute("aria-expanded", open);
  };
  menu.addEventListener("click", () => toggle(!contents.classList.contains("open")));
  contents.addEventListener("click", (event) => {
    if (event.target.closest("a")) toggle(false);
  });
  document.addEventListener("click", (event) => {
    if (!contents.contains(event.target)) toggle(false);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !contents.classList.contains("open")) return;
    toggle(false);
    menu.focus();
  });

  const links = new Map(
    [...document.querySelectorAll("#toc a")].map((a) => [a.hash.slice(1), a]));
  const headings = [...links.keys()].map((id) => document.getElementById(id)).filter(Boolean);
  let shown = null;
  const mark = () => {
    const limit = innerHeight * 0.25;
    const current = headings.filter((h) => h.getBoundingClientRect().top < limit).pop() ?? null;
    document.documentElement.classList.toggle("scrolled", scrollY > innerHeight);
    if (current === shown) return;
    links.get(shown?.id)?.removeAttribute("aria-current");
    shown = current;
    const link = links.get(shown?.id);
    place.textContent = link?.textContent ?? "";
    if (!link) return;
    link.setAttribute("aria-current", "location");
    // Only the list moves, never the page.
    const box = list.getBoundingClientRect(), own = link.getBoundingClientRect();
    if (own.top < box.top + 40) list.scrollTop -= box.top + 40 - own.top;
    if (own.bottom > box.bottom - 40) list.scrollTop += own.bottom - box.bottom + 40;
  };
  let waiting = false;
  addEventListener("scroll", () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; mark(); });
  }, { passive: true });
  mark();
})();
