"use strict";
// Charts drawn by hand: each returns elements, and a table that says the same.

/** An element with attributes and children; text is never read as HTML. */
function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function s(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

const whole = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 1 });
const seconds = new Intl.NumberFormat("en-GB", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const count = (value) => (value === null || value === undefined ? "–" : whole.format(value));
const few = (value) => (value === null || value === undefined ? "–" : value < 10 ? tenth.format(value) : whole.format(value));
const percent = (part, all) => (all ? `${whole.format((100 * part) / all)} %` : "–");
const people = (number) => `${count(number)} ${number === 1 ? "person" : "people"}`;

const windows = (number) => `${count(number)} ${number === 1 ? "window" : "windows"}`;

/** A table of texts; the first column heads its rows. */
function table(caption, head, rows) {
  return h("table", {},
    h("caption", { class: "hidden" }, caption),
    h("thead", {}, h("tr", {}, ...head.map((text) => h("th", { scope: "col" }, text)))),
    h("tbody", {}, ...rows.map(([first, ...rest]) =>
      h("tr", {}, h("th", { scope: "row" }, first), ...rest.map((text) => h("td", {}, text))))));
}

/** Marks on an axis from 0: round numbers, the last one at or above `most`. */
function ticks(most) {
  const rough = Math.max(most, 4) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(1, [1, 2, 2.5, 5, 10].map((x) => x * power).find((x) => x >= rough && (power >= 10 || Number.isInteger(x))) || rough);
  return Array.from({ length: Math.max(2, Math.ceil(most / step) + 1) }, (_, i) => i * step);
}

const HATCH = () => s("defs", {}, s("pattern", { id: "hatch", width: 7, height: 7, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
  s("line", { x1: 0, y1: 0, x2: 0, y2: 7, class: "hatch" })));

/** Lets pointer and arrow keys walk along the parts of a chart. */
function walk(svg, parts, show, columns = parts.length) {
  let at = -1;
  const go = (index) => {
    if (at >= 0) parts[at].classList.remove("on");
    at = index;
    if (at >= 0) parts[at].classList.add("on");
    show(at);
  };
  parts.forEach((part, index) => part.addEventListener("pointerenter", () => go(index)));
  svg.addEventListener("pointerleave", () => go(-1));
  svg.addEventListener("blur", () => go(-1));
  svg.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key];
    if (!step || parts.length === 0) return;
    event.preventDefault();
    go(Math.min(parts.length - 1, Math.max(0, at < 0 ? 0 : at + step)));
  });
}

const SERIES = [["female", "women"], ["male", "men"], ["untold", "untold"]];

const isBlind = (slot, usual) => slot.watched !== null && slot.watched < 0.95 * usual;

/** Bars over time, one stack a slot, the earlier period as an outline, unwatched time hatched. */
function timeChart(box, slots, { label, now, summary, show, scale, usual }) {
  const width = Math.max(280, box.clientWidth), height = Math.max(120, box.clientHeight);
  const size = 12 * scale, left = 16 + size * 2.2, bottom = size * 2, top = 14 + size;
  const plotW = width - left - 4, plotH = height - top - bottom;
  const marks = ticks(Math.max(4, ...slots.map((slot) => Math.max(slot.people || 0, slot.before || 0))));
  const most = marks[marks.length - 1];
  const x = (i) => left + (plotW * i) / slots.length, y = (value) => top + plotH * (1 - value / most);
  const step = plotW / slots.length, pad = Math.min(step * 0.16, 9);
  const svg = s("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img", tabindex: 0, "aria-label": summary }, HATCH());
  for (const mark of marks) {
    svg.append(s("line", { x1: left, x2: width - 4, y1: y(mark), y2: y(mark), class: mark ? "grid" : "axis" }),
      s("text", { x: left - 8, y: y(mark) + size * 0.35, "text-anchor": "end" }, whole.format(mark)));
  }
  slots.forEach((slot, i) => {
    if (isBlind(slot, usual)) {
      svg.append(s("rect", { x: x(i), y: top, width: step, height: plotH, fill: "url(#hatch)", opacity: Math.min(1, 0.45 + (1 - slot.watched / usual) / 1.6) }));
    }
    let level = 0;
    for (const [name, kind] of SERIES) {
      if (!slot[name]) continue;
      const to = level + slot[name];
      const gap = level ? Math.min(1, (y(level) - y(to)) / 3) : 0;
      svg.append(s("rect", { x: x(i) + pad, width: Math.max(1, step - 2 * pad), y: y(to), height: Math.max(0.5, y(level) - y(to) - gap), rx: Math.min(2.5, step / 8), class: kind }));
      level = to;
    }
  });
  outline(slots, x, y).forEach((d) => svg.append(s("path", { d, class: "before" })));
  const every = Math.ceil(((label.width || 5) * size * 0.62 + 10) / step);
  slots.forEach((slot, i) => {
    if (i % every === 0) {
      const middle = label.middle ? x(i) + step / 2 : x(i);
      svg.append(s("text", { x: middle, y: height - size * 0.4, "text-anchor": label.middle ? "middle" : "start" }, label(slot)));
    }
  });
  if (now !== null) {
    const at = left + plotW * now, end = now > 0.9;
    svg.append(s("line", { x1: at, x2: at, y1: top - 4, y2: top + plotH, class: "now" }),
      s("text", { x: at + (end ? -5 : 5), y: top - 2, class: "nowtext", "text-anchor": end ? "end" : "start" }, "now"));
  }
  const hits = slots.map((slot, i) => s("rect", { x: x(i), y: top, width: step, height: plotH, class: "hit" }));
  svg.append(...hits);
  walk(svg, hits, show);
  box.replaceChildren(svg);
}

