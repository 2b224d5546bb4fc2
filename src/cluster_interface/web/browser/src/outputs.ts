// Looking at an output without leaving the page. The server says what is in it; here it becomes text, cells and
// pictures, all of it inert: nothing that comes from a file is ever parsed as HTML.
import { API, askJson, Refused } from "./api.ts";
import { byId, bytes, make, visible, visibleLines } from "./dom.ts";

interface File {
  path: string;
  task: string;
  size: number;
}

interface Part {
  kind: "markdown" | "code" | "output" | "error" | "image" | "note" | "sheet";
  text: string;
  image: string;
  rows: string[][];
}

interface Preview {
  kind: "text" | "table" | "image" | "pdf" | "parts" | "none";
  type: string;
  size: number;
  text: string;
  offset: number;
  length: number;
  rows: string[][];
  parts: Part[];
  note: string;
}

const PIECE = 256 * 1024; // bytes of text that the server shows at once
const TITLES = { markdown: "", code: "Code", output: "Output", error: "Error", image: "Picture", note: "", sheet: "Sheet" };

let asked = 0; // only the newest question's answer is shown

/** Show the buttons of the files that can be looked at. */
export function offerPreviews(): void {
  for (const button of document.querySelectorAll<HTMLButtonElement>("#outputs [data-preview]")) button.hidden = false;
}

export function listenForPreviews(job: string): void {
  document.addEventListener("click", (event) => {
    const target = event.target as Element;
    const button = target.closest<HTMLButtonElement>("[data-preview]");
    const row = button?.closest<HTMLElement>("tr[data-path]");
    if (row) {
      byId<HTMLDialogElement>("preview").showModal();
      void preview(job, fileOf(row));
    }
  });
  document.addEventListener("htmx:after:swap", offerPreviews);
  offerPreviews();
}

function fileOf(row: HTMLElement): File {
  return { path: row.dataset.path ?? "", task: row.dataset.task ?? "0", size: Number(row.dataset.size) };
}

async function preview(job: string, file: File, offset?: number): Promise<void> {
  const mine = ++asked;
  const path = file.path.split("/").map(encodeURIComponent).join("/");
  const body = byId("preview-body");
  byId("preview-title").textContent = visible(file.path);
  byId("preview-title").title = visible(file.path);
  byId<HTMLAnchorElement>("preview-download").href = `${API}/jobs/${job}/outputs/${path}?task=${file.task}`;
  byId("preview-note").textContent = "";
  body.replaceChildren("Reading…");
  try {
    const from = offset === undefined ? "" : `&offset=${offset}`;
    const seen = await askJson<Preview>(`/jobs/${job}/preview/${path}?task=${file.task}${from}`);
    if (mine !== asked) return;
    const bytesAt = `/jobs/${job}/outputs/${path}?task=${file.task}`;
    const drawn = seen.kind === "parts" ? await parts(seen.parts) : shown(seen, file, bytesAt, (to) => void preview(job, file, to));
    if (mine !== asked) return;
    body.replaceChildren(...drawn);
    byId("preview-note").textContent = [bytes(seen.size), seen.note].filter(Boolean).join(". ");
    if (seen.kind === "pdf") await drawPdf(bytesAt, body);
    const atEnd = seen.kind === "text" && seen.offset > 0 && seen.offset + seen.length >= seen.size;
    body.scrollTop = atEnd ? body.scrollHeight : 0;
  } catch (error) {
    if (mine === asked) body.replaceChildren(error instanceof Refused ? error.message : "This file cannot be shown; download it instead.");
  }
}

function shown(seen: Preview, file: File, bytesAt: string, go: (offset: number) => void): (HTMLElement | string)[] {
  switch (seen.kind) {
    case "image":
      return [picture(`${API}${bytesAt}&preview=1`, file.path)];
    case "table":
      return [table(seen.rows)];
    case "text":
      return [...steps(seen, go), seen.size === 0 ? make("p", { class: "quiet" }, "This file is empty.") : make("pre", {}, lines(whole(seen)))];
    case "pdf":
      return ["Drawing…"];
    default:
      return [make("p", {}, seen.note)];
  }
}

/** A part of a text, with a mark where it begins or ends within a line. */
function whole(seen: Preview): string {
  const end = seen.offset + seen.length;
  return `${seen.offset > 0 ? "… " : ""}${seen.text}${end < seen.size && !seen.text.endsWith("\n") ? " …" : ""}`;
}

/** The way through a text that is longer than what is shown at once. */
function steps(seen: Preview, go: (offset: number) => void): HTMLElement[] {
  const end = seen.offset + seen.length;
  if (seen.offset === 0 && end >= seen.size) return [];
  const step = (name: string, to: number, there: boolean) => {
    const button = make("button", { type: "button", class: "plain", disabled: !there }, name);
    button.addEventListener("click", () => go(to));
    return button;
  };
  const where = `${bytes(seen.offset)} to ${bytes(end)}`;
  return [
    make(
      "div",
      { class: "steps", role: "group", "aria-label": "Which part" },
      step("Beginning", 0, seen.offset > 0),
      step("Earlier", Math.max(0, seen.offset - PIECE), seen.offset > 0),
      make("span", { class: "quiet" }, where),
      step("Later", end, end < seen.size),
      step("End", -PIECE, end < seen.size),
    ),
  ];
}

function picture(source: string, name: string): HTMLElement {
  const image = make("img", { src: source, alt: visible(name) });
  image.addEventListener("error", () => image.replaceWith("This is not an image that can be shown; download it instead."));
  return image;
}

/** A notebook's cells or a workbook's sheets. What lays texts out and colours code is fetched only for these. */
async function parts(items: Part[]): Promise<HTMLElement[]> {
  const { notebook = "" } = byId("preview").dataset;
  const { markdown, python } = (await import(notebook)) as typeof import("./notebook.ts");
  return items.map((item) => {
    const inside = () => {
      if (item.kind === "image") return picture(item.image, item.text || "a picture");
      if (item.kind === "sheet") return table(item.rows);
      if (item.text.length > PIECE) return make("pre", {}, lines(item.text)); // what is so long is not laid out
      if (item.kind === "markdown") return markdown(item.text);
      return item.kind === "code" ? python(item.text) : make("pre", {}, lines(item.text));
    };
    const title = item.kind === "sheet" ? visible(item.text) : TITLES[item.kind];
    return make("div", { class: `part part-${item.kind}` }, ...(title ? [make("p", { class: "quiet" }, title)] : []), inside());
  });
}

/** Text with its line breaks and tabs; colours of a terminal are left out, other controls are shown as what they are. */
function lines(text: string): string {
  return visibleLines(text.replaceAll("\r\n", "\n").replace(/\x1b\[[0-9;:]*m/g, ""));
}

function table(rows: string[][]): HTMLElement {
  const [head = [], ...rest] = rows;
  return make(
    "table",
    {},
    make("thead", {}, make("tr", {}, ...head.map((cell) => make("th", { scope: "col" }, visible(cell))))),
    make("tbody", {}, ...rest.map((row) => make("tr", {}, ...row.map((cell) => make("td", cell.length > 60 ? { title: visible(cell) } : {}, visible(cell)))))),
  );
}

async function drawPdf(bytesAt: string, body: HTMLElement): Promise<void> {
  const { pdf = "", worker = "" } = byId("preview").dataset;
  const { drawPdf: draw } = (await import(pdf)) as typeof import("./pdf.ts");
  byId("preview-note").textContent += `. ${await draw(API + bytesAt, worker, body)}`;
}
