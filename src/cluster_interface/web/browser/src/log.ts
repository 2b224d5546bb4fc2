// The live log: two streams, one task at a time, the newest lines, followed until the task has ended.
import { ask, Refused } from "./api.ts";
import { byId, bytes, make, say } from "./dom.ts";
import { Terminal, type Line } from "./terminal.ts";

const TAIL = 256 * 1024; // bytes read of a long log
const MOST_LINES = 5000; // kept on the page
const BEAT = 1500; // milliseconds between looks

type Stream = "out" | "err";

export function showLog(job: string): void {
  const view = new LogView(job);
  view.task = Number(byId("log").dataset.task ?? 0);
  const tabs = [...document.querySelectorAll<HTMLButtonElement>("[data-stream]")];
  for (const tab of tabs) {
    tab.addEventListener("click", () => {
      view.onNothing = null;
      choose(tab);
    });
    tab.addEventListener("keydown", (event) => {
      if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
      const other = tabs.find((item) => item !== tab);
      other?.focus();
      if (other) choose(other);
    });
  }
  function choose(tab: HTMLButtonElement): void {
    for (const item of tabs) {
      item.setAttribute("aria-selected", String(item === tab));
      item.tabIndex = item === tab ? 0 : -1;
    }
    byId("log-text").setAttribute("aria-labelledby", tab.id);
    view.show(tab.dataset.stream as Stream, view.task);
  }
  const task = document.querySelector<HTMLInputElement>("#log-task");
  task?.addEventListener("change", () => view.show(view.stream, Number(task.value)));
  // Why a job failed is more often said among the errors; where nothing is said there, in the output.
  const failed = document.querySelector<HTMLElement>("#live")?.dataset.state === "failed";
  const [out, err] = tabs;
  if (!out || !err) return;
  choose(failed ? err : out);
  view.onNothing = () => choose(failed ? out : err);
}

class LogView {
  stream: Stream = "out";
  task = 0;
  onNothing: (() => void) | null = null; // told once when there is nothing in a log, and something in the other
  private shown = 0; // which call of show() is the present one
  private readonly box = byId("log-text");
  private readonly lines = byId("log-lines");
  private readonly note = byId("log-note");
  private readonly follow = byId<HTMLInputElement>("log-follow");

  constructor(private readonly job: string) {
    this.follow.addEventListener("change", () => this.scroll());
    const save = byId<HTMLButtonElement>("log-save");
    save.addEventListener("click", () => void this.save(save));
    // Scrolling back stops following, scrolling to the end takes it up again.
    this.box.addEventListener("wheel", () => this.notice(), { passive: true });
    this.box.addEventListener("keyup", () => this.notice());
    this.box.addEventListener("touchmove", () => this.notice(), { passive: true });
  }

  show(stream: Stream, task: number): void {
    [this.stream, this.task] = [stream, task];
    this.lines.replaceChildren();
    this.note.textContent = "Reading…";
    void this.run(++this.shown);
  }

  private async run(turn: number): Promise<void> {
    const terminal = new Terminal();
    const decoder = new TextDecoder();
    let offset = -TAIL;
    let cut = false;
    while (turn === this.shown) {
      if (document.hidden) {
        await pause(BEAT);
        continue;
      }
      try {
        const part = await read(this.job, this.stream, this.task, offset);
        if (turn !== this.shown) return;
        cut ||= offset < 0 && part.offset > 0;
        offset = part.offset + part.data.byteLength;
        this.append(terminal, decoder.decode(part.data, { stream: true }));
        this.explain(part.size, cut, part.end);
        if (this.onNothing && part.size === 0 && (await this.otherHasSome())) this.nothing();
        if (part.end || turn !== this.shown) return;
        await pause(offset < part.size ? 0 : BEAT);
      } catch (error) {
        if (turn !== this.shown) return;
        this.note.textContent = error instanceof Refused && error.status === 404 ? "Nothing written yet." : "The log cannot be read just now; it is tried again.";
        await pause(2 * BEAT);
      }
    }
  }

  private append(terminal: Terminal, text: string): void {
    if (!text) return;
    byId("log").removeAttribute("data-quiet");
    const begun = this.lines.querySelector("[data-open]");
    const finished = terminal.feed(text).map((line) => draw(line));
    const open = draw(terminal.open());
    open.dataset.open = "";
    begun?.remove();
    this.lines.append(...finished.slice(-MOST_LINES), ...(open.childNodes.length ? [open] : []));
    while (this.lines.childElementCount > MOST_LINES) this.lines.firstElementChild?.remove();
    this.scroll();
  }

  /** Whether the other stream has something: many programs print how far they are among the errors. */
  private async otherHasSome(): Promise<boolean> {
    const other = await read(this.job, this.stream === "out" ? "err" : "out", this.task, -1);
    return other.size > 0;
  }

  private nothing(): void {
    const told = this.onNothing;
    this.onNothing = null;
    told?.();
  }

  private explain(size: number, cut: boolean, end: boolean): void {
    const trimmed = cut || this.lines.childElementCount >= MOST_LINES;
    const what = size === 0 ? (end ? "It wrote nothing here." : "Nothing written yet.") : `${trimmed ? "The end of " : ""}${bytes(size)}${end ? "." : ", still growing."}`;
    if (this.note.textContent !== what) say(this.note, what);
  }

  /** Hand over everything written so far as a file: the API gives a log in pieces. */
  private async save(button: HTMLButtonElement): Promise<void> {
    if (button.disabled) return;
    button.disabled = true;
    const { stream, task } = this;
    const pieces: ArrayBuffer[] = [];
    try {
      for (let offset = 0, size = 1; offset < size; ) {
        const part = await read(this.job, stream, task, offset);
        if (!part.data.byteLength) break;
        pieces.push(part.data);
        [offset, size] = [part.offset + part.data.byteLength, part.size];
      }
      const address = URL.createObjectURL(new Blob(pieces, { type: "text/plain" }));
      make("a", { href: address, download: `${this.job}.${task}.${stream}.txt` }).click();
      setTimeout(() => URL.revokeObjectURL(address), 60_000);
    } catch {
      this.note.textContent = "The log cannot be read just now. Try again.";
    } finally {
      button.disabled = false;
    }
  }

  private notice(): void {
    this.follow.checked = this.box.scrollHeight - this.box.scrollTop - this.box.clientHeight < 24;
    this.lines.setAttribute("aria-live", this.follow.checked ? "polite" : "off");
  }

  private scroll(): void {
    if (this.follow.checked) this.box.scrollTop = this.box.scrollHeight;
  }
}

function draw(line: Line): HTMLDivElement {
  const element = make("div", { class: "line" });
  for (const piece of line) element.append(piece.style ? make("span", { class: piece.style }, piece.text) : piece.text);
  return element;
}

interface Part {
  data: ArrayBuffer;
  offset: number;
  size: number;
  end: boolean;
}

async function read(job: string, stream: Stream, task: number, offset: number): Promise<Part> {
  const response = await ask(`/jobs/${job}/logs/${stream}?task=${task}&offset=${offset}`);
  const data = await response.arrayBuffer();
  return {
    data,
    offset: Number(response.headers.get("X-Log-Offset") ?? 0),
    size: Number(response.headers.get("X-Log-Size") ?? data.byteLength),
    end: response.headers.get("X-Log-End") === "true",
  };
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