/** The steps of the earlier period, interrupted where it is not known. */
function outline(slots, x, y) {
  const paths = [];
  let d = "";
  slots.forEach((slot, i) => {
    if (slot.before === null) {
      if (d) paths.push(d);
      d = "";
      return;
    }
    d += `${d ? "L" : "M"}${x(i).toFixed(1)} ${y(slot.before).toFixed(1)}H${x(i + 1).toFixed(1)}`;
  });
  return d ? [...paths, d] : paths;
}

const WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/** Seven rows of hours, the darker the more people; the first and last hours of nobody are left out. */
function heatMap(box, means, show) {
  const busy = Array.from({ length: 24 }, (_, hour) => hour).filter((hour) => means.some((row) => row[hour]));
  const first = busy.length ? Math.max(0, busy[0] - 1) : 0, last = busy.length ? Math.min(23, busy.at(-1) + 1) : 23;
  const columns = last - first + 1;
  const width = Math.max(300, box.clientWidth), left = 40, cell = (width - left) / columns;
  const tall = Math.min(34, Math.max(20, cell * 0.8)), height = tall * 7 + 22;
  const all = means.flat().filter((mean) => mean !== null);
  const most = Math.max(1, ...all);
  const best = all.length ? means.flat().indexOf(Math.max(...all)) : -1;
  const summary = best < 0 ? "No whole hours yet" : `Most people on ${WEEKDAYS[Math.floor(best / 24)]} from ${best % 24}:00, ${few(most)} on average`;
  const svg = s("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img", tabindex: 0, "aria-label": `Weekday by hour. ${summary}` }, HATCH());
  const cells = [];
  means.forEach((row, day) => {
    svg.append(s("text", { x: 0, y: day * tall + tall / 2 + 4 }, WEEKDAYS[day]));
    row.slice(first, last + 1).forEach((mean, column) => {
      const place = { x: left + column * cell, y: day * tall, width: cell, height: tall, rx: 5 };
      if (mean === null) svg.append(s("rect", { ...place, fill: "url(#hatch)", opacity: 0.5 }));
      else svg.append(s("rect", { ...place, class: "cell base" }));
      const rect = s("rect", { ...place, class: "cell", "fill-opacity": mean === null ? 0 : mean ? 0.08 + 0.92 * Math.sqrt(mean / most) : 0 });
      cells.push(rect);
      svg.append(rect);
    });
  });
  const every = cell < 17 ? 4 : cell < 44 ? 2 : 1;
  for (let column = 0; column < columns; column += every) {
    svg.append(s("text", { x: left + column * cell + 2, y: height - 4 }, `${String(first + column).padStart(2, "0")}:00`));
  }
  walk(svg, cells, (i) => show(i < 0 ? -1 : 24 * Math.floor(i / columns) + first + (i % columns)), columns);
  box.replaceChildren(svg);
}

/** Horizontal bars with their numbers, as a list that screen readers read as text. */
function barRows(box, items, soft = "") {
  const all = items.reduce((sum, item) => sum + item.people, 0), most = Math.max(1, ...items.map((item) => item.people));
  const list = h("div", { class: "rows", role: "list" });
  for (const { label: name, people: number } of items) {
    const label = name.replace("-", "–");
    const bar = h("i");
    bar.style.width = `${(100 * number) / most}%`;
    list.append(h("span", { "aria-hidden": "true" }, label), h("div", { class: `track${label === soft ? " soft" : ""}`, "aria-hidden": "true" }, bar),
      h("span", { class: "n", role: "listitem", "aria-label": `${label}: ${people(number)}, ${percent(number, all)}` }, count(number), h("small", {}, percent(number, all))));
  }
  box.replaceChildren(list);
}

/** A share from 0 to 100 % with its interval. */
function intervalStrip(low, middle, high) {
  const width = 300, x = (share) => 6 + (width - 12) * share;
  return s("svg", { viewBox: `0 0 ${width} 40`, role: "img", "aria-label": `${whole.format(100 * low)} to ${whole.format(100 * high)} %` },
    s("line", { x1: x(0), x2: x(1), y1: 14, y2: 14, class: "axis" }),
    ...[0, 0.25, 0.5, 0.75, 1].flatMap((mark) => [
      s("line", { x1: x(mark), x2: x(mark), y1: 10, y2: 18, class: "axis" }),
      s("text", { x: x(mark), y: 34, "text-anchor": mark === 0 ? "start" : mark === 1 ? "end" : "middle" }, `${100 * mark} %`)]),
    s("rect", { x: x(low), width: Math.max(3, x(high) - x(low)), y: 5, height: 18, rx: 3, class: "band" }),
    s("circle", { cx: x(middle), cy: 14, r: 4.5, class: "dot" }));
}
