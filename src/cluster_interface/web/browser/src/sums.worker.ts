// Checksums of files, beside the page and piece by piece: SubtleCrypto wants a whole file in memory.
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";

const PIECE = 4 * 1024 * 1024; // bytes

onmessage = async ({ data: file }: MessageEvent<File>): Promise<void> => {
  try {
    const sum = sha256.create();
    for (let at = 0; at < file.size; at += PIECE) {
      sum.update(new Uint8Array(await file.slice(at, at + PIECE).arrayBuffer()));
      postMessage({ done: Math.min(file.size, at + PIECE) });
    }
    postMessage({ sha256: bytesToHex(sum.digest()) });
  } catch {
    postMessage({ failed: true }); // a rejection here would not reach the page's onerror
  }
};
