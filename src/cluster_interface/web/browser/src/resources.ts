// What the job may use: fields of the form <-> the spec's resources.
import { spellBytes, spellTime } from "./amounts.ts";
import { byId } from "./dom.ts";
import { NAMES, NUMBERS } from "./directives.ts";
import type { Resources } from "./wire.ts";

/** Show what an earlier job asked for. */
export function showResources(wanted: Resources): void {
  for (const field of ["cpus", "queue"] as const) byId<HTMLInputElement>(field).value = String(wanted[field] ?? "");
  byId<HTMLInputElement>("memory").value = typeof wanted.memory === "number" ? spellBytes(wanted.memory) : (wanted.memory ?? "");
  byId<HTMLInputElement>("time").value = typeof wanted.time === "number" ? spellTime(wanted.time) : (wanted.time ?? "");
  for (const field of [...NUMBERS, ...NAMES]) byId<HTMLInputElement>(field).value = String(wanted[field] ?? "");
  byId<HTMLInputElement>("licenses").value = ((wanted.licenses as string[] | undefined) ?? []).join(", ");
  byId<HTMLInputElement>("exclusive").checked = wanted.exclusive === true;
  byId<HTMLDetailsElement>("more").open = [...NUMBERS, ...NAMES].some((field) => wanted[field] != null && wanted[field] !== 1);
}

export function readResources(): Resources {
  return {
    ...(value("cpus") && { cpus: Number(value("cpus")) }),
    ...(value("memory") && { memory: value("memory") }),
    ...(value("time") && { time: value("time") }),
    ...(value("queue") && { queue: value("queue") }),
    ...Object.fromEntries(NUMBERS.filter(value).map((field) => [field, Number(value(field))])),
    ...Object.fromEntries(NAMES.filter(value).map((field) => [field, value(field)])),
    ...(value("licenses") && { licenses: listed("licenses") }),
    ...(byId<HTMLInputElement>("exclusive").checked && { exclusive: true }),
  };
}

/** What is written in a field. */
export function value(id: string): string {
  return byId<HTMLInputElement>(id).value.trim();
}

/** What is written in a field that holds several, between spaces or commas. */
export function listed(id: string): string[] {
  return value(id).split(/[\s,]+/).filter(Boolean);
}
