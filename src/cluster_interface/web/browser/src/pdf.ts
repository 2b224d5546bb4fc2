// The first pages of a PDF, drawn as pictures by pdf.js: no script in it runs, no link in it can be followed.
import { getDocument, GlobalWorkerOptions } from "pdfjs-dist/legacy/build/pdf.mjs";
import { make } from "./dom.ts";

const MOST_PAGES = 20;
const WIDEST = 900; // CSS pixels

/** Draw into `body`; returns a sentence about what is not shown. Throws for what is no PDF. */
export async function drawPdf(url: string, worker: string, body: HTMLElement): Promise<string> {
  GlobalWorkerOptions.workerSrc = worker;
  const task = getDocument({ url, withCredentials: true, disableFontFace: true, enableXfa: false, useWasm: false, useWorkerFetch: false });
  const pdf = await task.promise;
  body.replaceChildren();
  const shown = Math.min(pdf.numPages, MOST_PAGES);
  for (let number = 1; number <= shown; number++) {
    const page = await pdf.getPage(number);
    const plain = page.getViewport({ scale: 1 });
    const scale = Math.min(3, (WIDEST / plain.width) * Math.min(2, window.devicePixelRatio));
    const viewport = page.getViewport({ scale });
    const canvas = make("canvas", { role: "img", "aria-label": `Page ${number} of ${pdf.numPages}` });
    canvas.width = Math.floor(viewport.width);
    canvas.height = Math.floor(viewport.height);
    body.append(canvas);
    await page.render({ canvas, viewport }).promise;
  }
  const pages = `${pdf.numPages} page${pdf.numPages === 1 ? "" : "s"}`;
  await task.destroy();
  return shown < pdf.numPages ? `The first ${shown} of ${pages}.` : pages;
}
