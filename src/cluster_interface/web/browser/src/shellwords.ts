// Arguments as a person types them <-> a list of words (POSIX shell quoting, without expansion).

/** Split a line into words; throws a sentence where a quote is left open. */
export function split(line: string): string[] {
  const words: string[] = [];
  let word: string | null = null;
  for (let i = 0; i < line.length; i++) {
    const char = line[i] ?? "";
    if (/\s/.test(char)) {
      if (word !== null) words.push(word);
      word = null;
    } else if (char === "'") {
      const end = line.indexOf("'", i + 1);
      if (end < 0) throw new Error("There is a ' that is not closed.");
      word = (word ?? "") + line.slice(i + 1, end);
      i = end;
    } else if (char === '"') {
      let inside = "";
      for (i++; i < line.length && line[i] !== '"'; i++) {
        const escaped = line[i] === "\\" && /["\\$`\n]/.test(line[i + 1] ?? "");
        if (escaped) i++;
        if (!escaped || line[i] !== "\n") inside += line[i];
      }
      if (i >= line.length) throw new Error('There is a " that is not closed.');
      word = (word ?? "") + inside;
    } else if (char === "\\" && line[i + 1] === "\n") {
      i++; // the line goes on
    } else if (char === "\\" && i + 1 < line.length) {
      word = (word ?? "") + (line[++i] ?? "");
    } else word = (word ?? "") + char;
  }
  if (word !== null) words.push(word);
  return words;
}

export function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`;
}

export function join(words: string[]): string {
  return words.map(quote).join(" ");
}
