// Polygons over the picture: drawn, dragged, and moved with the arrow keys.

const NAMES = {region: "count only here", excluded: "leave out"};
const STEP = 0.01, LARGE_STEP = 0.05;  // of the picture, for an arrow key without and with Shift
const LEAST_DRAG = 0.03;  // of the picture; less is a click, and draws a zone of a common size
const COMMON = 0.3;  // side of that zone, of the picture
const HANDLE_PX = 7, TOUCH_PX = 22;  // radii on the screen
const ARROWS = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};

export function element(name, attributes, parent) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  parent?.append(made);
  return made;
}

const inside = (value) => Math.min(1, Math.max(0, Math.round(value * 1000) / 1000));
const rectangle = (x1, y1, x2, y2) => [[x1, y1], [x2, y1], [x2, y2], [x1, y2]].map((corner) => corner.map(inside));

export class ZoneEditor {
  // `changed(zones)` is called after each change, `chose()` when another zone or corner is chosen.
  constructor(overlay, {changed, chose}) {
    this.overlay = overlay;
    this.parts = Object.fromEntries(["polygons", "handles", "outside", "draft"].map((id) => [id, overlay.querySelector(`#${id}`)]));
    this.changed = changed;
    this.chose = chose;
    this.zones = [];  // {kind, corners}, the region first
    this.history = [];
    this.zone = this.corner = null;  // numbers of the chosen ones
    this.kind = null;  // of the zone to be drawn next
    this.size = [1, 1];
    overlay.addEventListener("pointerdown", (event) => this.press(event));
    overlay.addEventListener("pointermove", (event) => this.drag?.(event));
    overlay.addEventListener("pointerup", (event) => this.release(event));
    overlay.addEventListener("pointercancel", () => this.cancel());
    overlay.addEventListener("keydown", (event) => this.pressKey(event));
    overlay.addEventListener("focusin", (event) => {
      const place = this.placeOf(event.target);
      if (place) this.choose(...place);
    });
  }

  set(zones) {
    this.zones = [];
    if (zones.region) this.zones.push({kind: "region", corners: zones.region});
    for (const corners of zones.excluded) this.zones.push({kind: "excluded", corners});
    this.draw();
  }

  get() {
    const region = this.zones.find(({kind}) => kind === "region");
    const excluded = this.zones.filter(({kind}) => kind === "excluded");
    return {region: region?.corners ?? null, excluded: excluded.map(({corners}) => corners)};
  }

  // --- changes

  change(edit) {
    const before = JSON.stringify(this.zones);
    edit();
    if (JSON.stringify(this.zones) !== before) this.commit(before);
    this.draw();
  }

  commit(before) {
    this.history.push(before);
    this.changed(this.get());
  }

  add(kind, corners) {
    this.change(() => {
      if (kind === "region") this.zones = this.zones.filter((zone) => zone.kind !== "region");
      this.zones[kind === "region" ? "unshift" : "push"]({kind, corners});
      this.zone = kind === "region" ? 0 : this.zones.length - 1;
      this.corner = null;
    });
    this.chose();
  }

  // Draws the next zone of this kind by a drag; at once and in the middle for the keyboard.
  start(kind, byKeyboard) {
    const half = COMMON / 2;
    if (byKeyboard) {
      this.add(kind, rectangle(0.5 - half, 0.5 - half, 0.5 + half, 0.5 + half));
      this.overlay.querySelector(`[data-place="[${this.zone}, null]"]`).focus();
    }
    this.kind = byKeyboard || this.kind === kind ? null : kind;
    this.overlay.classList.toggle("drawing", this.kind !== null);
    this.chose();
  }

  addCorner() {
    const {corners} = this.zones[this.zone];
    const after = this.corner ?? 0;
    const [[x1, y1], [x2, y2]] = [corners[after], corners[(after + 1) % corners.length]];
    this.change(() => corners.splice(after + 1, 0, [inside((x1 + x2) / 2), inside((y1 + y2) / 2)]));
    this.choose(this.zone, after + 1);
  }

  get canRemoveCorner() {
    return this.corner !== null && this.zones[this.zone].corners.length > 3;
  }

  removeCorner() {
    this.change(() => this.zones[this.zone].corners.splice(this.corner, 1));
    this.choose(this.zone, null);
  }

  removeZone() {
    this.change(() => this.zones.splice(this.zone, 1));
    this.choose(null, null);
  }

  undo() {
    this.zones = JSON.parse(this.history.pop());
    this.zone = this.corner = null;
    this.draw();
    this.changed(this.get());
    this.chose();
  }

  move(zone, corner, dx, dy, from = zone.corners) {
    const moved = corner === null ? from : [from[corner]];
    const [xs, ys] = [0, 1].map((axis) => moved.map((point) => point[axis]));
    dx = Math.min(1 - Math.max(...xs), Math.max(-Math.min(...xs), dx));
    dy = Math.min(1 - Math.max(...ys), Math.max(-Math.min(...ys), dy));
    zone.corners = from.map(([x, y], n) => corner === null || n === corner ? [inside(x + dx), inside(y + dy)] : [x, y]);
  }

  // --- pointer and keys

  choose(zone, corner) {
    if (zone === this.zone && corner === this.corner) return;
    [this.zone, this.corner] = [zone, corner];
    this.draw();
    this.chose();
  }

