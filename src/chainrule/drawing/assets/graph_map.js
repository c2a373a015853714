// The map: all of a graph in a corner, with a frame around what the window shows. It is there when not all is shown.

const MAP = { width: 150, height: 104 };

class GraphMap {
  constructor(canvas, move) {
    this.canvas = canvas;
    const follow = (event) => {
      if (event.buttons !== 1 || !this.view) return;
      const box = canvas.getBoundingClientRect();
      move((event.clientX - box.left) / this.scale, (event.clientY - box.top) / this.scale);
      event.preventDefault();
    };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      follow(event);
    });
    canvas.addEventListener("pointermove", follow);
  }

  // Draw a view, seen through its window by a transform.
  draw(view, { x, y, k }) {
    this.view = view;
    const { width, height } = view.window;
    const { size } = view;
    const isWhole = size.width * k <= width * 1.02 && size.height * k <= height * 1.02;
    this.canvas.hidden = isWhole || Math.min(width, height) < 3 * MAP.height;
    if (this.canvas.hidden) return;
    this.scale = Math.min(MAP.width / size.width, MAP.height / size.height);
    const sharp = window.devicePixelRatio || 1;
    const [wide, high] = [Math.max(size.width * this.scale, 24), Math.max(size.height * this.scale, 16)];
    Object.assign(this.canvas, { width: Math.round(wide * sharp), height: Math.round(high * sharp) });
    Object.assign(this.canvas.style, { width: `${wide}px`, height: `${high}px` });
    const context = this.canvas.getContext("2d");
    const style = getComputedStyle(document.documentElement);
    context.scale(sharp * this.scale, sharp * this.scale);
    const [dotWide, dotHigh] = [Math.max(70, 2 / this.scale), Math.max(44, 2 / this.scale)];
    context.fillStyle = style.getPropertyValue("--faint");
    for (const [n, place] of view.rows.places.entries()) {
      if (view.nodes[n].kind !== "output") context.fillRect(place.x - dotWide / 2, place.y - dotHigh / 2, dotWide, dotHigh);
    }
    context.lineWidth = 2 / this.scale;
    context.strokeStyle = style.getPropertyValue("--ink");
    context.strokeRect(-x / k, -y / k, width / k, height / k);
  }
}
