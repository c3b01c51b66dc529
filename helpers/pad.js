function render({ model, el }) {
  const side = model.get("side"), strokes = [], cells = new OffscreenCanvas(side, side);
  el.classList.add("drawing-pad");
  el.innerHTML = `<canvas width="560" height="560" aria-label="Pad to draw on"></canvas>
    <button>Clear</button><div class="bars"></div><output></output>`;
  const [pad, clear, bars, pictures] = el.children;

  function trace(canvas) {  // the same strokes on the pad and, small, on the cells
    const size = canvas.width, pen = canvas.getContext("2d", { willReadFrequently: true });
    pen.clearRect(0, 0, size, size);
    Object.assign(pen, { lineWidth: model.get("pen") * size, lineCap: "round", lineJoin: "round" });
    for (const stroke of strokes) {
      pen.beginPath();
      for (const [x, y] of [stroke[0], ...stroke]) pen.lineTo(x * size, y * size);
      pen.stroke();
    }
    return pen.getImageData(0, 0, size, size).data;  // red, green, blue, opacity
  }
  let timer;
  function changed() {
    trace(pad);
    timer ??= setTimeout(() => {  // at most ten times a second
      timer = undefined;
      model.set("ink", Array.from(trace(cells)).filter((_, i) => i % 4 == 3));
      model.save_changes();
    }, 100);
  }
  function put(event) {
    strokes.at(-1).push([event.offsetX / pad.clientWidth, event.offsetY / pad.clientHeight]);
    changed();
  }
  pad.onpointerdown = (event) => {
    pad.setPointerCapture(event.pointerId);
    strokes.push([]);
    put(event);
  };
  pad.onpointermove = (event) => pad.hasPointerCapture(event.pointerId) && put(event);
  clear.onclick = () => { strokes.length = 0; changed(); };

  function picture([name, values]) {
    const figure = document.createElement("figure"), k = Math.ceil(Math.sqrt(values.length));
    figure.innerHTML = `<canvas width="${k}" height="${k}"></canvas><br>${name}`;
    const pen = figure.firstChild.getContext("2d"), most = Math.max(...values) || 1;
    values.forEach((value, i) => {
      pen.globalAlpha = value / most;
      pen.fillRect(i % k, Math.floor(i / k), 1, 1);
    });
    return figure;
  }
  function show() {
    const { probabilities, pictures: rows, failure } = model.get("answer");
    if (failure) return pictures.replaceChildren(failure);
    const best = Math.max(...probabilities);
    bars.innerHTML = probabilities.map((p, i) =>
      `<div style="font-weight: ${p == best ? "bold" : "normal"}">${i}
       <i style="width: ${100 * p}px"></i>${Math.round(100 * p)} %</div>`).join("");
    pictures.replaceChildren(...Object.entries(rows).map(picture));
  }
  model.on("change:answer", show);
  show();
}
export default { render };
