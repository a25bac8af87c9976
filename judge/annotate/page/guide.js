// The rubric as the guideline beside the text.

import { say } from "./words.js";

export function make(tag, { text, ...properties } = {}, children = []) {
  const element = Object.assign(document.createElement(tag), properties);
  if (text !== undefined) element.textContent = text;
  element.append(...children);
  return element;
}

export const badge = (label) => make("span", { className: "badge level-" + label, text: label });

const part = (title, children, className = "") => make("section", { className }, [make("h3", { text: title }), ...children]);
const folded = (title, children) => make("details", {}, [make("summary", { text: title }), ...children]);

export function guide(rubric, subcomponent) {
  return [
    make("p", { className: "question", text: rubric.question }),
    part(say("levels"), [make("ul", { className: "levels" }, rubric.levels.map(level))]),
    ...(rubric.subcomponents.length ? [part(say("parts"), rubric.subcomponents.map((p) => subpart(p, subcomponent)))] : []),
    part(say("definition"), [make("p", { text: rubric.definition })]),
    part(say("criteria"), [make("ol", { className: "criteria" }, rubric.criteria.map(criterion))]),
    part(say("rule"), [make("ol", { className: "rule" }, rubric.rule.map((step) => rule(step, rubric.criteria)))]),
    ...(rubric.rulings.length ? [part(say("rulings"), rubric.rulings.map((r) => folded(r.title, [make("p", { text: r.ruling })])))] : []),
    ...(rubric.examples.length ? [part(say("examples"), rubric.examples.map(example))] : []),
  ];
}

const level = (l) => make("li", {}, [badge(l.label), make("div", {}, [make("strong", { text: l.name }), make("p", { text: l.anchor })])]);

function subpart(p, current) {
  const details = folded(`${p.name_zh} · ${p.name}`, [make("p", { text: p.looks_for })]);
  details.open = p.name === current;
  details.classList.toggle("current", p.name === current);
  return details;
}

const criterion = (c) => make("li", {}, [folded(c.question, [make("p", { text: c.guide })])]);

function rule(step, criteria) {
  const numbers = criteria.map((c) => c.id);
  const when = Object.entries(step.when).map(([id, wanted]) => `${numbers.indexOf(id) + 1} ${say(wanted ? "yes" : "no")}`);
  return make("li", {}, [make("span", { text: when.join(" · ") || say("otherwise") }), make("span", { className: "arrow", text: "→" }), badge(step.label)]);
}

function example(e) {
  const details = folded("", [
    make("h4", { text: say("prompt") }), make("p", { text: e.prompt }),
    make("h4", { text: say("response").replace(/[（(].*/, "") }), make("p", { text: e.response }),
    make("p", { className: "reason", text: e.reason }),
  ]);
  details.firstChild.append(badge(e.label), ` ${e.prompt.slice(0, 24)}…`);
  return details;
}
