/** Talks to the gateway that served this page, and to nobody else. */

const KEY = "swarmgate-key";

/** The gateway wants an API key, and has not got a good one. */
export class KeyWanted extends Error {}

export function heldKey(): string {
  return sessionStorage.getItem(KEY) ?? "";
}

/** Keep the key until the tab is closed. */
export function holdKey(key: string): void {
  if (key) sessionStorage.setItem(KEY, key);
  else sessionStorage.removeItem(KEY);
}

/** Ask for `path`; whatever is not well ends as an error whose message is for people. */
export async function ask(path: string, body?: unknown, signal?: AbortSignal): Promise<Response> {
  const headers: Record<string, string> = {};
  if (heldKey()) headers["Authorization"] = `Bearer ${heldKey()}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const init: RequestInit = { headers, cache: "no-store" };
  if (signal) init.signal = signal;
  if (body !== undefined) Object.assign(init, { method: "POST", body: JSON.stringify(body) });
  const answer = await connected(fetch(path, init));
  if (answer.ok) return answer;
  const told = await answer.text();
  if (answer.status === 401 && !/only this machine/.test(told)) throw new KeyWanted(reasonIn(told, answer));
  throw new Error(reasonIn(told, answer));
}

/** What browsers say of a connection that fails is for nobody. */
async function connected<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof TypeError) throw new Error("the connection to the gateway is lost; is it running?");
    throw error;
  }
}

function reasonIn(told: string, answer: Response): string {
  try {
    return (JSON.parse(told) as { error: { message: string } }).error.message;
  } catch {
    return `the gateway answered ${answer.status}`;
  }
}

/** One server-sent event; a comment is an event called `comment`. */
export interface Sent {
  name: string;
  data: string;
}

/** Yield the events of a stream: EventSource can send no key. */
export async function* eventsOf(answer: Response): AsyncGenerator<Sent> {
  if (!answer.body) return;
  const reader = answer.body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await connected(reader.read());
      if (done) return;
      rest += decoder.decode(value, { stream: true });
      const blocks = rest.split("\n\n");
      rest = blocks.pop() ?? "";
      for (const block of blocks) yield eventIn(block);
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

function eventIn(block: string): Sent {
  let name = "message";
  const data: string[] = [];
  for (const line of block.split("\n")) {
    if (line.startsWith(":")) return { name: "comment", data: line.slice(1).trim() };
    if (line.startsWith("event: ")) name = line.slice(7);
    if (line.startsWith("data: ")) data.push(line.slice(6));
  }
  return { name, data: data.join("\n") };
}
