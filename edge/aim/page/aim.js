// The page for whoever mounts the camera: asks for one view after another and shows it.

import {$, ask, end, follow} from "./viewer.js";
import {element, ZoneEditor} from "./zones.js";

const AVERAGED = 0.2;  // weight of the newest value of a gauge
const TRY_AFTER_MS = 150;  // zones are tried this long after the last key
const ENOUGH = 4 / 3;  // of the smallest face: larger ones leave room for people farther away
const LABELS = {new: "new", person: "person", still: "does not move: not counted", doubtful: "doubtful"};

const gauges = {}, sizes = {least: Infinity, most: 0};
let start, view, countedBefore = 0, saveTimer;

// --- the view

function show() {
  const [width, height] = view.size;
  if (editor.size[0] !== width || editor.size[1] !== height) fit(width, height);
  $("picture").src = view.picture;
  const onScreen = width / ($("overlay").clientWidth || width);
  $("lines").replaceChildren();
  for (const [x1, y1, x2, y2] of view.lines) element("line", {x1: x1 * width, y1: y1 * height, x2: x2 * width, y2: y2 * height}, $("lines"));
  $("faces").replaceChildren();
  for (const {box: [x, y, w, h], px, state} of view.faces) {
    const group = element("g", {class: state}, $("faces"));
    element("rect", {x: x * width, y: y * height, width: w * width, height: h * height, rx: 3 * onScreen}, group);
    const above = y * height > 20 * onScreen;
    const label = element("text", {x: x * width, y: above ? y * height - 6 * onScreen : (y + h) * height + 16 * onScreen, "font-size": 14 * onScreen}, group);
    label.textContent = state === "person" ? `${px} px` : `${px} px, ${LABELS[state]}`;
    if (["new", "person"].includes(state)) {
      sizes.least = Math.min(sizes.least, px);
      sizes.most = Math.max(sizes.most, px);
    }
  }
  showScale(width, height, onScreen);
  showFaces();
  $("counted").textContent = view.counted - countedBefore;
  if (view.counted < countedBefore) $("counted").textContent = countedBefore = 0;
  $("present").textContent = view.faces.filter(({state}) => state === "person").length;
  showGauge("light", view.light, view.overexposed > start.limits.white.most);
  showGauge("sharpness", view.sharpness);
}

function fit(width, height) {
  $("overlay").setAttribute("viewBox", `0 0 ${width} ${height}`);
  $("stage").style.aspectRatio = `${width} / ${height}`;
  $("stage").style.maxWidth = `calc((100vh - 12rem) * ${width / height})`;
  editor.size = [width, height];
  editor.draw();
}

function showScale(width, height, onScreen) {
  const side = view.smallest_px, gap = 10 * onScreen;
  $("scale").replaceChildren();
  element("rect", {x: gap, y: height - gap - side, width: side, height: side}, $("scale"));
  const label = element("text", {x: 2 * gap + side, y: height - gap - 2 * onScreen, "font-size": 12 * onScreen}, $("scale"));
  label.textContent = `smallest face, ${side} px`;
}

function showFaces() {
  $("smallest").textContent = view.smallest_px;
  if (!sizes.most) return;
  $("face-sizes").textContent = `${sizes.least} to ${sizes.most} pixels wide so far`;
  verdict("face-verdict", sizes.most >= ENOUGH * view.smallest_px ? "good" : "fair", {good: "large enough", fair: "small: move nearer"});
}

function verdict(id, level, words) {
  $(id).textContent = words[level];
  $(id).className = `verdict ${level}`;
}

// --- gauges

function showGauge(name, value, isTooMuch = false) {
  const gauge = gauges[name], {limits} = gauge;
  gauge.value = gauge.value === undefined ? value : gauge.value + AVERAGED * (value - gauge.value);
  gauge.best = Math.max(gauge.best ?? 0, gauge.value);
  const level = isTooMuch ? "much" : gauge.value < limits.fair ? "bad" : gauge.value < limits.good ? "fair" : "good";
  gauge.bar.setAttribute("width", 100 * gauge.scale(gauge.value));
  gauge.bar.setAttribute("class", `value ${level}`);
  gauge.mark?.setAttribute("x", Math.min(99, 100 * gauge.scale(gauge.best)));
  $(name).setAttribute("aria-valuenow", Math.round(gauge.value));
  verdict(`${name}-verdict`, level, gauge.words);
  $(`${name}-verdict`).textContent += `, ${Math.round(gauge.value)}`;
}

