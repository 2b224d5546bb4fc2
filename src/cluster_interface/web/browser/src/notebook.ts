// A notebook's texts laid out and its code coloured. Both are read into tokens of which elements are made here, of a
// fixed set of kinds and with text in them: nothing that comes from the file is ever parsed as HTML.
import { classHighlighter, highlightCode } from "@lezer/highlight";
import { parser } from "@lezer/python";
import MarkdownIt from "markdown-it";
import { make, visible, visibleLines } from "./dom.ts";

const reader = new MarkdownIt("default", { html: false, linkify: false });
type Token = ReturnType<typeof reader.parse>[number];

const KINDS = new Set(["p", "blockquote", "ul", "ol", "li", "em", "strong", "s", "table", "thead", "tbody", "tr", "th", "td"] as const);
const SAFE = /^(https?|mailto):/i;
const BELOW = 2; // a first heading is one below the preview's own title

type Kind = typeof KINDS extends Set<infer K> ? K : never;

/** Lay out a text of Markdown (CommonMark and tables); HTML, pictures from elsewhere and odd links stay text. */
export function markdown(text: string): HTMLElement {
  const top = make("div", { class: "prose" });
  build(top, reader.parse(text, {}));
  return top;
}

/** Colour a text of Python. */
export function python(text: string): HTMLElement {
  const code = make("code");
  const put = (piece: string, classes: string) => code.append(classes ? make("span", { class: classes }, visible(piece)) : visibleLines(piece));
  highlightCode(text, parser.parse(text), classHighlighter, put, () => code.append("\n"));
  return make("pre", {}, code);
}

function build(top: HTMLElement, tokens: Token[]): void {
  let here: HTMLElement = top;
  for (const token of tokens) {
    if (token.hidden) continue; // the paragraphs of tight lists
    if (token.nesting === 1) here = here.appendChild(opened(token));
    else if (token.nesting === -1) here = here.parentElement ?? top;
    else if (token.type === "inline") build(here, token.children ?? []);
    else here.append(leaf(token));
  }
}

function opened(token: Token): HTMLElement {
  const heading = /^h([1-6])$/.exec(token.tag);
  if (heading) return make(`h${Math.min(6, Number(heading[1]) + BELOW)}` as "h3");
  if (token.tag === "a") return link(token);
  return KINDS.has(token.tag as Kind) ? make(token.tag as Kind) : make("span");
}

function link(token: Token): HTMLElement {
  const address = String(token.attrGet("href") ?? "");
  if (!SAFE.test(address)) return make("span", { title: visible(address) });
  return make("a", { href: address, title: visible(address), target: "_blank", rel: "noopener noreferrer" });
}

function leaf(token: Token): Node | string {
  switch (token.type) {
    case "fence":
    case "code_block":
      return make("pre", {}, make("code", {}, visibleLines(token.content)));
    case "code_inline":
      return make("code", {}, visible(token.content));
    case "hardbreak":
      return make("br");
    case "softbreak":
      return "\n";
    case "hr":
      return make("hr");
    case "image":
      return make("span", { class: "quiet", title: visible(String(token.attrGet("src") ?? "").slice(0, 200)) }, `[picture${token.content && `: ${visible(token.content)}`}]`);
    default:
      return visible(token.content);
  }
}
