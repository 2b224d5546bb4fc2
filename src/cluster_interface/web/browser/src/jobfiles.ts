// The files of a new job: picked, dropped or named by an address; listed, and offered wherever a path is asked for.
import { byId, bytes, make, say, visible } from "./dom.ts";
import { forArgument, fromDrop, fromInput, type Entry, type Picked } from "./files.ts";

const SHOWN = 200; // files listed
const OFFERED = 1000; // names offered where one is asked for

export class JobFiles {
  readonly entries = new Map<string, Entry>();

  constructor(private readonly changed: () => void) {
    for (const id of ["pick-files", "pick-folder"]) {
      const input = byId<HTMLInputElement>(id);
      input.addEventListener("change", () => {
        if (input.files) this.take(fromInput(input.files));
        input.value = "";
      });
    }
    this.listenForDrops();
    byId("address-add").addEventListener("click", () => this.addAddress());
    for (const id of ["address-name", "address-source"]) {
      byId(id).addEventListener("keydown", (event) => {
        if (event.key !== "Enter") return;
        event.preventDefault(); // Enter adds the line; it does not submit the job
        this.addAddress();
      });
    }
  }

  /** The names, as far as they are offered. */
  names(): string[] {
    return [...this.entries.keys()].slice(0, OFFERED);
  }

  add(entry: Entry): void {
    this.entries.set(entry.name, entry);
    this.draw();
    this.changed();
  }

  /** Take what was picked for an argument, and say how that names it: a file, or a folder with all that is in it. */
  pick(files: FileList): string[] {
    const picked = forArgument(files);
    this.take(picked.entries.length ? picked : { entries: [], note: picked.note || "There are no files in that folder." });
    return [...new Set(picked.entries.map(({ name }) => name.split("/")[0] ?? name))];
  }

  /** Take what an earlier job was given. */
  fill(entries: Iterable<Entry>): void {
    for (const entry of entries) this.entries.set(entry.name, entry);
    this.draw();
  }

  /** The folders that they are in. */
  private folders(): string[] {
    const parents = [...this.entries.keys()].flatMap((name) => name.split("/").slice(0, -1).map((_, end, parts) => parts.slice(0, end + 1).join("/")));
    return [...new Set(parents)].slice(0, OFFERED);
  }

  private listenForDrops(): void {
    const drop = byId("drop");
    // The whole page takes a drop: a file let go beside the box must not replace the page.
    document.addEventListener("dragover", (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
    document.addEventListener("dragleave", (event) => {
      if (!event.relatedTarget) drop.classList.remove("over");
    });
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      drop.classList.remove("over");
      if (event.dataTransfer) void fromDrop(event.dataTransfer).then((picked) => this.take(picked));
    });
  }

  private take(picked: Picked): void {
    for (const entry of picked.entries) this.entries.set(entry.name, entry);
    say(byId("files-note"), picked.note);
    this.draw();
    this.changed();
  }

  private addAddress(): void {
    const [name, source] = [byId<HTMLInputElement>("address-name"), byId<HTMLInputElement>("address-source")];
    const text = source.value.trim();
    const known = /^(https?|file|site|job|doi|git|s3|sftp|globus):/.test(text);
    const error = byId("address-error");
    if (!known && !text.startsWith("/")) return say(error, "Write an address that begins with https://, or a path that begins with /.");
    const own = name.value.trim() || (text.split(/[?#]/)[0] ?? "").split(/[/:]/).pop() || "";
    if (!own) return say(error, "Say what the file is to be called in the job.");
    say(error, "");
    name.value = source.value = "";
    this.add({ name: own, source: known ? text : `file:${text}` });
  }

  private draw(): void {
    const all = [...this.entries.values()];
    const rows = all.slice(0, SHOWN).map((entry) => this.row(entry));
    if (all.length > SHOWN) rows.push(make("li", { class: "quiet" }, `and ${all.length - SHOWN} more`));
    byId("files").replaceChildren(...rows);
    byId("job-files").replaceChildren(...this.names().map((name) => make("option", { value: name })));
    byId("job-folders").replaceChildren(...this.folders().map((name) => make("option", { value: name })));
  }

  private row(entry: Entry): HTMLLIElement {
    const remove = make("button", { type: "button", class: "plain", "aria-label": `Remove ${visible(entry.name)}` }, "Remove");
    remove.addEventListener("click", () => {
      this.entries.delete(entry.name);
      this.draw();
      this.changed();
      (byId("files").querySelector("button") ?? byId("pick-files")).focus();
    });
    const about = entry.file ? bytes(entry.file.size) : visible((entry.source ?? "").replace(/^(upload:.*)?$/, "from the earlier job"));
    return make("li", {}, make("bdi", { class: "path" }, visible(entry.name)), make("span", { class: "quiet" }, about), remove);
  }
}
