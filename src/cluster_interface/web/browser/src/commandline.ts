// A script's arguments as words <-> the values of its options. Words that no option explains stay where they are.
import type { Option } from "./wire.ts";

type Span = [start: number, end: number];

/** What a command line says: the values of each option (a flag's is its name), and where they stand. */
export interface Reading {
  command: string; // the subcommand that is chosen, "" for none: `remote add` is `add` of `remote`
  values: Map<Option, string[]>;
  spans: Map<Option, Span[]>;
  places: Option[]; // the positional options that count here, in order
  levels: Map<string, number>; // each command on the way to the chosen one -> its first place
  last: number; // where `--` stands; the number of words where there is none
}

/** The option that chooses among the subcommands of a command. */
export function chooser(options: Option[], command = ""): Option | undefined {
  const below = new Set(options.flatMap((one) => one.command.split(" ").map((_, end, parts) => parts.slice(0, end + 1).join(" "))));
  return options.find((one) => one.positional && one.command === command && one.choices.some((choice) => below.has(`${command} ${choice}`.trim())));
}

/** Whether an option is one of the chosen command's, or of those on the way to it. */
export function counts(option: Option, command: string): boolean {
  return option.command === "" || `${command} `.startsWith(`${option.command} `);
}

/** Read words as argparse, click and their like do, as far as the options are known. */
export function read(words: string[], options: Option[]): Reading {
  const places = options.filter((one) => one.positional && !one.command);
  const found: Reading = { command: "", values: new Map(), spans: new Map(), places, levels: new Map([["", 0]]), last: words.length };
  const loose: number[] = []; // words by their place
  for (let at = 0; at < words.length; ) {
    const word = words[at] ?? "";
    const option = at < found.last ? named(word, options, found.command) : undefined;
    if (word === "--" && found.last === words.length) found.last = at++;
    else if (option) at = take(found, option, words, at);
    else {
      if (at > found.last || !isName(word)) {
        descend(found, options, word, loose.length);
        loose.push(at);
      }
      at++;
    }
  }
  share(found, words, loose);
  return found;
}

/** Where a word chooses a subcommand, go on with that one's places. */
function descend(found: Reading, options: Option[], word: string, place: number): void {
  const choice = chooser(options, found.command);
  if (!choice || found.places[place] !== choice) return;
  found.command = `${found.command} ${word}`.trim();
  found.levels.set(found.command, place + 1);
  found.places.splice(place + 1, 0, ...options.filter((one) => one.positional && one.command === found.command));
}

/** The words with an option's values changed (none: it goes). What must be before it and is not yet stands there by its name. */
export function put(words: string[], options: Option[], option: Option, values: string[]): string[] {
  const found = read(words, options);
  const before = found.places.slice(0, Math.max(0, found.places.indexOf(option)));
  const gap = before.find((one) => !found.spans.has(one));
  if (gap && values.length) return put(put(words, options, gap, [stand(gap)]), options, option, values);
  const after = found.places.slice(found.places.indexOf(option) + 1).some((one) => found.spans.has(one));
  const fresh = values.length ? written(option, values) : option.positional && after ? [stand(option)] : [];
  const spans = found.spans.get(option) ?? [];
  const changed = [...words];
  for (const [start, end] of [...spans].reverse()) changed.splice(start, end - start);
  changed.splice(spans[0]?.[0] ?? room(found, option, options), 0, ...fresh);
  return changed;
}

/** What stands for a value that only a person knows: TABLE for `table`. */
export function stand(option: Option): string {
  return option.default ?? option.choices[0] ?? option.name.replace(/^-+/, "").toUpperCase().replaceAll("-", "_");
}

/** Whether a value only stands for one that is still to come. */
export function isOpen(option: Option, values: string[] | undefined): boolean {
  return values?.length === 1 && option.default === null && !option.choices.length && !option.flag && values[0] === stand(option);
}

/** Whether an option has fewer values, or more, than it takes. */
export function isUneven(option: Option, values: string[] | undefined): boolean {
  if (!option.count || !values?.length) return false;
  return option.repeat ? values.length % option.count !== 0 : values.length !== option.count;
}

function isName(word: string): boolean {
  return /^-[^\d.]/.test(word);
}

function named(word: string, options: Option[], command: string): Option | undefined {
  const name = word.startsWith("--") ? (word.split("=")[0] ?? word) : word;
  const mine = options.filter((one) => !one.positional && counts(one, command) && (one.name === name || one.aliases.includes(name)));
  return mine.sort((a, b) => b.command.length - a.command.length)[0]; // the nearest command's
}

function take(found: Reading, option: Option, words: string[], at: number): number {
  const word = words[at] ?? "";
  let end = at + 1;
  let values = [option.name];
  if (word.startsWith("--") && word.includes("=")) values = [word.slice(word.indexOf("=") + 1)];
  else if (!option.flag) {
    const most = option.count || (option.many && !option.repeat ? words.length : 1);
    const goesOn = (word: string) => most === 1 || (!isName(word) && word !== "--");
    while (end < words.length && end <= at + most && goesOn(words[end] ?? "")) end++;
    values = words.slice(at + 1, end);
  }
  const earlier = option.repeat ? (found.values.get(option) ?? []) : [];
  found.values.set(option, [...earlier, ...values]);
  found.spans.set(option, [...(found.spans.get(option) ?? []), [at, end]]);
  return end;
}

/** Give each positional option its word; one that takes many leaves enough for those after it. */
function share(found: Reading, words: string[], loose: number[]): void {
  found.places.forEach((option, index) => {
    const wanted = found.places.slice(index + 1).filter((one) => one.required || one.command).length;
    const mine = loose.splice(0, option.count || (option.many ? Math.max(Math.min(1, loose.length), loose.length - wanted) : 1));
    if (!mine.length) return;
    found.values.set(option, mine.map((at) => words[at] ?? ""));
    found.spans.set(option, mine.map((at): Span => [at, at + 1]));
  });
}

function written(option: Option, values: string[]): string[] {
  if (option.positional) return values;
  if (option.flag) return [option.name];
  if (option.joined) return values.map((value) => `${option.name}=${value}`);
  const one = (value: string) => (isName(value) && option.name.startsWith("--") ? [`${option.name}=${value}`] : [option.name, value]);
  if (option.repeat && option.count) return chunks(values, option.count).flatMap((each) => [option.name, ...each]);
  return option.repeat || values.length === 1 ? values.flatMap(one) : [option.name, ...values];
}

function chunks(values: string[], size: number): string[][] {
  return values.length ? [values.slice(0, size), ...chunks(values.slice(size), size)] : [];
}

/** Where an option goes that is not there yet: names before places, and what takes all that follows at the end. */
function room(found: Reading, option: Option, options: Option[]): number {
  const index = found.places.indexOf(option);
  const before = found.spans.get(found.places[index - 1] as Option)?.at(-1);
  if (before) return before[1];
  const open = options.filter((one) => one.many && !one.repeat && !one.count && !one.positional);
  if (open.includes(option)) return found.last;
  const beyond = found.places.slice(found.levels.get(option.command) ?? 0);
  return Math.min(index < 0 ? found.last : found.last + 1, ...starts(found, index < 0 ? beyond : found.places.slice(index)), ...starts(found, open));
}

function starts(found: Reading, options: Option[]): number[] {
  return options.flatMap((one) => found.spans.get(one)?.[0]?.[0] ?? []);
}
