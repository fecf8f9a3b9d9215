// Asks for numbers, shows them, and follows the events. All times are those of the place that is counted.

const $ = (id) => document.getElementById(id);
const RELOAD_MS = 1500, EVERY_MS = 60000, HEAT_MS = 60000;
const view = { preset: "today", from: "", to: "", devices: null, compare: "", otherFrom: "", otherTo: "" };
let overview = null, heat = null, other = null, live = null, revision = null, timer = 0, due = Infinity, failures = 0;
let took = 0, heatAsked = "", heatAt = -Infinity;

// ---- dates, as the server writes them: 2026-11-27T10:00:00+01:00

const clock = (stamp) => stamp.slice(11, 16);
const dateOf = (stamp) => new Date(Date.UTC(+stamp.slice(0, 4), +stamp.slice(5, 7) - 1, +stamp.slice(8, 10)));
const iso = (date) => date.toISOString().slice(0, 10);
const shifted = (stamp, days) => iso(new Date(dateOf(stamp).getTime() + 86400000 * days));
const dateText = (stamp, options) => dateOf(stamp).toLocaleDateString("en-GB", { timeZone: "UTC", ...options });
const shortDate = (stamp) => dateText(stamp, { day: "numeric", month: "short" });
const longDate = (stamp) => dateText(stamp, { weekday: "short", day: "numeric", month: "short", year: "numeric" });
const weekday = (stamp) => dateText(stamp, { weekday: "long" });
const rangeText = (from, to) => (from === to ? longDate(from) : `${from.slice(0, 4) === to.slice(0, 4) ? shortDate(from) : dateText(from, { day: "numeric", month: "short", year: "numeric" })} – ${dateText(to, { day: "numeric", month: "short", year: "numeric" })}`);

// ---- what is asked for; the address keeps it

let numbersAddress = "#";
function readAddress() {
  const words = new URLSearchParams(location.hash.slice(1));
  readFleet(words);
  for (const [id, isHere] of [["to-fleet", isFleet()], ["to-numbers", !isFleet()]]) {
    if (isHere) $(id).setAttribute("aria-current", "page");
    else $(id).removeAttribute("aria-current");
  }
  if (isFleet()) { $("to-numbers").href = numbersAddress; return; }
  document.documentElement.classList.toggle("wall", words.has("wall"));
  for (const theme of ["dark", "light"]) document.documentElement.classList.toggle(theme, words.has(theme));
  const preset = words.get("period");
  view.preset = [...$("preset").options].some((option) => option.value === preset) ? preset : "today";
  view.from = words.get("from") || "";
  view.to = words.get("to") || "";
  view.compare = words.get("compare") || "";
  view.otherFrom = words.get("other-from") || "";
  view.otherTo = words.get("other-to") || "";
  view.devices = words.has("device") ? words.getAll("device") : null;
}

function writeAddress() {
  const old = new URLSearchParams(location.hash.slice(1)), words = new URLSearchParams();
  for (const word of ["wall", "dark", "light"]) if (old.has(word)) words.append(word, "");
  if (view.preset !== "today") words.append("period", view.preset);
  if (view.preset === "dates") { words.append("from", view.from); words.append("to", view.to); }
  if (view.compare) words.append("compare", view.compare);
  if (view.compare === "dates") { words.append("other-from", view.otherFrom); words.append("other-to", view.otherTo); }
  for (const device of view.devices || []) words.append("device", device);
  history.replaceState(null, "", `#${String(words).replaceAll("=&", "&").replace(/=$/, "")}`);
}

function query(range) {
  const words = new URLSearchParams();
  if (range) { words.append("from", range.from); words.append("to", range.to); }
  for (const device of view.devices || []) words.append("device", device);
  return words;
}

function chosenRange(today) {
  if (view.preset === "today" || !today) return null;
  if (view.preset === "yesterday") return { from: shifted(today, -1), to: shifted(today, -1) };
  if (view.preset === "dates") return view.from && view.to ? { from: view.from, to: view.to } : null;
  return { from: shifted(today, 1 - Number(view.preset)), to: today };
}

async function ask(range, path = "overview") {
  const answer = await fetch(`/api/${path}?${query(range)}`, { cache: "no-store" });
  if (!answer.ok) {
    const text = await answer.text();
    throw new Error(answer.headers.get("content-type")?.includes("json") ? JSON.parse(text).error : text);
  }
  return answer.json();
}

