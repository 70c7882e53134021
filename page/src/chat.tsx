/** A place to try the models out: it streams, and says who answered. */

import { useEffect, useRef, useState } from "preact/hooks";
import type { Swarm } from "./documents";
import { ask, eventsOf } from "./gateway";
import { Copy } from "./parts";
import { Prose } from "./prose";
import { answeredBy } from "./seen";
import { counted, rate, short, span } from "./words";

interface Turn {
  role: "user" | "assistant";
  text: string;
  thoughts?: string;
  by?: string;
  fault?: string;
  stopped?: boolean;
}

interface Piece {
  error?: { message: string };
  choices?: { delta?: { content?: string; reasoning_content?: string } }[];
  usage?: { completion_tokens: number };
}

export function modelsOf(swarm: Swarm): string[] {
  const names = [
    ...swarm.models.filter((model) => model.ready).map((model) => model.name),
    ...swarm.nodes.filter((node) => node.state === "ready").flatMap((node) => node.models),
  ];
  return [...new Set(names)].sort();
}

/** What a model is told of a conversation: a question that got no answer is left out, for many want both in turn. */
function told(turns: Turn[]): Turn[] {
  return turns.filter((turn, index) => {
    const answer = turn.role === "user" ? turns[index + 1] : turn;
    return answer !== undefined && answer.text !== "" && !answer.fault;
  });
}

/** Within so many pixels of its end a conversation is followed; whoever has scrolled up reads on in peace. */
const NEAR_THE_END = 48;

export function Chat({ swarm }: { swarm: Swarm }) {
  const models = modelsOf(swarm);
  const [wanted, setWanted] = useState("");
  const [turns, setTurns] = useState<Turn[]>([]);
  const [draft, setDraft] = useState("");
  const [stop, setStop] = useState<AbortController | null>(null);
  const log = useRef<HTMLDivElement>(null);
  const field = useRef<HTMLTextAreaElement>(null);
  const follows = useRef(true);
  const model = models.includes(wanted) ? wanted : (models[0] ?? "");

  useEffect(() => {
    if (log.current && follows.current) log.current.scrollTop = log.current.scrollHeight;
  }, [turns]);

  const amend = (change: (last: Turn) => Turn) =>
    setTurns((held) => [...held.slice(0, -1), change(held[held.length - 1] as Turn)]);

  const clear = () => {
    setTurns([]);
    field.current?.focus(); // the button can be pressed no more
  };
  const send = async () => {
    const text = draft.trim();
    if (!text || !model || stop) return;
    const leave = new AbortController();
    const question: Turn = { role: "user", text };
    follows.current = true;
    setStop(leave);
    setDraft("");
    setTurns([...turns, question, { role: "assistant", text: "" }]);
    try {
      await answer(model, [...told(turns), question], leave.signal, amend, (worker) => answeredBy(worker, swarm));
    } catch (error) {
      const left = leave.signal.aborted;
      amend((last) => (left ? { ...last, stopped: true } : { ...last, fault: (error as Error).message }));
    } finally {
      setStop(null);
    }
  };

  if (models.length === 0 && turns.length === 0) {
    return <p class="empty">No model is ready. When one is, you can talk to it here.</p>;
  }
  const followed = ({ currentTarget: { scrollHeight, scrollTop, clientHeight } }: { currentTarget: HTMLElement }) => {
    follows.current = scrollHeight - scrollTop - clientHeight < NEAR_THE_END;
  };
  return (
    <div class="chat panel">
      <div
        class="log"
        ref={log}
        role="log"
        aria-label="Conversation"
        aria-live="polite"
        aria-busy={stop !== null}
        tabIndex={0}
        onScroll={followed}
      >
        {turns.length === 0 && <p class="note">Ask {short(model)} something. Nothing of it is kept when you leave the page.</p>}
        {turns.map((turn, index) => (
          <article key={index} class={`turn ${turn.role}`} aria-label={turn.role === "user" ? "You" : "Answer"}>
            {turn.thoughts && (
              <details>
                <summary>Thoughts</summary>
                <p>{turn.thoughts}</p>
              </details>
            )}
            {turn.role === "user" ? (
              <p class="text said">{turn.text}</p>
            ) : (
              <Prose text={turn.text} writing={stop !== null && index === turns.length - 1} />
            )}
            {(turn.by || turn.stopped) && (
              <p class="by note">
                <span>{[turn.by, turn.stopped && "stopped"].filter(Boolean).join(" · ")}</span>
                {turn.text && !(stop && index === turns.length - 1) && <Copy text={turn.text} what="the answer" />}
              </p>
            )}
            {turn.fault && (
              <p class="why" role="alert">
                {turn.fault}
              </p>
            )}
          </article>
        ))}
      </div>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void send();
        }}
      >
        <label class="model-pick">
          <span>Model</span>
          <select value={model} onChange={(event) => setWanted(event.currentTarget.value)}>
            {models.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </label>
        <label class="draft">
          <span class="unseen">Message</span>
          <textarea
            ref={field}
            rows={2}
            value={draft}
            placeholder="Message"
            onInput={(event) => setDraft(event.currentTarget.value)}
            onKeyDown={(event) => {
              if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
                event.preventDefault();
                void send();
              }
            }}
          />
        </label>
        <span class="acts">
          {stop ? (
            <button
              type="button"
              onClick={() => {
                stop.abort();
                field.current?.focus(); // the button goes
              }}
            >
              Stop
            </button>
          ) : (
            <button type="submit" disabled={!draft.trim() || !model}>
              Send
            </button>
          )}
          <button type="button" class="quiet" disabled={turns.length === 0 || stop !== null} onClick={clear}>
            Clear
          </button>
        </span>
      </form>
    </div>
  );
}

