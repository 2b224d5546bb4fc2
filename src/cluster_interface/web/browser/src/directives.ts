// What a batch script's directives ask for, in the form: what a person has written there stays.
import { spellBytes, spellTime } from "./amounts.ts";
import { byId, make, visible } from "./dom.ts";
import type { Proposal, Spec } from "./wire.ts";

export const NUMBERS = ["gpus", "nodes", "tasks_per_node"]; // of the further resources
export const NAMES = ["gpu_type", "scheduler", "runtime", "account", "qos", "reservation", "constraint"];
const FIELDS = ["cpus", "memory", "time", "queue", ...NUMBERS, ...NAMES, "licenses"];

export class Directives {
  /** What of the spec no field shows: the array, the scheduler whose variables the script expects, its signal. */
  said: Pick<Spec, "sweep" | "dialect" | "checkpoint"> = {};

  take({ resources, sweep, dialect, checkpoint }: Proposal): void {
    for (const field of FIELDS) put(byId<HTMLInputElement>(field), written(field, resources[field]));
    const exclusive = byId<HTMLInputElement>("exclusive");
    if (resources.exclusive === true && exclusive.dataset.proposed === undefined) exclusive.checked = true;
    exclusive.dataset.proposed = String(resources.exclusive === true);
    if ([...NUMBERS, ...NAMES].some((field) => resources[field] != null)) byId<HTMLDetailsElement>("more").open = true;
    this.said = { ...(sweep && { sweep }), ...(dialect && { dialect }), ...(checkpoint && { checkpoint }) };
  }
}

/** What is to be known of the directives: tasks of an array, and what could not be carried over. */
export function notes({ guesses, left_out }: Proposal): HTMLElement[] {
  const arrays = guesses.filter((guess) => guess.field === "sweep").map((guess) => `Many tasks: ${guess.value} (${guess.rests_on})`);
  const lost = left_out.map((one) => `Left out: ${one.directive} (line ${one.line}): ${one.why}`);
  return [...arrays, ...lost].map((text) => make("li", {}, visible(text)));
}

function put(field: HTMLInputElement, value: string): void {
  if (field.value && field.value !== field.dataset.proposed) return;
  field.value = value;
  field.dataset.proposed = field.value; // of a list, empty where it has no such entry
}

function written(field: string, value: unknown): string {
  if (value === undefined || value === null) return "";
  if (field === "memory" && typeof value === "number") return spellBytes(value);
  if (field === "time" && typeof value === "number") return spellTime(value);
  return Array.isArray(value) ? value.join(", ") : String(value);
}