  placeOf(target) {
    const key = target.closest?.("[data-place]")?.dataset.place;
    return key === undefined ? null : JSON.parse(key);
  }

  point(event) {
    const {left, top, width, height} = this.overlay.getBoundingClientRect();
    return [(event.clientX - left) / width, (event.clientY - top) / height];
  }

  press(event) {
    if (event.button !== 0 || this.drag) return;
    const [x, y] = this.point(event);
    const place = this.placeOf(event.target);
    if (this.kind) {
      this.overlay.setPointerCapture(event.pointerId);
      event.preventDefault();
      this.drag = (now) => this.drawDraft(x, y, ...this.point(now));
      this.drop = (now) => this.dropDraft(x, y, ...this.point(now));
    } else if (!place) {
      this.choose(null, null);
    } else {
      const [number, corner] = place;
      const wasChosen = number === this.zone;
      this.choose(number, corner);
      if (!wasChosen) return;  // the first touch chooses, and may go on to scroll the page
      this.overlay.setPointerCapture(event.pointerId);
      const zone = this.zones[number], from = zone.corners, before = JSON.stringify(this.zones);
      this.drag = (now) => {
        const [toX, toY] = this.point(now);
        this.move(zone, corner, toX - x, toY - y, from);
        this.draw();
      };
      this.drop = () => {
        if (JSON.stringify(this.zones) !== before) this.commit(before);
      };
      this.revert = () => { zone.corners = from; };
    }
  }

  release(event) {
    const {drop} = this;
    this.revert = null;
    this.cancel();
    drop?.(event);
  }

  cancel() {
    this.revert?.();
    this.drag = this.drop = this.revert = null;
    this.parts.draft.setAttribute("hidden", "");
    this.draw();
  }

  drawDraft(x1, y1, x2, y2) {
    const [left, top, right, bottom] = [Math.min(x1, x2), Math.min(y1, y2), Math.max(x1, x2), Math.max(y1, y2)].map(inside);
    const [width, height] = this.size;
    const box = {x: left * width, y: top * height, width: (right - left) * width, height: (bottom - top) * height};
    for (const [key, value] of Object.entries(box)) this.parts.draft.setAttribute(key, value);
    this.parts.draft.removeAttribute("hidden");
  }

  dropDraft(x1, y1, x2, y2) {
    const kind = this.kind, half = COMMON / 2;
    if (Math.abs(x2 - x1) < LEAST_DRAG || Math.abs(y2 - y1) < LEAST_DRAG) [x1, y1, x2, y2] = [x1 - half, y1 - half, x1 + half, y1 + half];
    this.start(kind, false);
    this.add(kind, rectangle(Math.min(x1, x2), Math.min(y1, y2), Math.max(x1, x2), Math.max(y1, y2)));
  }

  pressKey(event) {
    const place = this.placeOf(event.target);
    if (!place) return;
    const [number, corner] = place;
    if (event.key in ARROWS) {
      const step = event.shiftKey ? LARGE_STEP : STEP;
      const [dx, dy] = ARROWS[event.key];
      this.change(() => this.move(this.zones[number], corner, dx * step, dy * step));
    } else if (event.key === "Delete" || event.key === "Backspace") {
      if (this.canRemoveCorner) this.removeCorner(); else this.removeZone();
    } else {
      return;
    }
    event.preventDefault();
  }

  // --- drawing

  draw() {
    const [width, height] = this.size;
    const onScreen = width / (this.overlay.clientWidth || width);
    const focused = document.activeElement?.dataset?.place;
    const {polygons, handles, outside} = this.parts;
    const points = (corners) => corners.map(([x, y]) => `${x * width},${y * height}`).join(" ");
    this.overlay.classList.toggle("chosen", this.zone !== null);
    polygons.replaceChildren();
    handles.replaceChildren();
    this.zones.forEach(({kind, corners}, number) => {
      const isChosen = number === this.zone;
      element("polygon", {
        points: points(corners), class: `${kind} ${isChosen ? "chosen" : ""}`, tabindex: 0, role: "button",
        "aria-label": `Zone ${number + 1}, ${NAMES[kind]}, ${corners.length} corners`, "data-place": `[${number}, null]`,
      }, polygons);
      if (isChosen) corners.forEach(([x, y], corner) => {
        const percent = (value) => Math.round(100 * value);
        const handle = element("g", {
          class: `${kind} ${corner === this.corner ? "chosen" : ""}`, tabindex: 0, role: "button",
          "aria-label": `Corner ${corner + 1} of zone ${number + 1}, ${percent(x)} % across, ${percent(y)} % down`,
          "data-place": `[${number}, ${corner}]`,
        }, handles);
        const center = {cx: x * width, cy: y * height};
        element("circle", {...center, r: TOUCH_PX * onScreen, class: "touch"}, handle);
        element("circle", {...center, r: HANDLE_PX * onScreen, class: kind}, handle);
      });
    });
    const region = this.zones.find(({kind}) => kind === "region");
    const hole = region ? `M${points(region.corners).replaceAll(" ", "L")}Z` : "";
    outside.setAttribute("d", region ? `M0,0H${width}V${height}H0Z${hole}` : "");
    if (focused !== undefined) this.overlay.querySelector(`[data-place="${focused}"]`)?.focus();
  }
}