let asking = 0;
async function load() {
  loadIn(isFleet() ? Infinity : EVERY_MS);
  if (isFleet()) return;
  const number = ++asking, begin = performance.now();
  try {
    if (!overview && view.preset !== "today") overview = await ask(null); // it says which day it is
    const first = await ask(chosenRange(overview?.today));
    let second = null;
    if (view.compare === "earlier") second = await ask({ from: first.earlier_from, to: shifted(first.earlier_from, days(first) - 1) });
    else if (view.compare === "dates" && view.otherFrom && view.otherTo) second = await ask({ from: view.otherFrom, to: view.otherTo });
    if (number !== asking) return;
    [overview, other, failures] = [first, second, 0];
    render();
    problem("");
    took = performance.now() - begin;
    await loadHeat(number);
  } catch (error) {
    if (number !== asking) return;
    if (overview) renderControls(); // to choose other dates
    problem(error instanceof TypeError ? "The dashboard does not answer; it is asked again." : error.message);
    loadIn(Math.min(30000, 1000 * 2 ** failures++));
  }
}

/** Of weeks: it takes longest, and changes least. */
async function loadHeat(number) {
  const range = chosenRange(overview.today), question = `${overview.today} ${query(range)}`;
  if (question === heatAsked && performance.now() - heatAt < HEAT_MS) return;
  const means = await ask(range, "heat");
  if (number !== asking) return;
  [heat, heatAsked, heatAt] = [means, question, performance.now()];
  renderHeat();
  renderBusiest();
}

/** Asks again after a while, in place of whenever that was to be. */
function loadIn(ms) {
  clearTimeout(timer);
  due = performance.now() + ms;
  if (ms < Infinity) timer = setTimeout(load, ms);
}

/** Asks again soon: never later than was planned, however often something is new. */
function loadSoon() {
  const ms = Math.max(RELOAD_MS, 10 * took);
  if (!isFleet() && performance.now() + ms < due) loadIn(ms);
}

const days = (answer) => Math.round((dateOf(answer.to) - dateOf(answer.from)) / 86400000) + 1;

function problem(text) {
  $("problem").hidden = !text;
  if ($("problem").textContent !== text) $("problem").textContent = text;
}

// ---- live

function follow() {
  const events = new EventSource("/api/events");
  const devices = new Map();
  events.onmessage = (event) => {
    const news = JSON.parse(event.data);
    if (news.all) devices.clear();
    for (const name of news.gone) devices.delete(name);
    for (const device of news.devices) devices.set(nameOf(device), device);
    live = { ...news, devices: [...devices].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, device]) => device) };
    renderLive();
    if (revision !== null && live.revision !== revision) loadSoon();
    revision = live.revision;
  };
  events.onerror = () => link("lost", "Dashboard not reachable");
}

function link(kind, text) {
  $("link").className = `link ${kind}`;
  if ($("link").textContent !== text) $("link").textContent = text;
}

const isChosen = (device) => !view.devices || view.devices.includes(`${device.site}/${device.device}`);

