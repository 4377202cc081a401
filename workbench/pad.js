// A pad to draw digits on. What goes to the server are the strokes, as numbers; it paints the picture from them itself.
const canvas = element.querySelector(`canvas`), pen = canvas.getContext(`2d`);
let strokes = [];
const place = (event) => {
  const box = canvas.getBoundingClientRect();
  return [Math.round((event.clientX - box.left) / box.width * 500), Math.round((event.clientY - box.top) / box.height * 200)];
};
const paint = () => {
  pen.fillStyle = `#fff`; pen.fillRect(0, 0, 500, 200);
  pen.lineWidth = 12; pen.lineCap = pen.lineJoin = `round`; pen.strokeStyle = `#222`;
  for (const stroke of strokes) {
    pen.beginPath(); pen.moveTo(...stroke[0]);
    for (const point of stroke) pen.lineTo(...point);
    pen.stroke();
  }
};
canvas.addEventListener(`pointerdown`, (event) => { canvas.setPointerCapture(event.pointerId); strokes.push([place(event)]); paint(); });
canvas.addEventListener(`pointermove`, (event) => { if (event.buttons && strokes.length) { strokes.at(-1).push(place(event)); paint(); } });
element.addEventListener(`click`, (event) => {
  const does = event.target.dataset?.pad;
  if (does === `clear`) { strokes = []; paint(); }
  if (does === `use`) trigger("drawn", {strokes});
});
paint();
