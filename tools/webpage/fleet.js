// All devices with the worst first, live by the same events as the page's other parts.

const STATES = { // the worst first
  late: "late: no report", offline: "offline", camera: "camera lost", blind: "sees little", hot: "hot: it slows down",
  outdated: "out of date", stopped: "stopped", waiting: "waiting for its next report", resting: "resting: camera closed on purpose", online: "online",
};
const WORST = Object.keys(STATES), FEW_DEVICES = 24, MOST_ROWS = 1000, MOST_TILES = 12;
const fleet = { site: "", state: "", rows: new Map(), listed: null };
const CALM = ["waiting", "resting"];

const isFleet = () => document.documentElement.classList.contains("fleet");
const nameOf = (device) => `${device.site}/${device.device}`;
const statesOf = (device) => (device.states.length ? device.states : ["online"]);
const statesText = (device) => statesOf(device).map((state) => STATES[state]).join(", ");
const rank = (device) => WORST.indexOf(statesOf(device)[0]);
const needsCare = (device) => device.states.some((state) => !CALM.includes(state));
const agoText = (age) => (age < 90 ? `${Math.max(0, Math.round(age))} s ago` : age < 5400 ? `${Math.round(age / 60)} min ago` : age < 172800 ? `${Math.round(age / 3600)} h ago` : `${Math.round(age / 86400)} days ago`);

/** The worst first; of equals, the one that has been silent for longest. */
function worstFirst(devices) {
  return [...devices].sort((a, b) => rank(a) - rank(b) || b.states.length - a.states.length
    || (a.health ?? a.heard ?? 0) - (b.health ?? b.heard ?? 0) || (nameOf(a) < nameOf(b) ? -1 : 1));
}

function countStates(devices) {
  const counts = new Map();
  for (const device of devices) for (const state of statesOf(device)) counts.set(state, (counts.get(state) || 0) + 1);
  return WORST.filter((state) => counts.has(state)).map((state) => [state, counts.get(state)]);
}

const shortState = (state) => STATES[state].replace(/:.*| for its next report/, "");

function readFleet(words) {
  document.documentElement.classList.toggle("fleet", words.has("fleet"));
  fleet.site = words.get("site") || "";
  fleet.state = words.get("state") || "";
}

function writeFleet() {
  const words = new URLSearchParams();
  for (const word of ["site", "state"]) if (fleet[word]) words.append(word, fleet[word]);
  history.replaceState(null, "", `#fleet${words.size ? `&${words}` : ""}`);
}

/** Replaces the options of a choice, but only if they are others. */
function setOptions(select, options, chosen) {
  const wanted = options.some(([value]) => value === chosen) ? options : [...options, [chosen, chosen]];
  const shown = JSON.stringify([wanted, chosen]);
  if (select.dataset.shown === shown) return;
  select.dataset.shown = shown;
  select.replaceChildren(...wanted.map(([value, text]) => h("option", { value, selected: value === chosen }, text)));
}

const setText = (node, text) => { if (node.textContent !== text) node.textContent = text; };

function rowOf(device) {
  const name = nameOf(device), known = fleet.rows.get(name);
  if (known) return known;
  const link = h("a", { href: `#device=${encodeURIComponent(name)}` }, device.device), mark = h("span", { "aria-hidden": "true" });
  const words = h("span", {}), cells = Array.from({ length: 5 }, () => h("td", {}));
  const row = { mark, words, cells, entry: null, tr: h("tr", { "data-device": name },
    h("th", { scope: "row" }, link, " ", h("small", {}, device.site)), h("td", { class: "state" }, mark, words), ...cells) };
  fleet.rows.set(name, row);
  return row;
}

function fillRow(row, device, now) {
  setText(row.cells[0], device.health === null ? "none since this page’s program began" : agoText(now - device.health));
  if (row.entry === device) return;
  row.entry = device;
  const states = statesOf(device);
  row.tr.dataset.states = states.join(" ");
  row.mark.className = `light ${states[0]}`;
  setText(row.words, statesText(device));
  const [, watched, warm, waiting, version] = row.cells;
  setText(watched, device.coverage === null ? "–" : percent(device.coverage, 1));
  setText(warm, device.temperature_c === null ? "–" : `${whole.format(device.temperature_c)} °C`);
  setText(waiting, device.outbox === null ? "–" : `${count(device.outbox)}${device.dropped ? `, ${count(device.dropped)} dropped` : ""}`);
  setText(version, device.version || "–");
}

/** Lets `body` have these rows in this order, and leaves alone what is in its place. */
function arrange(body, rows) {
  const focused = body.contains(document.activeElement) ? document.activeElement : null;
  let at = body.firstChild;
  for (const row of rows) {
    if (row === at) at = at.nextSibling;
    else body.insertBefore(row, at);
  }
  while (at) { const next = at.nextSibling; at.remove(); at = next; }
  if (focused && focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
}

function renderFleet() {
  if (!isFleet()) return;
  const all = live.devices, sites = [...new Set(all.map((device) => device.site))];
  const here = all.filter((device) => !fleet.site || device.site === fleet.site), counts = countStates(here);
  setText($("fleet-summary"), all.length ? `${count(here.length)} ${here.length === 1 ? "device" : "devices"}: ${counts.map(([state, number]) => `${count(number)} ${shortState(state)}`).join(" · ")}` : "No device has reported yet.");
  setOptions($("fleet-site"), [["", `all ${sites.length}`], ...sites.map((site) => [site, site])], fleet.site);
  setOptions($("fleet-state"), [["", "all"], ["care", `to look after (${count(here.filter(needsCare).length)})`], ...counts.map(([state, number]) => [state, `${shortState(state)} (${count(number)})`])], fleet.state);
  const fits = (device) => !fleet.state || (fleet.state === "care" ? needsCare(device) : statesOf(device).includes(fleet.state));
  const listed = worstFirst(here.filter(fits)), shown = listed.slice(0, MOST_ROWS);
  for (const device of shown) fillRow(rowOf(device), device, live.now);
  arrange($("fleet-rows"), shown.map((device) => rowOf(device).tr));
  const known = new Set(all.map(nameOf));
  for (const name of fleet.rows.keys()) if (!known.has(name)) fleet.rows.delete(name);
  setText($("fleet-listed"), listed.length === here.length ? "" : `${count(listed.length)} listed`);
  setText($("fleet-note"), listed.length > MOST_ROWS ? `The worst ${count(MOST_ROWS)} of ${count(listed.length)} are listed; choose a site or a state to see others.` : "");
  document.title = `${count(all.filter(needsCare).length)} to look after · fleet`;
}

function listenToFleet() {
  for (const word of ["site", "state"]) {
    $(`fleet-${word}`).addEventListener("change", (event) => { fleet[word] = event.target.value; writeFleet(); renderFleet(); });
  }
  $("fleet-filters").addEventListener("submit", (event) => event.preventDefault());
}