function renderLive() {
  if (live.obstacle === "another") link("standby", "Standing by: another program collects");
  else if (live.obstacle === "store") link("lost", "Database not reachable");
  else if (!live.connected) link("lost", "Broker not reachable");
  else if (live.problem) link("lost", "Nothing can be stored");
  else link("live", "Live");
  $("notice").hidden = !live.notice;
  $("notice").textContent = live.notice;
  if (live.problem) problem(`${live.problem}. Nothing is lost: windows wait at the broker.`);
  if (isFleet()) { renderFleet(); return; }
  const sites = new Set(live.devices.map((device) => device.site));
  const isMany = live.devices.length > FEW_DEVICES;
  const tiles = isMany ? worstFirst(live.devices.filter(needsCare)).slice(0, MOST_TILES) : live.devices;
  const rest = isMany ? [h("li", { class: "rest" }, h("a", { href: "#fleet" }, `All ${count(live.devices.length)} devices`), h("small", {}, countStates(live.devices).map(([state, number]) => `${count(number)} ${shortState(state)}`).join(" · ")))] : [];
  $("devices").replaceChildren(...rest, ...tiles.map((device) => {
    const details = [
      device.facing !== null ? `${few(device.facing)} facing` : null,
      device.temperature_c !== null ? `${whole.format(device.temperature_c)} °C` : null,
      device.outbox > 1 ? `${windows(device.outbox)} waiting` : null, // one is often just on its way
      device.light === "late" && device.heard !== null ? `last heard ${agoText(live.now - device.heard)}` : null,
    ].filter(Boolean).join(" · ");
    return h("li", { "data-device": `${device.site}/${device.device}`, "data-light": device.light },
      h("span", { class: `light ${statesOf(device)[0]}`, "aria-hidden": "true" }),
      h("div", {}, h("b", {}, sites.size > 1 ? `${device.site} / ${device.device}` : device.device),
        h("small", {}, [statesText(device), details].filter(Boolean).join(" · "))));
  }), ...(live.devices.length ? [] : [h("li", { class: "none" }, "No device has reported yet.")]));
  const chosen = live.devices.filter((device) => isChosen(device) && device.facing !== null);
  $("facing").textContent = chosen.length ? few(chosen.reduce((sum, device) => sum + device.facing, 0)) : "–";
  $("facing-note").textContent = chosen.length ? `${chosen.some((device) => device.is_live) ? "in view; few may show as 0" : "mean of the newest window"}${chosen.length > 1 ? `, ${chosen.length} devices` : ""}` : "no device counts now";
}

// ---- numbers

const isToday = () => overview.from === overview.today && overview.to === overview.today;

function render() {
  renderControls();
  renderNumbers();
  renderComparison();
  renderTime();
  renderGenders();
  renderHeat();
  renderStays();
  renderHonesty();
  if (live) renderLive();
  const sites = [...new Set(overview.all.filter(isChosen).map((device) => device.site))];
  const name = isToday() ? longDate(overview.today) : rangeText(overview.from, overview.to);
  $("place").textContent = [sites.length && sites.length < 4 ? sites.join(", ") : sites.length ? `${sites.length} sites` : null, name].filter(Boolean).join(" · ");
  document.title = `${count(everybody())} · ${sites.join(", ") || "Edge Tally"}`;
  $("foot").textContent = `Times are those of the place: ${overview.zone}. People are counted when they leave.`;
}

const everybody = () => overview.total.people + overview.uncollected;

function renderNumbers() {
  const { total, earlier } = overview, all = everybody();
  $("people-label").textContent = isToday() ? "People today" : "People";
  $("people").textContent = count(all);
  const weeks = earlier.weeks === 1 ? (isToday() ? `last ${weekday(overview.from)}` : "the week before") : `${earlier.weeks} weeks before`;
  const until = !earlier.is_over && isToday() ? ` by ${clock(earlier.until)}` : "";
  if (earlier.people) {
    const change = (100 * (all - earlier.people)) / earlier.people;
    const sign = change >= 0.5 ? "up" : change <= -0.5 ? "down" : "";
    $("people-note").replaceChildren(
      h("span", { class: `delta ${sign}` }, `${{ up: "▲ ", down: "▼ " }[sign] || ""}${whole.format(Math.abs(change))} %`),
      ` on ${weeks}${until} (${count(earlier.people)})`);
  } else $("people-note").textContent = `not collected yet: ${weeks}`;
  const { stay } = total;
  $("stay-label").textContent = stay.is_attention ? "Mean attention" : "Mean dwell";
  $("stay").replaceChildren(...(stay.mean === null ? ["–"] : [seconds.format(stay.mean), h("small", {}, "s")]));
  $("stay-note").textContent = stay.people ? `${stay.is_attention ? "facing the camera" : "in view"}, ${people(stay.people)}` : "not measured yet";
  renderBusiest();
  renderAudit();
}

/** How wrong counts are there, by somebody who stood at the door. */
function renderAudit() {
  const { audit } = overview;
  $("audit").hidden = !audit;
  if (!audit) return;
  const at = audit.devices > 1 ? ` at ${count(audit.devices)} devices` : "", parts = [audit.counted, audit.low, audit.high].map((part) => whole.format(100 * part));
  $("audit").textContent = `Checked on site${at}, ${rangeText(audit.from, audit.to)}: ${parts[0]} % of people counted, ${parts[1]} to ${parts[2]} %`;
}

