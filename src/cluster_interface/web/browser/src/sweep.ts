// Many tasks in the form: lists, a table or a pattern of files in, the spec's sweep out, counted as it is written.
import { byId } from "./dom.ts";
import { parseTable } from "./table.ts";
import type { Sweep } from "./wire.ts";

export const PASTED = "parameters.csv"; // what a pasted table is called in the job
const MOST_VALUES = 1_000_000; // of one range
const RANGE = /^(-?\d+(?:\.\d+)?)\.\.(-?\d+(?:\.\d+)?)(?:\.\.(-?\d+(?:\.\d+)?))?$/;
const NAME = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/;

export type Kind = "" | "grid" | "zip" | "table" | "files";

/** What was written, as far as it makes sense: the sweep, a table to be sent with it, and how many tasks come of it. */
export interface Written {
  sweep?: Sweep;
  table?: string; // the text of a pasted table
  names: string[];
  says: string;
  wrong: string;
}

export function read(kind: Kind, text: string): Written {
  if (!kind) return { names: [], says: "", wrong: "" };
  if (!text.trim()) return { names: [], says: "", wrong: "" };
  try {
    if (kind === "files") return { sweep: { files: text.trim() }, names: ["file"], says: "A task for each file that matches.", wrong: "" };
    return kind === "table" ? readTable(text) : readLists(text, kind);
  } catch (error) {
    return { names: [], says: "", wrong: (error as Error).message };
  }
}

function readLists(text: string, kind: "grid" | "zip"): Written {
  const parameters: Record<string, string[]> = {};
  for (const line of text.split("\n").filter((one) => one.trim())) {
    const at = line.indexOf("=");
    const name = line.slice(0, at).trim();
    if (at < 0 || !NAME.test(name)) throw new Error(`“${line.trim().slice(0, 40)}”: write for example n = 1, 2, 3`);
    const values = spread(line.slice(at + 1).trim());
    if (!values.length) throw new Error(`${name} has no values yet`);
    parameters[name] = [...(parameters[name] ?? []), ...values];
  }
  const lengths = Object.values(parameters).map((values) => values.length);
  if (kind === "zip" && new Set(lengths).size > 1) throw new Error("Lists side by side must be of one length.");
  const count = kind === "zip" ? (lengths[0] ?? 0) : lengths.reduce((product, length) => product * length, 1);
  const each = Object.entries(parameters).map(([name, values]) => `${name} (${values.length.toLocaleString("en")})`);
  const sweep: Sweep = kind === "zip" ? { parameters, method: "zip" } : { parameters };
  return { sweep, names: Object.keys(parameters), says: `${tasks(count)}: ${each.join(kind === "zip" ? " + " : " × ")}`, wrong: "" };
}

function readTable(text: string): Written {
  const first = text.split("\n").find((line) => line.trim()) ?? "";
  const separator = ["\t", ";", ","].reduce((best, one) => (first.split(one).length > first.split(best).length ? one : best), ",");
  const rows = parseTable(text, separator, MOST_VALUES).filter((row) => row.some((cell) => cell.trim()));
  const names = (rows[0] ?? []).map((cell) => cell.trim());
  const unfit = names.find((name) => !NAME.test(name));
  if (unfit !== undefined) throw new Error(`“${unfit.slice(0, 40)}” cannot be a parameter's name: letters, digits and _ only.`);
  const ragged = rows.findIndex((row) => row.length !== names.length);
  if (ragged > 0) throw new Error(`Row ${ragged + 1} has ${rows[ragged]?.length} cells, the header ${names.length}.`);
  if (rows.length < 2) throw new Error("The first row names the parameters; there are no others yet.");
  return { sweep: { table: PASTED }, table: text, names, says: `${tasks(rows.length - 1)}, with ${names.join(", ")}`, wrong: "" };
}

/** `1, 2, 5..8`, `0..1..0.25`; commas in double quotes are no separators. */
export function spread(text: string): string[] {
  const cells = parseTable(text.replace(/("(?:[^"]|"")*")|,\s+/g, (_, quoted?: string) => quoted ?? ","), ",", 1)[0] ?? [];
  return cells.flatMap((cell) => range(cell.trim()));
}

function range(cell: string): string[] {
  const found = RANGE.exec(cell);
  if (!found) return [cell];
  const places = Math.max(...found.slice(1).map((part) => (part ?? "").split(".")[1]?.length ?? 0));
  const [first, last] = [Number(found[1]), Number(found[2])];
  const step = found[3] === undefined ? Math.sign(last - first) || 1 : Number(found[3]);
  const count = Math.floor((last - first) / step + 1e-9) + 1;
  if (!step || count < 1) throw new Error(`${cell} never gets to its end.`);
  if (count > MOST_VALUES) throw new Error(`${cell} are too many values.`);
  return Array.from({ length: count }, (_, index) => (first + step * index).toFixed(places));
}

function tasks(count: number): string {
  return count === 1 ? "1 task" : `${count.toLocaleString("en")} tasks`;
}

/** Write a sweep of an earlier job back into the form. */
export function show(sweep: Sweep): void {
  const kind = sweep.files ? "files" : sweep.table ? "table" : sweep.method === "zip" ? "zip" : "grid";
  byId<HTMLSelectElement>("sweep-kind").value = kind;
  const quoted = (value: unknown) => (/[",\n]|\.\./.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : String(value));
  const lists = Object.entries(sweep.parameters ?? {}).map(([name, values]) => `${name} = ${values.map(quoted).join(", ")}`);
  byId<HTMLTextAreaElement>("sweep-text").value = sweep.files ?? lists.join("\n");
  byId<HTMLInputElement>("max-running").value = String(sweep.max_running ?? "");
  byId<HTMLInputElement>("first-alone").checked = sweep.first_alone ?? false;
}