async function answer(
  model: string,
  turns: Turn[],
  signal: AbortSignal,
  amend: (change: (last: Turn) => Turn) => void,
  named: (worker: string) => string,
): Promise<void> {
  const began = performance.now();
  const messages = turns.map(({ role, text }) => ({ role, content: text }));
  const asked = { model, messages, stream: true, stream_options: { include_usage: true } };
  const response = await ask("/v1/chat/completions", asked, signal);
  let worker = response.headers.get("X-Gateway-Worker") ?? "";
  let resumed = Number(response.headers.get("X-Gateway-Resumed") ?? 0);
  let first = 0;
  let tokens = 0;
  const say = () => {
    const seconds = (performance.now() - first) / 1000;
    const parts = [worker && `answered by ${named(worker)}`];
    if (resumed > 0) parts.push(`carried on ${resumed}×`);
    if (tokens > 0) parts.push(counted(tokens, "token"));
    if (tokens > 1 && first > 0 && seconds > 0) parts.push(`${rate((tokens - 1) / seconds)} tokens/s`);
    if (first > 0) parts.push(`first after ${span((first - began) / 1000)}`);
    return parts.filter(Boolean).join(" · ");
  };
  amend((last) => ({ ...last, by: say() }));
  for await (const { name, data } of eventsOf(response)) {
    if (name === "comment") {
      worker = /x-gateway-worker=(\S+)/.exec(data)?.[1] ?? worker;
      resumed = Number(/x-gateway-resumed=(\d+)/.exec(data)?.[1] ?? resumed);
      continue;
    }
    if (data === "[DONE]") break;
    const piece = JSON.parse(data) as Piece;
    if (piece.error) throw new Error(piece.error.message);
    const delta = piece.choices?.[0]?.delta;
    const text = delta?.content ?? "";
    const thought = delta?.reasoning_content ?? "";
    if ((text || thought) && first === 0) first = performance.now();
    tokens = piece.usage?.completion_tokens ?? tokens + (text || thought ? 1 : 0);
    const by = say();
    amend((last) => ({ ...last, text: last.text + text, thoughts: (last.thoughts ?? "") + thought, by }));
  }
}