function renderBusiest() {
  if (overview.step === "hour") {
    const best = overview.slots.reduce((a, b) => ((b.people || 0) > (a?.people || 0) ? b : a), null);
    $("busiest").replaceChildren(...(best?.people ? [`${clock(best.start).slice(0, 2)}–${clock(best.end).slice(0, 2)}`, h("small", {}, "h")] : ["–"]));
    $("busiest-note").textContent = best?.people ? people(best.people) : "nobody yet";
    return;
  }
  const means = heat ? heat.means.flat() : [], most = Math.max(-1, ...means.map((mean) => mean ?? -1)), at = means.indexOf(most);
  const hour = at % 24;
  $("busiest").replaceChildren(...(most > 0 ? [`${WEEKDAYS[Math.floor(at / 24)]} ${hour}–${hour + 1}`, h("small", {}, "h")] : ["–"]));
  $("busiest-note").textContent = most > 0 ? `${few(most)} people on average` : "nobody yet";
}

function renderComparison() {
  $("comparison").hidden = !other;
  if (!other) return;
  const share = (answer) => (answer.women === undefined ? "–" : `${percent(answer.women, answer.people)} (${percent(answer.low, answer.people)} to ${percent(answer.high, answer.people)})`);
  const change = (a, b) => (b ? `${a >= b ? "+" : "−"}${whole.format(Math.abs((100 * (a - b)) / b))} %` : "–");
  const [a, b] = [overview, other], stay = (answer) => (answer.total.stay.mean === null ? "–" : `${seconds.format(answer.total.stay.mean)} s`);
  const perDay = (answer) => answer.total.people / days(answer);
  $("comparison-table").replaceChildren(table("Two periods side by side",
    ["", rangeText(a.from, a.to), rangeText(b.from, b.to), "change"], [
      ["People", count(a.total.people), count(b.total.people), change(a.total.people, b.total.people)],
      ["People a day", few(perDay(a)), few(perDay(b)), change(perDay(a), perDay(b))],
      ["Women, estimated", share(a.estimate), share(b.estimate), ""],
      [a.total.stay.is_attention ? "Mean attention" : "Mean dwell", stay(a), stay(b), change(a.total.stay.mean, b.total.stay.mean)],
      ["Time watched", a.watched === null ? "–" : percent(a.watched, 1), b.watched === null ? "–" : percent(b.watched, 1), ""],
    ]));
}

function slotText(slot, step) {
  if (step === "hour") return `${days(overview) > 1 ? `${dateText(slot.start, { weekday: "short" })} ` : ""}${clock(slot.start)} – ${clock(slot.end)}`;
  if (step === "day") return longDate(slot.start);
  return `${shortDate(slot.start)} – ${longDate(shifted(slot.end, -1))}`;
}

