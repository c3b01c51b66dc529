// What nbconvert's decks expect of require.js and MathJax 2, in a few lines, and the fitting of slides.
// A slide is 1280 by 720. What is higher first gets smaller figures, then smaller type, and then scrolls.

window.MathJax = {
  tex: {inlineMath: [["$", "$"], ["\\(", "\\)"]], processEscapes: true},
  startup: {
    ready() {
      MathJax.startup.defaultReady();
      MathJax.Hub = {getAllJax() {}};
    },
  },
};

window.require = async (settings, addresses, start) => {
  for (const src of addresses)
    await new Promise(onload => document.head.append(Object.assign(document.createElement("script"), {src, onload})));
  Reveal.on("ready", event => MathJax.startup.promise.then(() => fit(event.currentSlide)));
  Reveal.on("slidechanged", event => fit(event.currentSlide));
  Reveal.on("pdf-ready", () => MathJax.startup.promise.then(() => Reveal.getSlides().forEach(fit)));
  start(Reveal, RevealNotes);
  Reveal.configure({center: false, hash: true, margin: location.search.includes("print-pdf") ? 0.08 : 0});
};

function fit(slide) {
  const figures = [...slide.querySelectorAll("img")].filter(image => image.clientHeight > 200);
  const excess = () => slide.scrollHeight - slide.clientHeight;
  const resize = (image, height) => { image.style.height = `${Math.max(height, 260)}px`; };
  figures.forEach(image => resize(image, image.naturalHeight * Math.min(1.4, 1100 / image.naturalWidth)));
  const total = figures.reduce((sum, image) => sum + image.clientHeight, 0), share = 1 - excess() / total;
  if (excess() > 0) figures.forEach(image => resize(image, image.clientHeight * share));
  for (let zoom = 95; zoom >= 80 && excess() > 0; zoom -= 5) slide.style.setProperty("--zoom", zoom / 100);
}
