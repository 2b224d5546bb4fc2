// What is said for the command line, in the words of the form: a flag becomes the way to its field.
import { byId, coded, make, sentence } from "./dom.ts";

const FIELDS: Record<string, string> = {
  with: "package-name",
  system: "package-name",
  input: "pick-files",
  queue: "queue",
  runtime: "runtime",
  network: "network",
  cpus: "cpus",
  memory: "memory",
  time: "time",
  gpus: "gpus",
  nodes: "nodes",
  "tasks-per-node": "tasks_per_node",
  account: "account",
  name: "name",
  output: "outputs",
  sweep: "sweep-kind",
  after: "after",
};
const OWN: Record<string, string> = { "package-name": "Another package", "pick-files": "Choose files", network: "Let it use the network" };
const FLAG = new RegExp(`(?<!#\\w* ?|\\$ )--(${Object.keys(FIELDS).join("|")})(?![\\w=-])`);

/** A sentence with links to the fields that it speaks of. */
export function inFormWords(text: string): (Node | string)[] {
  const parts = sentence(text).replace(/\bsay (?=--)/g, "use ").split(FLAG);
  return parts.flatMap((part, at) => (at % 2 ? [wayTo(part)] : coded(part)));
}

function wayTo(flag: string): HTMLElement {
  const id = FIELDS[flag] ?? "";
  const words = OWN[id] ?? document.querySelector(`label[for="${id}"]`)?.textContent ?? flag;
  const button = make("button", { type: "button", class: "way-to" }, `“${words}”`);
  button.addEventListener("click", () => {
    const field = byId(id);
    field.closest("details")?.setAttribute("open", "");
    if (flag === "system" || flag === "with") byId<HTMLSelectElement>("package-kind").value = flag === "system" ? "system" : "python";
    field.focus();
    field.scrollIntoView({ block: "center" });
  });
  return button;
}