function makeGauge(name, limits, {scale, words, note, best}) {
  const drawing = element("svg", {viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": true}, $(name));
  const bar = element("rect", {class: "value", width: 0, height: 10}, drawing);
  for (const limit of Object.values(limits)) element("rect", {class: "limit", x: 100 * scale(limit), width: 0.6, height: 10}, drawing);
  const mark = best ? element("rect", {class: "best", width: 0.8, height: 10}, drawing) : null;
  gauges[name] = {limits, scale, words, bar, mark};
  $(`${name}-note`).textContent = note;
}

function makeGauges({light, sharpness}) {
  makeGauge("light", light, {
    scale: (value) => value / 255,
    words: {good: "good", fair: "dim", bad: "dark", much: "overexposed"},
    note: `Mean gray level, 0 to 255. In darkened pictures all faces were found from ${light.good} on, and about half of them below `
      + `${light.fair}. A face before a bright window is darker than the mean.`,
  });
  makeGauge("sharpness", sharpness, {
    scale: (value) => Math.min(1, Math.log10(1 + value) / 3),
    words: {good: "sharp", fair: "soft", bad: "blurred"},
    note: `Turn the lens until the bar is longest; the mark is the best so far. (Variance of the Laplacian: no sharp picture `
      + `had less than ${sharpness.good}; below ${sharpness.fair} three in ten faces were missed.)`,
    best: true,
  });
}

// --- zones

const editor = new ZoneEditor($("overlay"), {changed: (zones) => tryZones(zones), chose: () => showTools()});

function tryZones(zones) {
  clearTimeout(saveTimer);
  showTools();
  saveTimer = setTimeout(async () => {
    try {
      $("yaml").textContent = (await ask("/zones", zones)).yaml;
      countedBefore = 0;
      note(start.writes ? "Tried at once, and not saved yet." : "Tried at once. To keep them, paste this into config.yaml.");
    } catch (error) {
      note(error.message, true);
    }
  }, TRY_AFTER_MS);
}

function showTools() {
  const {zone, kind} = editor;
  for (const name of ["region", "excluded"]) $(`add-${name}`).setAttribute("aria-pressed", kind === name);
  $("add-corner").disabled = $("delete").disabled = zone === null;
  $("remove-corner").disabled = zone === null || !editor.canRemoveCorner;
  $("undo").disabled = editor.history.length === 0;
  $("hint").textContent = kind ? "Drag over the picture to draw the zone."
    : zone !== null ? "Drag the zone or its corners, or move them with the arrow keys; Delete removes."
      : editor.zones.length ? "Choose a zone to change it. Faces count by their middle."
        : "Without zones, faces count everywhere in the picture.";
}

function note(text, isBad = false) {
  $("yaml-note").textContent = text;
  $("yaml-note").classList.toggle("bad", isBad);
}

// --- buttons

for (const kind of ["region", "excluded"]) $(`add-${kind}`).addEventListener("click", (event) => editor.start(kind, event.detail === 0));
$("add-corner").addEventListener("click", () => editor.addCorner());
$("remove-corner").addEventListener("click", () => editor.removeCorner());
$("delete").addEventListener("click", () => editor.removeZone());
$("undo").addEventListener("click", () => editor.undo());
$("restart").addEventListener("click", () => {
  countedBefore = view.counted;
  Object.assign(sizes, {least: Infinity, most: 0});
  $("face-sizes").textContent = "none yet";
  $("face-verdict").textContent = "";
  for (const gauge of Object.values(gauges)) gauge.best = 0;
  show();
});
$("copy").addEventListener("click", async () => {
  getSelection().selectAllChildren($("yaml"));
  try {
    await navigator.clipboard.writeText($("yaml").textContent);
    note(`Copied. Paste it into config.yaml in place of its zones. ${start.reload}`);
  } catch {
    note("Selected: copy it with your browser.");
  }
});
$("save").addEventListener("click", async () => {
  try {
    const {saved} = await ask("/save", {});
    note(`Saved in ${saved}. ${start.reload}`);
  } catch (error) {
    note(error.message, true);
  }
});
$("end").addEventListener("click", async () => {
  end("Ended. The camera is free again.");
  await ask("/end", {}).catch(() => {});
});
addEventListener("resize", () => editor.draw());

// --- from the first view to the last

function prepare(answer) {
  start = answer;
  makeGauges(start.limits);
  editor.set(start.zones);
  $("yaml").textContent = start.yaml;
  $("full").hidden = !start.full_picture;
  $("save").hidden = !start.writes;
  $("save").textContent = `Save in ${start.writes}`;
  showTools();
}

follow(prepare, (newest) => {
  view = newest;
  show();
});