function renderTime() {
  const { step } = overview, name = { hour: "hour", day: "day", week: "week", month: "month" }[step];
  $("time-title").textContent = isToday() ? "Today by hour" : `${rangeText(overview.from, overview.to)} by ${name}`;
  const every = overview.slots.map((slot, i) => (other ? { ...slot, before: other.slots[i]?.people ?? null } : slot));
  const slots = days(overview) === 1 ? trimmed(every) : every;
  const before = other ? rangeText(other.from, other.to) : overview.earlier.weeks === 1 ? (days(overview) === 1 ? `last ${weekday(overview.earlier_from)}` : "the week before") : `${overview.earlier.weeks} weeks before`;
  const key = (kind, text) => h("li", {}, s("svg", { viewBox: "0 0 14 12", "aria-hidden": "true" },
    ...(kind === "before" ? [s("path", { d: "M0 6H14", class: "before" })] : kind === "hatch"
      ? [HATCH(), s("rect", { width: 14, height: 12, fill: "url(#hatch)" })] : [s("rect", { width: 12, height: 12, rx: 3, class: kind })])), text);
  const legend = [["women", "women"], ["men", "men"], ["untold", "not told"]];
  if (slots.some((slot) => slot.before !== null)) legend.push(["before", before]);
  // a shop is closed at night: days are compared with the best watched one, hours with whole ones
  const usual = step === "hour" ? 1 : Math.max(0.01, ...slots.map((slot) => slot.watched || 0));
  if (slots.some((slot) => isBlind(slot, usual))) legend.push(["hatch", step === "hour" ? "not watched" : "watched less than usual"]);
  $("time-legend").replaceChildren(...legend.map(([kind, text]) => key(kind, text)));
  const start = Date.parse(slots[0].start), end = Date.parse(slots.at(-1).end), at = (1000 * overview.now - start) / (end - start);
  const label = (slot) => (step === "hour" ? (days(overview) > 1 && clock(slot.start) === "00:00" ? dateText(slot.start, { weekday: "short" }) : clock(slot.start)) : step === "month" ? dateText(slot.start, { month: "short" }) : shortDate(slot.start));
  [label.middle, label.width] = [true, step === "hour" ? 5 : 7];
  const show = (i) => $("time-readout").replaceChildren(...(i < 0 ? [] : readout(slots[i], step, before)));
  const best = slots.reduce((a, b) => ((b.people || 0) > (a.people || 0) ? b : a));
  timeChart($("time"), slots, {
    label, now: at > 0 && at < 1 ? at : null, show, scale: textScale(), usual,
    summary: `${$("time-title").textContent}: ${people(overview.total.people)}${best.people ? `, most in ${slotText(best, step)}: ${count(best.people)}` : ""}. Arrow keys read each bar; a table follows.`,
  });
  $("time-table").replaceChildren(table($("time-title").textContent,
    [name, "people", "women", "men", "not told", before, "watched"],
    every.filter((slot) => slot.people !== null || slot.before !== null).map((slot) => [slotText(slot, step), count(slot.people), count(slot.female), count(slot.male), count(slot.untold), count(slot.before), slot.watched === null ? "–" : percent(slot.watched, 1)])));
}

/** Without the hours of the night in which nobody came. */
function trimmed(slots) {
  const busy = slots.map((slot, i) => (slot.people || slot.before ? i : -1)).filter((i) => i >= 0);
  return busy.length ? slots.slice(Math.max(0, busy[0] - 1), busy.at(-1) + 2) : slots;
}

const textScale = () => (document.documentElement.classList.contains("wall") ? parseFloat(getComputedStyle(document.documentElement).fontSize) / 12 : 1);

function readout(slot, step, before) {
  const parts = [h("b", {}, `${slotText(slot, step)}: ${slot.people === null ? "to come" : people(slot.people)}`)];
  if (slot.people) parts.push(` (${count(slot.female)} women, ${count(slot.male)} men, ${count(slot.untold)} not told)`);
  if (slot.before !== null) parts.push(`, ${before} ${count(slot.before)}`);
  if (slot.watched !== null && slot.watched < 0.95) parts.push(`, watched ${percent(slot.watched, 1)} of the time`);
  return parts;
}

function renderGenders() {
  const { total, estimate } = overview, all = total.people;
  if (!all) {
    $("shares").replaceChildren(h("p", { class: "empty" }, "Nobody has been counted yet."));
    $("estimate").replaceChildren();
  } else {
    const parts = [["women", "Women", total.female], ["men", "Men", total.male], ["untold", "Not told", total.untold]];
    const stack = h("div", { class: "stack", "aria-hidden": "true" }, ...parts.map(([kind, , number]) => {
      const part = h("i", { class: kind });
      part.style.width = `${(100 * number) / all}%`;
      return part;
    }));
    const rows = parts.map(([kind, name, number]) => h("tr", {}, h("th", { scope: "row" }, h("span", { class: `key ${kind}`, "aria-hidden": "true" }), name), h("td", {}, count(number)), h("td", {}, percent(number, all))));
    $("shares").replaceChildren(stack, h("table", { class: "shares" }, h("caption", { class: "hidden" }, "As the device called them"), h("tbody", {}, ...rows)));
    renderEstimate(estimate);
  }
  const why = [];
  if (total.unknown) why.push(`${people(total.unknown)} looked like neither clearly enough.`);
  if (total.withheld) why.push(`${people(total.withheld)} came when there were ${tooFew()}, or no gender is estimated: only their number is published.`);
  why.push(...estimate.notes.map((note) => `${note[0].toUpperCase()}${note.slice(1)}.`));
  why.push("The interval assumes that people are mistaken for each other as often as the test faces.");
  $("estimate-notes").replaceChildren(...why.map((text) => h("p", {}, text)));
}

