// What htmx polls: not while nobody looks, at once when somebody looks again, and silence is said in words.
import "htmx.org";
import { byId, say } from "./dom.ts";

export function keepLive(): void {
  document.addEventListener("htmx:before:request", (event) => {
    if (document.hidden) event.preventDefault();
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) wake();
  });
  document.addEventListener("htmx:error", () => silence("The server cannot be reached just now. What you see here may be out of date; it is tried again."));
  document.addEventListener("htmx:after:request", (event) => {
    const status = (event as CustomEvent<{ ctx?: { response?: { status?: number } } }>).detail.ctx?.response?.status ?? 0;
    if (status === 401) silence("This session has ended. Open the pages anew with “clif ui”.");
    else if (status >= 400) silence("The server needs a moment. What you see here may be out of date; it is tried again.");
    else silence("");
  });
  document.addEventListener("htmx:after:swap", announce);
}

/** Look at once instead of at the next beat. */
export function wake(): void {
  document.querySelector("[hx-get]")?.dispatchEvent(new Event("wake"));
}

function silence(text: string): void {
  const element = byId("offline");
  if (element.textContent !== text) say(element, text);
}

let last = document.querySelector<HTMLElement>("#live")?.dataset.state;

/** Tell screen readers, and the tab's title, that a job's state has changed. */
function announce(): void {
  const live = document.querySelector<HTMLElement>("#live");
  if (!live || live.dataset.state === last) return;
  last = live.dataset.state;
  const name = live.querySelector("h1")?.textContent ?? "The job";
  document.title = `${name}: ${live.dataset.stateWords} · cluster-interface`;
  byId("announce").textContent = `${name} is ${live.dataset.stateWords}.`;
}
