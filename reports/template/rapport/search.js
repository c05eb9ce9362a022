// Search in the text: accents, case and kinds of spaces do not count, nor does folded code; a
// supplement is opened by a hit in it.
(() => {
  const MOST = 60; // hits listed; all are counted and marked
  const BLOCKS = "p, li, td, th, caption, figcaption, h2, h3, h4, pre, summary";
  const main = document.querySelector("main");
  const contents = document.querySelector(".contents");
  const form = document.querySelector(".search");
  const input = form.querySelector("input");
  const count = form.querySelector("output");
  const list = document.querySelector(".hits");
  const headings = document.querySelector(".headings");
  let index = null, hits = [], at = -1;

  // One character for one: a place in the folded text is a place in the page.
  const fold = (text) => [...text].map((c) => {
    if (c === "’") return "'";
    if (/\s/.test(c)) return " ";
    return c.length === 1 ? c.normalize("NFD")[0].toLowerCase() : c;
  }).join("");

  const read = () => {
    const found = new Map();
    let section = "";
    const walker = document.createTreeWalker(main, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const node = walker.currentNode;
      if (node.parentElement.closest("svg, style, .here, .source, .copy, .zoom, .marker")) continue;
      const block = node.parentElement.closest(BLOCKS) ?? node.parentElement;
      if (/^H[23]$/.test(block.tagName) && !found.has(block)) section = heading(block);
      if (!found.has(block)) found.set(block, { block, section, nodes: [], raw: "" });
      const entry = found.get(block);
      entry.nodes.push([entry.raw.length, node]);
      entry.raw += node.data;
    }
    return [...found.values()].map((entry) => ({ ...entry, text: fold(entry.raw) }));
  };
  const heading = (h) => [...h.childNodes].filter((n) => !n.classList?.contains("here"))
    .map((n) => n.textContent).join("");

  const point = (entry, offset) => {
    const [start, node] = entry.nodes.findLast(([start]) => start <= offset);
    return [node, Math.min(offset - start, node.data.length)];
  };
  const find = (wanted) => {
    const results = [];
    for (const entry of index) {
      if (entry.block.closest("details.code:not([open])")) continue;
      let start = entry.text.indexOf(wanted);
      while (start >= 0) {
        const end = start + wanted.length, range = new Range();
        range.setStart(...point(entry, start));
        const [node, offset] = point(entry, end - 1);
        range.setEnd(node, offset + 1);
        results.push({ entry, start, end, range });
        start = entry.text.indexOf(wanted, end);
      }
    }
    return results;
  };

  const paint = () => {
    if (!CSS.highlights) return;
    CSS.highlights.set("found", new Highlight(...hits.map((hit) => hit.range)));
    if (hits[at]) CSS.highlights.set("current", new Highlight(hits[at].range));
    else CSS.highlights.delete("current");
  };
  const say = () => {
    if (!input.value.trim()) count.textContent = "";
    else if (!hits.length) count.textContent = "aucun résultat";
    else count.textContent = at < 0 ? `${hits.length} résultat${hits.length > 1 ? "s" : ""}`
      : `${at + 1} sur ${hits.length}`;
  };
  const go = (number) => {
    if (!hits.length) return;
    at = (number + hits.length) % hits.length;
    const { entry, range } = hits[at];
    const fold = entry.block.closest("details.detail");
    if (fold && !entry.block.matches("summary")) fold.open = true;
    paint();
    say();
    if (!CSS.highlights) {
      getSelection().removeAllRanges();
      getSelection().addRange(range);
    }
    const box = range.getBoundingClientRect();
    scrollTo({ top: scrollY + box.top - innerHeight / 3 });
    for (const button of list.querySelectorAll("button")) {
      const current = Number(button.value) === at;
      button.toggleAttribute("data-current", current);
      if (current) list.scrollTop += button.getBoundingClientRect().top - list.getBoundingClientRect().top - 60;
    }
  };
  const uncover = () => { // on a small screen the panel lies over the text
    if (!matchMedia("(min-width: 68rem)").matches) contents.classList.remove("open");
  };

  const entryOf = (hit, number) => {
    const { raw } = hit.entry, from = Math.max(0, hit.start - 30);
    const button = Object.assign(document.createElement("button"), { type: "button", value: number });
    const mark = document.createElement("mark");
    mark.textContent = raw.slice(hit.start, hit.end);
    button.append(from ? "…" : "", raw.slice(from, hit.start), mark, raw.slice(hit.end, hit.end + 45));
    const item = document.createElement("li");
    item.append(button);
    return item;
  };
  const show = () => {
    list.replaceChildren();
    let section = null;
    for (const [number, hit] of hits.slice(0, MOST).entries()) {
      if (hit.entry.section !== section) {
        section = hit.entry.section;
        const title = Object.assign(document.createElement("li"), { className: "section" });
        title.textContent = section;
        list.append(title);
      }
      list.append(entryOf(hit, number));
    }
    if (hits.length > MOST) {
      const rest = Object.assign(document.createElement("li"), { className: "section" });
      rest.textContent = `et ${hits.length - MOST} de plus : ↓`;
      list.append(rest);
    }
  };

  const search = () => {
    const wanted = fold(input.value.trim());
    index ??= read();
    hits = wanted.length > 1 ? find(wanted) : [];
    at = -1;
    list.hidden = !wanted;
    headings.hidden = Boolean(wanted);
    show();
    paint();
    say();
  };

  input.addEventListener("input", search);
  form.addEventListener("submit", (event) => { event.preventDefault(); go(at + 1); uncover(); });
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.shiftKey) { event.preventDefault(); go(at - 1); }
    if (event.key === "Escape" && input.value) {
      event.stopPropagation();
      input.value = "";
      search();
    }
  });
  for (const button of form.querySelectorAll("[data-step]")) {
    button.addEventListener("click", () => {
      go(at < 0 && button.dataset.step === "-1" ? -1 : at + Number(button.dataset.step));
    });
  }
  list.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    go(Number(button.value));
    uncover();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || document.documentElement.dataset.keys === "off") return;
    if (event.target.closest("input, textarea, dialog")) return;
    event.preventDefault();
    contents.classList.add("open");
    input.focus();
    input.select();
  });
  addEventListener("toggle", (event) => { // code shown or hidden: other hits
    if (event.target.matches("details.code") && input.value.trim()) again();
  }, true);
  let waiting = 0;
  const again = () => { clearTimeout(waiting); waiting = setTimeout(search, 50); };
})();
