// Comma- or tab-separated text as rows (RFC 4180), for a preview: forgiving, and bounded.

export function parseTable(text: string, separator: string, mostRows: number): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  let cell = "";
  let quoted = false;
  for (let i = 0; i < text.length && rows.length < mostRows; i++) {
    const char = text[i] ?? "";
    if (quoted) {
      if (char !== '"') cell += char;
      else if (text[i + 1] === '"') [cell, i] = [`${cell}"`, i + 1];
      else quoted = false;
    } else if (char === '"' && cell === "") quoted = true;
    else if (char === separator) [row, cell] = [[...row, cell], ""];
    else if (char === "\n") {
      rows.push([...row, cell.replace(/\r$/, "")]);
      [row, cell] = [[], ""];
    } else cell += char;
  }
  if (rows.length < mostRows && (cell || row.length)) rows.push([...row, cell]);
  return rows;
}
