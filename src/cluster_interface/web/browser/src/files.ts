// The files a person picks or drops, by the name they will have in the job.

export interface Entry {
  name: string;
  file?: File; // to be uploaded
  source?: string; // or where it already is
  more?: Record<string, unknown>; // what an earlier spec says of it
}

const MOST_FILES = 5000;
const LONGEST_TEXT = 1024 * 1024; // bytes of one file that inspection reads
const LONGEST_NOTEBOOK = 64 * 1024 * 1024; // bytes of one that is read for what it needs, without what it shows
const MOST_TEXT = 8 * 1024 * 1024; // bytes in all
const LEFT_OUT = new Set([".git", ".hg", ".svn", "__pycache__", ".venv", "venv", "node_modules", ".ipynb_checkpoints", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".DS_Store"]);

/** What was picked, and a sentence about what was left out ("" for nothing). */
export interface Picked {
  entries: Entry[];
  note: string;
}

export function fromInput(files: FileList): Picked {
  return gather([...files].map((file) => ({ name: file.webkitRelativePath || file.name, file })));
}

/** What was picked for an argument: a folder's files lie in it as they do there, below its own name. */
export function forArgument(files: FileList): Picked {
  return gather([...files].map((file) => ({ name: file.webkitRelativePath || file.name, file })), true);
}

/** Read what was dropped, folders included. Must be called within the drop event. */
export async function fromDrop(transfer: DataTransfer): Promise<Picked> {
  const roots = [...transfer.items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  if (!roots.length) return fromInput(transfer.files); // a browser, or a source, without entries
  const found: { name: string; file: File }[] = [];
  for (const root of roots) await walk(root, root.name, found);
  return gather(found);
}

async function walk(entry: FileSystemEntry, name: string, found: { name: string; file: File }[]): Promise<void> {
  if (found.length > MOST_FILES || LEFT_OUT.has(entry.name)) return;
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
    found.push({ name, file });
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return;
    for (const inner of some) await walk(inner, `${name}/${inner.name}`, found);
  }
}

/** Leave out what no job needs and, unless it is kept, the name of the one folder that holds everything. */
function gather(found: { name: string; file: File }[], keepTop = false): Picked {
  const kept = found.filter(({ name }) => !name.split("/").some((part) => LEFT_OUT.has(part)));
  const some = kept.slice(0, MOST_FILES);
  const tops = new Set(some.map(({ name }) => name.split("/")[0]));
  const inFolder = !keepTop && tops.size === 1 && some.every(({ name }) => name.includes("/"));
  const entries = some.map(({ name, file }) => ({ name: inFolder ? name.slice(name.indexOf("/") + 1) : name, file }));
  const notes = [];
  if (kept.length < found.length) notes.push(`${found.length - kept.length} files of version control, caches or environments were left out.`);
  if (kept.length > some.length) notes.push(`Only the first ${MOST_FILES} files were taken: give large data by its path on the cluster instead.`);
  return { entries, note: notes.join(" ") };
}

/** The text of every file that is text and small; null for the others, of which only the name counts. */
export async function texts(entries: Iterable<Entry>): Promise<Record<string, string | null>> {
  const read: Record<string, string | null> = {};
  let total = 0;
  for (const entry of entries) {
    read[entry.name] = null;
    const notebook = entry.name.endsWith(".ipynb");
    if (!entry.file || entry.file.size > (notebook ? LONGEST_NOTEBOOK : LONGEST_TEXT)) continue;
    if (!notebook && total + entry.file.size > MOST_TEXT) continue;
    const text = decode(await entry.file.arrayBuffer());
    const kept = notebook && text !== null && text.length > LONGEST_TEXT ? withoutOutputs(text) : text;
    if (kept === null || total + kept.length > MOST_TEXT) continue;
    total += kept.length;
    read[entry.name] = kept;
  }
  return read;
}

/** A notebook without what its cells showed, which is what makes it large; null where it is none. */
export function withoutOutputs(text: string): string | null {
  try {
    const notebook = JSON.parse(text) as { cells: object[] };
    return JSON.stringify({ ...notebook, cells: notebook.cells.map((cell) => ({ ...cell, outputs: [], attachments: {} })) });
  } catch {
    return null;
  }
}

function decode(data: ArrayBuffer): string | null {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(data);
    return text.includes("\0") ? null : text;
  } catch {
    const text = new TextDecoder("latin1").decode(data); // as people wrote before UTF-8
    return /[\0-\x08\x0e-\x1a\x1c-\x1f\x7f]/.test(text) ? null : text;
  }
}
