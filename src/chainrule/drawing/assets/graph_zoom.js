// Moving and zooming a picture: by dragging, by the wheel, and with two fingers.

const STILL = 4; // pixels that a click may move
const WHEEL = 0.002; // how much of a wheel's turn is zoom

class Zoom {
  // `change` is called with each new {x, y, k}, and whether it was made by hand.
  constructor(svg, change) {
    this.svg = svg;
    this.change = change;
    this.now = { x: 0, y: 0, k: 1 };
    this.range = [0.02, 6];
    this.pointers = new Map();
    svg.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    svg.addEventListener("pointerdown", (event) => this.press(event));
    svg.addEventListener("pointermove", (event) => this.drag(event));
    for (const end of ["pointerup", "pointercancel"]) svg.addEventListener(end, (event) => this.release(event));
    svg.addEventListener("click", (event) => this.wasDragged && event.stopPropagation(), { capture: true });
  }

  set(to, byHand = false) {
    this.now = to;
    this.change(to, byHand);
  }

  // Go there at once, or in so many milliseconds.
  go(to, milliseconds = 0) {
    cancelAnimationFrame(this.frame);
    if (!milliseconds) {
      this.set(to);
      return;
    }
    const [from, begun] = [this.now, performance.now()];
    const turn = (time) => {
      const share = Math.min(Math.max((time - begun) / milliseconds, 0), 1);
      const eased = share * share * (3 - 2 * share);
      const between = (name) => from[name] + (to[name] - from[name]) * eased;
      this.set(share < 1 ? { x: between("x"), y: between("y"), k: between("k") } : to);
      if (share < 1) this.frame = requestAnimationFrame(turn);
    };
    this.frame = requestAnimationFrame(turn);
  }

  // The transform that is so many times as large and leaves a point of the window where it is.
  scaled(factor, [x, y], from = this.now) {
    const [least, most] = this.range;
    const k = Math.min(Math.max(from.k * factor, least), most);
    return { x: x - ((x - from.x) * k) / from.k, y: y - ((y - from.y) * k) / from.k, k };
  }

  pointOf(event) {
    const box = this.svg.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  wheel(event) {
    event.preventDefault();
    cancelAnimationFrame(this.frame);
    const lines = event.deltaMode === 1 ? 20 : event.deltaMode === 2 ? 400 : 1;
    const turn = -event.deltaY * lines * WHEEL * (event.ctrlKey ? 5 : 1);
    this.set(this.scaled(2 ** turn, this.pointOf(event)), true);
  }

  press(event) {
    if (event.pointerType === "mouse" && event.button !== 0) return;
    cancelAnimationFrame(this.frame);
    this.pointers.set(event.pointerId, this.pointOf(event));
    if (this.pointers.size === 1) this.wasDragged = false;
    this.hold();
  }

  // From here on, pointers are compared with where they are now.
  hold() {
    this.begun = { at: this.now, ...this.middle() };
  }

  // The point between the pointers, and how far they are from it.
  middle() {
    const points = [...this.pointers.values()];
    const mean = (axis) => points.reduce((sum, point) => sum + point[axis], 0) / points.length;
    const point = [mean(0), mean(1)];
    return { point, far: Math.max(...points.map(([x, y]) => Math.hypot(x - point[0], y - point[1])), 1) };
  }

  drag(event) {
    if (!this.pointers.has(event.pointerId)) return;
    this.pointers.set(event.pointerId, this.pointOf(event));
    const { at, point, far } = this.begun;
    const now = this.middle();
    const [dx, dy] = [now.point[0] - point[0], now.point[1] - point[1]];
    if (!this.wasDragged && this.pointers.size === 1 && Math.hypot(dx, dy) < STILL) return;
    if (!this.wasDragged) this.svg.setPointerCapture(event.pointerId); // earlier, it would take clicks from the nodes
    this.wasDragged = true;
    const scaled = this.pointers.size > 1 ? this.scaled(now.far / far, point, at) : at;
    this.set({ x: scaled.x + dx, y: scaled.y + dy, k: scaled.k }, true);
  }

  release(event) {
    if (this.pointers.delete(event.pointerId) && this.pointers.size) this.hold();
  }
}