function renderEstimate(estimate) {
  if (estimate.women === undefined) {
    $("estimate").replaceChildren(h("div", { class: "interval" }, "Not corrected for the model’s errors: ", reason(estimate.notes)));
    return;
  }
  const [low, middle, high] = [estimate.low, estimate.women, estimate.high].map((number) => number / estimate.people);
  $("estimate").replaceChildren(h("div", { class: "interval" },
    h("p", {}, "Corrected for the model’s errors: ", h("strong", {}, `${whole.format(100 * middle)} % women`), ` (${whole.format(100 * low)} to ${whole.format(100 * high)} %), ${whole.format(100 - 100 * middle)} % men`),
    intervalStrip(low, middle, high)));
}

const reason = (notes) => (notes.length ? `${notes[0].replace(/^not corrected: \d+ people: /, "")}.` : "no genders were published.");

function renderHeat() {
  if (!heat) return;
  $("heat-sub").textContent = `Mean people in an hour, ${rangeText(heat.from, heat.to)}; hours watched for less than half are left out`;
  const flat = heat.means.flat();
  heatMap($("heat"), heat.means, (i) => $("heat-readout").replaceChildren(...(i < 0 ? [] : [
    h("b", {}, `${WEEKDAYS[Math.floor(i / 24)]} ${i % 24}:00: `), flat[i] === null ? "not watched" : `${few(flat[i])} people on average`])));
  $("heat-table").replaceChildren(table("People by weekday and hour", ["", ...Array.from({ length: 24 }, (_, hour) => `${hour}:00`)],
    heat.means.map((row, day) => [WEEKDAYS[day], ...row.map(few)])));
}

function renderStays() {
  const { stay, ages } = overview.total;
  $("stays-title").textContent = stay.is_attention ? "Attention" : "Dwell";
  $("stays-sub").textContent = stay.is_attention ? "For how long people faced the camera" : "For how long people were in view";
  if (stay.people) barRows($("stays"), stay.bins);
  else $("stays").replaceChildren(h("p", { class: "empty" }, "Nothing measured yet."));
  $("ages-card").hidden = !ages.people;
  $("main").classList.toggle("with-ages", ages.people > 0);
  if (ages.people) {
    $("ages-sub").textContent = `Of ${people(ages.people)} in windows that show ages`;
    barRows($("ages"), ages.groups, "unknown");
  }
}

const tooFew = () => (overview.min_people > 1 ? `fewer than ${overview.min_people} people` : "very few people");

function renderHonesty() {
  const { total, gaps, watched } = overview, lines = [];
  if (watched !== null) lines.push(h("p", {}, h("b", {}, `${whole.format(100 * watched)} % of the time was watched. `), watched < 0.995 ? "Otherwise the camera was closed or covered, or windows are missing. Nothing is added for that time." : ""));
  if (overview.uncollected) lines.push(h("p", {}, h("b", {}, `${people(overview.uncollected)} came before this dashboard began to collect. `), "They are in the number of today, not in the charts."));
  if (gaps.length) {
    const lost = gaps.reduce((sum, gap) => sum + Math.max(0, gap.people), 0);
    lines.push(h("div", {}, h("p", {}, h("b", {}, `${windows(gaps.reduce((sum, gap) => sum + gap.windows, 0))} never came, with ${people(lost)}. `), "They were dropped by a full outbox, or lost on the way, and are in no chart:"),
      h("ul", {}, ...gaps.slice(0, 50).map((gap) => h("li", {}, `${gap.device}, ${utc(gap.start)} to ${utc(gap.end)}: ${windows(gap.windows)}, ${people(Math.max(0, gap.people))}`)))));
  } else if (total.people) lines.push(h("p", {}, h("b", {}, "No window is missing. ")));
  if (total.withheld) lines.push(h("p", {}, h("b", {}, `${people(total.withheld)} are counted by number alone. `), `If there are ${tooFew()} within minutes, nothing else of them is published, so that nobody can be singled out.`));
  if (!lines.length) lines.push(h("p", { class: "empty" }, "Nothing has been collected yet."));
  $("honesty").replaceChildren(...lines);
}

