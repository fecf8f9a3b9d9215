// The page for whoever stands at the door and taps everyone who passes.

import {$, ask, end, follow} from "./viewer.js";

const buttons = [...document.querySelectorAll("[data-label]")];

function show({tapped}) {
  for (const button of buttons) button.querySelector("output").textContent = tapped[button.dataset.label];
  $("undo").disabled = Object.values(tapped).every((number) => number === 0);
}

async function send(path, values) {
  try {
    show(await ask(path, values));
    $("trouble").textContent = "";
  } catch (error) {
    $("trouble").textContent = `This was not noted: ${error.message}`;
  }
}

for (const button of buttons) button.addEventListener("click", () => send("/tap", {label: button.dataset.label}));
$("undo").addEventListener("click", () => send("/undo", {}));
$("end").addEventListener("click", () => {
  $("end").disabled = true;
  ask("/end", {});
});

function prepare(start) {
  show(start);
  if (start.gender) return;
  // with classifier.gender: off people are only counted
  document.querySelector(".taps").classList.add("people");
  for (const button of buttons) button.hidden = button.dataset.label !== "unknown";
  document.querySelector("[data-label=unknown]").firstChild.textContent = "Person ";
}

follow(prepare, async ({report}) => {
  if (!report) return;
  end("Done. The camera is free again; start the daemon if you stopped it.");
  for (const line of report) {
    const [, name, text] = line.match(/^(\S+)\s+(.*)$/);
    for (const [kind, content] of [["dt", name], ["dd", text]]) {
      $("report").append(Object.assign(document.createElement(kind), {textContent: content}));
    }
  }
  $("result").hidden = false;
  await ask("/received", {}).catch(() => {});
});
