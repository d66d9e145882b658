// A report that is still being written: asks for news, and changes what has changed.
"use strict";

const EVERY_MS = 2000;
let known = null;

async function asked(address) {
  const answer = await fetch(address, { cache: "no-store" });
  if (!answer.ok) throw new Error(`${address}: ${answer.status}`);
  return answer.text();
}

// Takes the new report's words and figures; what the reader has set, opened and scrolled stays.
function take(text) {
  const news = new DOMParser().parseFromString(text, "text/html");
  const opened = [...document.querySelectorAll("details[open]")].map((node) => node.id);
  const focused = document.activeElement?.id;
  const place = scrollY;
  widths.disconnect();
  document.title = news.title;
  document.querySelector("main").replaceWith(document.adoptNode(news.querySelector("main")));
  start();
  for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  scrollTo({ top: place, behavior: "instant" });
}

async function look() {
  const said = document.querySelector("#live");
  try {
    const version = await asked("/version");
    if (known !== null && version !== known) take(await asked(location.pathname));
    known = version;
    said.textContent = "Live: this page follows the run.";
  } catch {
    said.textContent = "The run's server does not answer; this is what it said last.";
  }
  setTimeout(look, EVERY_MS);
}

look();