/** A time of the table, which is UTC, at the place. */
const utc = (stamp) => new Date(stamp).toLocaleString("en-GB", { timeZone: overview.zone, day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

// ---- controls

function renderControls() {
  $("preset").value = view.preset;
  $("dates").hidden = view.preset !== "dates";
  $("compare").value = view.compare;
  $("other-dates").hidden = view.compare !== "dates";
  $("from").value = view.from || overview.from;
  $("to").value = view.to || overview.to;
  $("other-from").value = view.otherFrom;
  $("other-to").value = view.otherTo;
  $("csv").href = `/api/hours.csv?${query({ from: overview.from, to: overview.to })}`;
  const names = overview.all.map((device) => `${device.site}/${device.device}`);
  const chosen = view.devices ? names.filter((name) => view.devices.includes(name)) : names;
  $("picked").textContent = !view.devices ? (names.length === 1 ? names[0] : "All devices") : chosen.length === 1 ? chosen[0].split("/")[1] : `${chosen.length} devices`;
  const sites = Map.groupBy ? Map.groupBy(overview.all, (device) => device.site) : overview.all.reduce((map, device) => map.set(device.site, [...(map.get(device.site) || []), device]), new Map());
  const shown = JSON.stringify([names, chosen, overview.all]);
  if ($("devices-to-pick").dataset.shown === shown) return;
  $("devices-to-pick").dataset.shown = shown;
  const box = (checked, change, kind, text, note) => {
    const input = h("input", { type: "checkbox", checked });
    input.addEventListener("change", () => change(input.checked));
    return h("label", { class: kind }, input, text, note ? h("small", {}, note) : null);
  };
  const pick = (list) => {
    view.devices = list.length === names.length || !list.length ? null : list;
    writeAddress();
    load();
  };
  const boxes = [...sites].flatMap(([site, members]) => {
    const own = members.map((device) => `${site}/${device.device}`), others = chosen.filter((name) => !own.includes(name));
    return [
      box(own.every((name) => chosen.includes(name)), (on) => pick(on ? [...others, ...own] : others), "site", site),
      ...members.map((device) => {
        const name = `${site}/${device.device}`;
        return box(chosen.includes(name), (on) => pick(on ? [...chosen, name] : chosen.filter((each) => each !== name)), "member", device.device, device.live ? "" : "removed");
      }),
    ];
  });
  $("devices-to-pick").replaceChildren(h("legend", { class: "hidden" }, "Devices"), ...boxes);
}

function listen() {
  const changed = () => { writeAddress(); load(); };
  $("preset").addEventListener("change", (event) => {
    view.preset = event.target.value;
    if (view.preset === "dates" && overview) [view.from, view.to] = [overview.from, overview.to];
    changed();
  });
  $("compare").addEventListener("change", (event) => {
    view.compare = event.target.value;
    if (view.compare === "dates" && overview) [view.otherFrom, view.otherTo] = [overview.earlier_from, shifted(overview.earlier_from, days(overview) - 1)];
    changed();
  });
  for (const [first, last, from, to] of [["from", "to", "from", "to"], ["other-from", "other-to", "otherFrom", "otherTo"]]) {
    for (const id of [first, last]) {
      $(id).addEventListener("change", () => {
        if (!$(first).value || !$(last).value) return;
        [view[from], view[to]] = [$(first).value, $(last).value].sort();
        changed();
      });
    }
  }
  $("print").addEventListener("click", () => window.print());
  $("controls").addEventListener("submit", (event) => event.preventDefault());
  document.addEventListener("click", (event) => { if (!$("picker").contains(event.target)) $("picker").open = false; });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    $("picker").open = false;
    if (document.documentElement.classList.contains("wall")) location.hash = location.hash.replace(/wall&?/, "");
  });
  window.addEventListener("hashchange", (event) => {
    const old = new URL(event.oldURL).hash;
    if (!/^#fleet\b/.test(old)) numbersAddress = old || "#";
    readAddress();
    if (live) renderLive();
    load();
  });
  $("wall").addEventListener("click", (event) => {
    event.preventDefault();
    location.hash = `wall${location.hash.length > 1 ? `&${location.hash.slice(1)}` : ""}`;
  });
  let width = 0;
  new ResizeObserver(() => {
    if (overview && Math.abs(document.body.clientWidth - width) > 2) {
      width = document.body.clientWidth;
      renderTime();
      renderHeat();
    }
  }).observe(document.body);
}

readAddress();
listen();
listenToFleet();
load();
follow();
