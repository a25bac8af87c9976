// Texts under judgement: shown piece by piece as plain text, with offsets into the original.
// Offsets count characters (code points), as the server does; JavaScript's own count UTF-16 units.

import { say } from "./words.js";

const MOST_TOGETHER = 500; // pieces in one paragraph: browsers lay out many of them very slowly
const length = (text) => [...text].length;
const pieceEnd = (piece) => piece.start + (piece.hidden ? 1 : length(piece.text));

// Show pieces in `body`; `ranges` are [{start, end, style}] to be highlighted.
export function showText(body, pieces, ranges = []) {
  const all = document.createDocumentFragment(); // one by one: a call takes only so many arguments
  for (let n = 0; n < pieces.length; n += MOST_TOGETHER) {
    const block = pieces.length > MOST_TOGETHER ? all.appendChild(document.createElement("div")) : all;
    for (const piece of pieces.slice(n, n + MOST_TOGETHER)) for (const part of cut(piece, ranges)) block.append(element(part, ranges));
  }
  body.replaceChildren(all);
  body.classList.toggle("empty", pieces.length === 0);
  if (pieces.length === 0) body.textContent = say("emptyText");
}

function cut(piece, ranges) {
  if (piece.hidden) return [piece];
  const end = pieceEnd(piece);
  const inside = ranges.flatMap((range) => [range.start, range.end]).filter((at) => at > piece.start && at < end);
  const cuts = [...new Set([piece.start, ...inside, end])].sort((a, b) => a - b);
  const chars = [...piece.text];
  return cuts.slice(1).map((to, n) => ({
    start: cuts[n], text: chars.slice(cuts[n] - piece.start, to - piece.start).join(""),
  }));
}

function element(piece, ranges) {
  const span = document.createElement("span");
  span.dataset.start = piece.start;
  span.textContent = piece.hidden ? `⟦${piece.hidden}⟧` : piece.text;
  if (piece.hidden) {
    span.dataset.hidden = piece.hidden;
    span.className = "hidden-char";
    span.title = say("hidden", { name: piece.hidden });
  }
  for (const range of ranges) {
    if (range.start <= piece.start && pieceEnd(piece) <= range.end) span.classList.add(range.style);
  }
  return span;
}

// The part of `body` that the user has selected, as {start, end}, or null.
export function selectedSpan(body) {
  const selection = getSelection();
  if (!selection.rangeCount || selection.isCollapsed) return null;
  const range = selection.getRangeAt(0);
  const parts = [...body.querySelectorAll("[data-start]")].map((span) => selectedPart(span, range)).filter(Boolean);
  return parts.length ? { start: parts[0].start, end: parts.at(-1).end } : null;
}

function selectedPart(span, range) {
  const text = span.firstChild;
  if (!range.intersectsNode(text)) return null;
  const from = range.startContainer === text ? range.startOffset : range.comparePoint(text, 0) < 0 ? text.length : 0;
  const to = range.endContainer === text ? range.endOffset : range.comparePoint(text, text.length) > 0 ? 0 : text.length;
  if (from >= to) return null;
  const start = Number(span.dataset.start);
  if (span.dataset.hidden) return { start, end: start + 1 };
  return { start: start + length(text.data.slice(0, from)), end: start + length(text.data.slice(0, to)) };
}

// The characters from `start` to `end`, hidden ones by name.
export function textBetween(pieces, { start, end }) {
  return pieces.map((piece) => {
    if (piece.hidden) return piece.start >= start && piece.start < end ? `⟦${piece.hidden}⟧` : "";
    return [...piece.text].slice(Math.max(0, start - piece.start), Math.max(0, end - piece.start)).join("");
  }).join("");
}

// The text's clauses as [{start, end}], for picking by keyboard.
export function clauses(pieces) {
  const found = [];
  let open = null;
  for (const piece of pieces) {
    const chars = piece.hidden ? [" "] : [...piece.text];
    chars.forEach((char, n) => {
      const at = piece.start + n;
      if (!/\s/.test(char)) open = { start: open?.start ?? at, end: at + 1 };
      if (open && /[，。！？；：…,!?;\n]/.test(char)) { found.push(open); open = null; }
    });
  }
  return open ? [...found, open] : found;
}
