// What every page does: takes the key, asks the server with it, and says when it is over.

export const $ = (id) => document.getElementById(id);

let key = sessionStorage.getItem("key"), countdown;
export let ended = false;

export async function ask(path, values) {
  const options = {headers: {Authorization: `Bearer ${key}`}, cache: "no-store"};
  if (values) Object.assign(options, {method: "POST", body: JSON.stringify(values)});
  const answer = await fetch(path, options);
  const result = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(result.error), {status: answer.status});
  return result;
}

// What the page begins with. The token in the address gives the key, once; a reload has the key.
async function enter() {
  const token = location.hash.slice(1);
  if (!token) {
    if (!key) throw new Error("Open the address that the command printed: it has a key in it.");
    return ask("/start", {});
  }
  history.replaceState(null, "", location.pathname);
  key = null;
  const start = await ask("/viewer", {token});
  key = start.key;
  sessionStorage.setItem("key", key);
  return start;
}

function countDown(seconds) {
  const over = performance.now() + 1000 * seconds;
  const tick = () => {
    const left = Math.max(0, Math.round((over - performance.now()) / 1000));
    $("left").textContent = `ends in ${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
  };
  tick();
  countdown = setInterval(tick, 1000);
}

export function end(reason) {
  ended = true;
  clearInterval(countdown);
  document.querySelector("main").hidden = $("end").hidden = $("left").hidden = true;
  $("notice").hidden = false;
  $("notice").textContent = reason;
}

// Calls `prepare(start)`, then `show(view)` with one view after another until the server ends.
export async function follow(prepare, show) {
  let hasBegun = false, seq = 0;
  try {
    const start = await enter();
    hasBegun = true;
    countDown(start.seconds);
    prepare(start);
    while (!ended) {
      const view = await ask(`/view?after=${seq}`);
      if (!view || ended) continue;
      ({seq} = view);
      $("notice").hidden = true;
      document.querySelector("main").hidden = false;
      show(view);
    }
  } catch (error) {
    const isOver = hasBegun && !error.status;
    if (!ended) end(isOver ? "Ended. Look at the terminal for the reason; start the command again to go on." : error.message);
  }
}

addEventListener("hashchange", () => location.reload());  // the address of another start
