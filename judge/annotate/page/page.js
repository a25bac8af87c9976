// What annotators do: keys and buttons -> requests -> what is shown. A mark counts once the server
// has said that it is saved; until then the page stays where it is.

import { get, post, Refused } from "./requests.js";
import { clauses, selectedSpan } from "./texts.js";
import { $, pickedSpan, showEmpty, showProgress, showRow, showTexts, showWords, SIDES } from "./view.js";
import { say, switchLanguage } from "./words.js";

const state = { items: [], rubrics: {}, at: 0, row: null, last: null, picking: null };
let busy = true;

// One request at a time: what is pressed meanwhile would meet another row than the one that was seen.
async function alone(work) {
  if (busy) return;
  busy = true;
  try {
    await work();
  } catch (error) {
    if (!(error instanceof Refused) && !(error instanceof TypeError)) throw error;
    tell("");
    complain(error.status === 403 ? say("notValid") : error instanceof Refused ? say("refused", { error: error.message }) : say("notSaved"));
    if (error.status === 409) await load();
  } finally {
    busy = false;
  }
}

function tell(text) { $("saved").textContent = text; }
function complain(text) { $("problem").hidden = !text; $("problem").textContent = text; }

function showAll() {
  showWords();
  showProgress(state);
  if (state.row) showRow(state); else showEmpty(state);
}

async function load() {
  const here = state.items[state.at]?.id;
  Object.assign(state, await get("api/queue"));
  const again = state.items.findIndex((item) => item.id === here);
  await go(again >= 0 ? again : nextOpen(-1));
}

// The next open row after `at`, going round; the number of rows when there is none.
function nextOpen(at) {
  const order = [...state.items.keys()];
  const open = [...order.slice(at + 1), ...order.slice(0, at + 1)].find((n) => state.items[n].state === "open");
  return open ?? state.items.length;
}

async function go(at) {
  const item = state.items[at];
  const row = item ? await get(`api/items/${item.id}`) : null;
  Object.assign(state, { at, row, picking: null });
  try {
    showAll();
  } catch (error) { // another row's texts may still stand there: no key may label this one
    state.row = null;
    $("row").hidden = true;
    complain(say("notShown"));
    console.error(error);
    return;
  }
  const place = $(state.row ? "row" : "empty");
  place.focus({ preventScroll: true });
  scrollTo(0, 0);
}

function move(step) {
  const at = Math.min(Math.max(state.at + step, 0), state.items.length - 1);
  if (at !== state.at && state.items.length) alone(() => go(at));
}

async function save(mark, { advance = false } = {}) {
  const item = state.items[state.at];
  tell(say("saving"));
  const { last, mine } = await post(`api/items/${item.id}/marks`, mark);
  Object.assign(state, { last });
  Object.assign(item, { state: mine.state, label: mine.label });
  state.row.mine = mine;
  complain("");
  tell(say("saved"));
  if (advance) await go(nextOpen(state.at)); else showAll();
}

function giveLabel(label) {
  const known = state.row && state.rubrics[state.row.dimension].levels.some((level) => level.label === label);
  if (known) alone(() => save({ kind: "label", label }, { advance: true }));
}

function undo() {
  if (!state.last) return tell(say("nothingToUndo"));
  const { event, item } = state.last;
  return alone(async () => {
    await post("api/undo", { event });
    Object.assign(state, await get("api/queue"));
    complain("");
    tell(say("undone"));
    const at = state.items.findIndex((row) => row.id === item);
    await go(at >= 0 ? at : nextOpen(-1));
  });
}

const saveQuotes = (quotes) => alone(() => save({ kind: "quotes", quotes }));

function quote() {
  if (!state.row) return;
  const found = SIDES.map((side) => ({ side, ...selectedSpan($(side)) })).filter((span) => span.end);
  if (found.length) {
    getSelection().removeAllRanges();
    saveQuotes([...state.row.mine.quotes, ...found]);
  } else {
    pick(SIDES.find((side) => clauses(state.row[side]).length));
  }
}

function pick(side, from = 0, to = from) {
  if (!side) return;
  const most = clauses(state.row[side]).length - 1;
  const within = (n) => Math.min(Math.max(n, 0), most);
  state.picking = { side, from: within(from), to: within(to) };
  showTexts(state);
}

