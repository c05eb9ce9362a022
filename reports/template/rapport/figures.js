// A figure, large: its own window, which scrolls where the screen is small.
(() => {
  const figures = [...document.querySelectorAll("main figure")].filter((f) => f.querySelector("img"));
  if (!figures.length) return;
  const dialog = Object.assign(document.createElement("dialog"), { className: "large" });
  dialog.setAttribute("aria-label", "Figure agrandie");
  const close = Object.assign(document.createElement("button"), { type: "button", textContent: "Fermer" });
  const box = Object.assign(document.createElement("div"), { className: "scroll", tabIndex: 0 });
  const legend = Object.assign(document.createElement("p"), { className: "legend" });
  dialog.append(close, box, legend);
  document.body.append(dialog);
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });

  for (const figure of figures) {
    const image = figure.querySelector("img"), picture = image.closest(".picture") ?? image;
    const caption = figure.querySelector("figcaption")
      ?? figure.closest("details.detail")?.querySelector("summary");
    const name = caption?.querySelector(".number")?.textContent.replace(/\.$/, "") ?? "la figure";
    const button = Object.assign(document.createElement("button"), {
      type: "button", className: "zoom", textContent: "⤢",
    });
    button.setAttribute("aria-label", `Agrandir ${name.replace(/^F/, "la f")}`);
    const open = () => {
      box.replaceChildren(picture.cloneNode(true));
      legend.replaceChildren(...[...(caption?.childNodes ?? [])].map((n) => n.cloneNode(true)));
      dialog.showModal();
      box.scrollTo(0, 0);
    };
    button.addEventListener("click", open);
    picture.addEventListener("click", open);
    picture.before(button);
  }
})();
