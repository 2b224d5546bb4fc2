// Links for people without an account: made for a file or a folder, copied, listed, taken back.
import { ask, askJson, Refused } from "./api.ts";
import { byId, make, say, visible } from "./dom.ts";

interface Link {
  id: string;
  path: string;
  expires: number;
  most: number | null;
  downloads: number;
  url: string;
}

export function listenForSharing(job: string): void {
  const dialog = byId<HTMLDialogElement>("share");
  const form = byId<HTMLFormElement>("share-form");
  const url = byId<HTMLInputElement>("share-url");
  let place = "";
  const offer = () => {
    for (const button of document.querySelectorAll<HTMLButtonElement>("[data-share]")) button.hidden = false;
  };
  document.addEventListener("htmx:after:swap", offer);
  offer();
  document.addEventListener("click", (event) => {
    const button = (event.target as Element).closest<HTMLButtonElement>("[data-share]");
    if (!button) return;
    place = button.dataset.share ?? "";
    byId("share-what").textContent = place ? visible(place) : "all outputs";
    byId("share-made").hidden = true;
    form.hidden = false;
    say(byId("share-error"), "");
    dialog.showModal();
    void trying(() => list(job));
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const data = new FormData(form);
    const most = Number(data.get("most")) || null;
    void trying(async () => {
      const made = await askJson<Link>(`/jobs/${job}/links`, "POST", { path: place, expires: data.get("expires"), most });
      form.hidden = true;
      byId("share-made").hidden = false;
      url.value = made.url;
      url.select();
      await list(job);
    });
  });
  byId("share-copy").addEventListener("click", () => void copy(url));
}

async function copy(field: HTMLInputElement): Promise<void> {
  field.select();
  try {
    await navigator.clipboard.writeText(field.value);
    byId("share-copied").textContent = "Copied.";
  } catch {
    byId("share-copied").textContent = "Copy it with Ctrl+C: the browser does not let a page do that here.";
  }
}

async function list(job: string): Promise<void> {
  const { links } = await askJson<{ links: Link[] }>(`/jobs/${job}/links`);
  byId("share-links").hidden = links.length === 0;
  const items = links.map((link) => {
    const until = new Date(link.expires * 1000).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
    const count = `${link.downloads}${link.most === null ? "" : ` of ${link.most}`} download${link.downloads === 1 && link.most === null ? "" : "s"}`;
    const name = link.path ? visible(link.path) : "all outputs";
    const button = make("button", { type: "button", class: "plain", "aria-label": `Take back the link to ${name}` }, "Take back");
    button.addEventListener("click", () => {
      void trying(async () => {
        await ask(`/jobs/${job}/links/${link.id}`, { method: "DELETE" });
        await list(job);
      });
    });
    return make("li", {}, make("span", {}, name, make("small", { class: "quiet" }, ` until ${until}, ${count}`)), button);
  });
  byId("share-links").querySelector("ul")?.replaceChildren(...items);
}

async function trying(work: () => Promise<void>): Promise<void> {
  try {
    say(byId("share-error"), "");
    await work();
  } catch (error) {
    say(byId("share-error"), error instanceof Refused ? error.message : "That did not work. Try again.");
  }
}
