// Asking the server; the link's token goes along, and every answer is JSON.

const token = location.pathname.split("/")[2];

export class Refused extends Error {
  constructor(status, reason) { super(reason); this.status = status; }
}

async function ask(path, options = {}) {
  const headers = { "X-Flames-Token": token, ...(options.body ? { "Content-Type": "application/json" } : {}) };
  const answer = await fetch(path, { ...options, headers, cache: "no-store", redirect: "error" });
  const content = answer.headers.get("Content-Type")?.startsWith("application/json") ? await answer.json() : {};
  if (!answer.ok) throw new Refused(answer.status, content.error ?? answer.statusText);
  return content;
}

export const get = (path) => ask(path);
export const post = (path, content) => ask(path, { method: "POST", body: JSON.stringify(content) });
