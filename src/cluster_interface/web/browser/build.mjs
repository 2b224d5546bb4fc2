// Bundles the pages' code into ../static; with --test, the modules' tests into build/test.
import { copyFile, mkdir, readdir } from "node:fs/promises";
import { build } from "esbuild";

if (process.argv.includes("--test")) {
  const names = (await readdir("test")).filter((name) => name.endsWith(".test.ts"));
  await build({
    entryPoints: names.map((name) => `test/${name}`),
    outdir: "build/test",
    bundle: true,
    format: "esm",
    platform: "node",
  });
} else {
  const target = ["chrome109", "firefox115", "safari16.4"];
  await mkdir("../static", { recursive: true });
  // One bundle for every page, and those that are fetched when they are wanted.
  const entryPoints = { pages: "src/pages.ts", notebook: "src/notebook.ts", pdf: "src/pdf.ts", sums: "src/sums.worker.ts" };
  await build({ entryPoints, outdir: "../static", bundle: true, minify: true, format: "esm", target, legalComments: "eof" });
  await copyFile("node_modules/pdfjs-dist/legacy/build/pdf.worker.min.mjs", "../static/pdf.worker.js");
  await build({ entryPoints: { pages: "src/pages.css" }, outdir: "../static", bundle: true, minify: true, target });
  await copyFile("src/icon.svg", "../static/icon.svg");
}
