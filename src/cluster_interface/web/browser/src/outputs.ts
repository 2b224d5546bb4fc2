// Looking at an output without leaving the page: images, tables and text, all of it inert.
import { API, ask, Refused } from "./api.ts";
import { byId, bytes, make, visible } from "./dom.ts";
import { parseTable } from "./table.ts";

const IMAGE = /\.(png|jpe?g|gif|webp)$/i; // no SVG: that is text here
const TEXT = /\.(txt|log|out|err|md|rst|json|ya?ml|toml|ini|cfg|xml|html?|svg|py|r|sh|pl|jl|c|cpp|h|f90|fa|fasta|fastq|fq|gff3?|bed|vcf|sam|nwk|tex|bib|dat)$/i;
const TABLE = /\.(csv|tsv)$/i;
const MOST_TEXT = 256 * 1024; // bytes
const LARGEST_IMAGE = 20 * 1024 * 1024;
const MOST_ROWS = 200;
const MOST_COLUMNS = 50;

interface File {
  path: string;
  task: string;
  size: number;
}

/** Show the buttons of the files that can be looked at. */
export function offerPreviews(): void {
  for (const row of document.querySelectorAll<HTMLElement>("#outputs tr[data-path]")) {
    const button = row.querySelector<HTMLButtonElement>("[data-preview]");
    if (button) button.hidden = !kind(fileOf(row));
  }
}

export function listenForPreviews(job: string): void {
  document.addEventListener("click", (event) => {
    const button = (event.target as Element).closest<HTMLButtonElement>("[data-preview]");
    const row = button?.closest<HTMLElement>("tr[data-path]");
    if (row) void preview(job, fileOf(row));
  });
  document.addEventListener("htmx:after:swap", offerPreviews);
  offerPreviews();
}

function fileOf(row: HTMLElement): File {
  return { path: row.dataset.path ?? "", task: row.dataset.task ?? "0", size: Number(row.dataset.size) };
}

function kind(file: File): "image" | "table" | "text" | null {
  if (IMAGE.test(file.path)) return file.size <= LARGEST_IMAGE ? "image" : null;
  if (TABLE.test(file.path)) return "table";
  return TEXT.test(file.path) || !/\.[^/]*$/.test(file.path) ? "text" : null;
}

async function preview(job: string, file: File): Promise<void> {
  const path = `/jobs/${job}/outputs/${file.path.split("/").map(encodeURIComponent).join("/")}?task=${file.task}&preview=1`;
  const body = byId("preview-body");
  byId("preview-title").textContent = visible(file.path);
  byId("preview-note").textContent = "";
  body.replaceChildren("Reading…");
  byId<HTMLDialogElement>("preview").showModal();
  try {
    body.replaceChildren(kind(file) === "image" ? picture(path, file) : await readable(path, file));
  } catch (error) {
    body.replaceChildren(error instanceof Refused ? error.message : "This file cannot be shown; download it instead.");
  }
}

function picture(path: string, file: File): HTMLElement {
  const image = make("img", { src: API + path, alt: visible(file.path) });
  image.addEventListener("error", () => image.replaceWith("This is not an image that can be shown; download it instead."));
  byId("preview-note").textContent = bytes(file.size);
  return image;
}

async function readable(path: string, file: File): Promise<HTMLElement> {
  const text = await beginning(path);
  const cut = file.size > MOST_TEXT;
  byId("preview-note").textContent = cut ? `The first ${bytes(MOST_TEXT)} of ${bytes(file.size)}.` : bytes(file.size);
  if (text.includes("\0")) return make("p", {}, "This is not text; download it instead.");
  if (kind(file) === "table") return table(text, file);
  return make("pre", {}, text.replaceAll("\r\n", "\n").split(/([\n\t])/).map((part) => (/[\n\t]/.test(part) ? part : visible(part))).join(""));
}

/** Read the first bytes and hang up: an output may be terabytes. */
async function beginning(path: string): Promise<string> {
  const stop = new AbortController();
  const response = await ask(path, { signal: stop.signal, headers: { Range: `bytes=0-${MOST_TEXT - 1}` } });
  const reader = response.body?.getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (let read = 0; reader && read < MOST_TEXT; ) {
    const { done, value } = await reader.read();
    if (done) break;
    text += decoder.decode(value.subarray(0, MOST_TEXT - read), { stream: true });
    read += value.byteLength;
  }
  stop.abort();
  return text;
}

function table(text: string, file: File): HTMLElement {
  const rows = parseTable(text, /\.tsv$/i.test(file.path) ? "\t" : ",", MOST_ROWS + 1);
  const [head = [], ...rest] = rows.map((row) => row.slice(0, MOST_COLUMNS).map(visible));
  if (rest.length >= MOST_ROWS) byId("preview-note").textContent += ` The first ${MOST_ROWS} rows.`;
  return make(
    "table",
    {},
    make("thead", {}, make("tr", {}, ...head.map((cell) => make("th", { scope: "col" }, cell)))),
    make("tbody", {}, ...rest.map((row) => make("tr", {}, ...row.map((cell) => make("td", {}, cell))))),
  );
}
