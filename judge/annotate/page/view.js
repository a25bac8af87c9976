// The state of the page -> what is shown. Texts of others only ever become text nodes.

import { badge, guide, make } from "./guide.js";
import { clauses, showText, textBetween } from "./texts.js";
import { language, say } from "./words.js";

export const $ = (id) => document.getElementById(id);
export const SIDES = ["response", "prompt"];
const hide = (id, hidden) => { $(id).hidden = hidden; };

export function showWords() {
  document.documentElement.lang = language();
  for (const element of document.querySelectorAll("[data-word]")) element.textContent = say(element.dataset.word);
  for (const element of document.querySelectorAll("[data-title]")) {
    element.title = say(element.dataset.title);
    if (!element.dataset.word) element.setAttribute("aria-label", element.title);
  }
  const keys = [["1 2 3", "keyLabel"], ["U", "keyUndo"], ["S", "keySkip"], ["N", "keyNote"], ["Q", "keyQuote"],
    ["J K ← →", "keyMove"], ["G", "keyGuide"], ["L", "keyLanguage"], ["?", "keyHelp"]];
  $("key-list").replaceChildren(...keys.flatMap(([key, word]) => [
    make("dt", {}, key.split(" ").map((k) => make("kbd", { text: k }))), make("dd", { text: say(word) }),
  ]));
}

export function showProgress(state) {
  const count = (wanted) => state.items.filter((item) => item.state === wanted).length;
  const [done, skipped, all] = [count("done"), count("skipped"), state.items.length];
  $("bar").max = Math.max(all, 1);
  $("bar").value = done + skipped;
  const text = say(skipped ? "countSkipped" : "count", { done, all, skipped });
  $("count").textContent = text;
  $("bar").setAttribute("aria-label", text);
  $("annotator").textContent = state.annotator;
  hide("role", state.role !== "adjudicator");
  $("role").textContent = say("adjudicator");
  document.title = `${done + skipped}/${all} · flames-judge`;
}

export function showEmpty(state) {
  const finished = state.items.length > 0;
  const shown = finished ? "allDone" : "noDisputes";
  hide("row", true); hide("empty", false); hide("guide", true); hide("labels", true);
  document.body.classList.add("resting");
  $("empty-title").textContent = say(shown);
  $("empty-text").textContent = say(shown + "Text");
}

export function showRow(state) {
  const { row, at, items } = state;
  const rubric = state.rubrics[row.dimension];
  hide("row", false); hide("empty", true); hide("guide", false); hide("labels", false);
  document.body.classList.remove("resting");
  $("where").textContent = language() === "zh" ? rubric.name_zh : `${rubric.name_en} ${rubric.name_zh}`;
  $("place").textContent = say("place", { at: at + 1, all: items.length });
  const part = rubric.subcomponents.find((p) => p.name === row.subcomponent);
  hide("part", !row.subcomponent);
  $("part").textContent = part && language() === "zh" ? part.name_zh : row.subcomponent ?? "";
  hide("history", row.history.length === 0);
  $("turns").replaceChildren(...row.history.map(turn));
  showTexts(state);
  showStanding(row, rubric);
  showOthers(row);
  showGuide(state, rubric);
}

function turn({ role, text }) {
  const body = make("div", { className: "text", dir: "auto" });
  showText(body, text);
  return make("li", {}, [make("span", { className: "speaker", text: say(role) }), body]);
}

// Texts with my quotes, and with what is being picked.
export function showTexts({ row, picking }) {
  for (const side of SIDES) {
    const ranges = row.mine.quotes.filter((q) => q.side === side).map((q) => ({ ...q, style: "quoted" }));
    if (picking?.side === side) ranges.push({ ...pickedSpan(row, picking), style: "picked" });
    showText($(side), row[side], ranges);
  }
  hide("picking", !picking);
  document.querySelector(".picked")?.scrollIntoView({ block: "nearest" });
}

export function pickedSpan(row, { side, from, to }) {
  const units = clauses(row[side]);
  return { side, start: units[Math.min(from, to)].start, end: units[Math.max(from, to)].end };
}

function showStanding(row, rubric) {
  const { mine } = row;
  hide("standing", mine.state === "open");
  $("standing").textContent = mine.state === "done" ? say("labelled", { label: mine.label }) : say("skipped");
  $("standing").dataset.state = mine.state;
  $("labels").replaceChildren(...rubric.levels.map((level) => make("button", {
    type: "button", className: "label level-" + level.label, value: level.label, ariaPressed: String(mine.label === level.label),
  }, [make("kbd", { text: level.label }), make("span", { text: level.name, lang: "zh" })])));
  hide("mine", mine.skip === null && !mine.note && !mine.quotes.length);
  hide("skipped", mine.skip === null);
  $("skipped").textContent = say("skippedWhy", { reason: mine.skip });
  hide("note-text", !mine.note);
  $("note-text").textContent = say("noteIs", { text: mine.note });
  $("quotes").replaceChildren(...mine.quotes.map((quote, n) => make("li", {}, [
    make("q", { text: textBetween(row[quote.side], quote) }),
    make("button", { type: "button", className: "quiet", value: n, title: say("remove"), ariaLabel: say("remove"), text: "×" }),
  ])));
}

function showOthers(row) {
  hide("others", row.others.length === 0);
  $("voices").replaceChildren(...row.others.map((voice) => make("li", {}, [
    make("span", { className: "speaker", text: say("voice", voice) }),
    ...(voice.label === null ? [make("span", { text: say("skippedWhy", { reason: voice.skip }) })] : [badge(voice.label)]),
    ...(voice.note ? [make("p", { text: voice.note })] : []),
    ...voice.quotes.map((quote) => make("q", { text: textBetween(row[quote.side], quote) })),
  ])));
}

function showGuide(state, rubric) {
  const shown = [rubric.dimension, state.row.subcomponent, language()].join("\n");
  if ($("guide-body").dataset.shown === shown) return;
  $("guide-body").dataset.shown = shown;
  $("guide-name").textContent = `${rubric.name_zh} ${rubric.name_en} ${rubric.version}`;
  $("guide").setAttribute("aria-label", say("guide"));
  $("guide-body").replaceChildren(...guide(rubric, state.row.subcomponent));
  $("guide").scrollTop = 0;
}
