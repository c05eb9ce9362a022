// In the dark a drawing is turned, a photograph is not: where a figure holds both, the turned picture
// lies below, and the photographs of the same picture, cut out, on top.
(() => {
  for (const image of document.querySelectorAll("main img[data-photos]")) {
    const corners = image.dataset.photos.split(",").flatMap((place) => {
      const [x, y, w, h] = place.split(" ").map(Number);
      return [[0, 0], [x, y], [x + w, y], [x + w, y + h], [x, y + h], [x, y], [0, 0]];
    });
    const top = Object.assign(image.cloneNode(), { className: "photos", alt: "" });
    top.setAttribute("aria-hidden", "true");
    top.style.clipPath = `polygon(${corners.map(([x, y]) => `${x}% ${y}%`).join(",")})`;
    const both = Object.assign(document.createElement("span"), { className: "picture" });
    image.replaceWith(both);
    image.className = "drawing";
    both.append(image, top);
  }
})();