function stopPicking() { state.picking = null; showTexts(state); }

function pickKey(event) {
  const { side, from, to } = state.picking;
  const step = { ArrowRight: 1, ArrowDown: 1, j: 1, J: 1, ArrowLeft: -1, ArrowUp: -1, k: -1, K: -1 }[event.key];
  if (step) return event.shiftKey ? pick(side, from, to + step) : pick(side, to + step);
  if (event.key === "Tab") {
    const other = SIDES.find((name) => name !== side);
    return pick(clauses(state.row[other]).length ? other : side);
  }
  if (event.key === "Escape") return stopPicking();
  if (event.key === "Enter" || event.key === "q") {
    const span = pickedSpan(state.row, state.picking);
    stopPicking();
    return saveQuotes([...state.row.mine.quotes, span]);
  }
  return undefined;
}

// Ask for words in a dialog; `use` gets them, and says whether they will do.
function ask(title, words, presets, use) {
  $("asking-title").textContent = title;
  $("words").value = words;
  $("presets").replaceChildren(...presets.map((text) => Object.assign(document.createElement("button"), { type: "button", textContent: text })));
  $("save").onclick = () => { if (use($("words").value.trim())) $("asking").close(); else $("words").focus(); };
  $("asking").showModal();
  $("words").focus();
}

function skip() {
  if (!state.row) return;
  ask(say("skipTitle"), state.row.mine.skip ?? "", say("presets"), (reason) => {
    if (reason) alone(() => save({ kind: "skip", reason }, { advance: true }));
    return reason;
  });
}

function note() {
  if (!state.row) return;
  ask(say("noteTitle"), state.row.mine.note, [], (text) => {
    if (text !== state.row.mine.note) alone(() => save({ kind: "note", text }));
    return true;
  });
}

function download() {
  const link = Object.assign(document.createElement("a"), { href: "gold.jsonl", download: "gold.jsonl" });
  link.click();
}

function changeLanguage() { switchLanguage(); showAll(); tell(""); complain(""); }
function fold() { $("fold").open = !$("fold").open; }
const help = () => $("keys").showModal();

const KEYS = {
  1: () => giveLabel(1), 2: () => giveLabel(2), 3: () => giveLabel(3),
  u: undo, s: skip, n: note, q: quote, j: () => move(1), k: () => move(-1),
  arrowright: () => move(1), arrowleft: () => move(-1), g: fold, l: changeLanguage, "?": help, "？": help,
};

addEventListener("keydown", (event) => {
  const writing = event.target instanceof HTMLTextAreaElement;
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.repeat && !state.picking) return;
  if (document.querySelector("dialog[open]")) {
    if (writing && event.key === "Enter" && !event.shiftKey) { event.preventDefault(); $("save").click(); }
    return;
  }
  const onButton = event.target instanceof HTMLButtonElement || event.target.tagName === "SUMMARY";
  if (state.picking && !(onButton && event.key === "Enter")) {
    event.preventDefault();
    pickKey(event);
    return;
  }
  const action = KEYS[event.key.toLowerCase()];
  if (action) { event.preventDefault(); action(); }
});

for (const [id, action] of Object.entries({ undo, skip, note, quote, help, export: download, language: changeLanguage })) $(id).onclick = action;
$("previous").onclick = () => move(-1);
$("next").onclick = () => move(1);
$("quote").onpointerdown = (event) => event.preventDefault(); // keeps the selection
$("cancel").onclick = () => $("asking").close();
$("close-keys").onclick = () => $("keys").close();
$("labels").onclick = (event) => { const button = event.target.closest("button"); if (button) giveLabel(Number(button.value)); };
$("presets").onclick = (event) => { const button = event.target.closest("button"); if (button) { $("words").value = button.textContent; $("words").focus(); } };
$("quotes").onclick = (event) => {
  const button = event.target.closest("button");
  if (button) saveQuotes(state.row.mine.quotes.filter((_, n) => n !== Number(button.value)));
};
// An adjudicator's queue grows while others label.
addEventListener("focus", () => { if (state.role === "adjudicator" && !document.querySelector("dialog[open]")) alone(load); });

const wide = matchMedia("(min-width: 900px)");
const unfold = () => { $("fold").open = wide.matches; };
wide.addEventListener("change", unfold);
unfold();
showWords();
busy = false;
alone(load);
