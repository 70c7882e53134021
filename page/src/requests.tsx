/** The requests that run, and the last that do not any more. */

import type { Asked, Swarm } from "./documents";
import { Dot } from "./parts";
import { answeredBy, type Mark } from "./seen";
import { rate, span } from "./words";

function phase(asked: Asked): [Mark, string] {
  switch (asked.phase) {
    case "queued":
      return ["wait", `waits, place ${asked.queue_place ?? "?"}`];
    case "reading":
      return ["busy", "reads the prompt"];
    case "writing":
      return ["busy", "writes"];
    default:
      if (asked.status === 499) return ["gone", "client left"];
      return asked.status !== null && asked.status < 400 ? ["good", "done"] : ["bad", `failed, ${asked.error ?? asked.status}`];
  }
}

export function Requests({ swarm }: { swarm: Swarm }) {
  const { requests } = swarm;
  if (requests.length === 0) {
    return <p class="empty">No request has come yet. Ask something below, or point any OpenAI, Anthropic or Ollama client at this address.</p>;
  }
  return (
    <>
      <div class="scroll" tabIndex={0} role="region" aria-label="Requests, as a table">
        <table>
          <thead>
            <tr>
              <th scope="col">State</th>
              <th scope="col">Model</th>
              <th scope="col">Answered by</th>
              <th scope="col" class="n">Tokens</th>
              <th scope="col" class="n">Tokens/s</th>
              <th scope="col" class="n">Attempts</th>
              <th scope="col" class="n">Carried on</th>
              <th scope="col" class="n">Time</th>
              <th scope="col">Id</th>
            </tr>
          </thead>
          <tbody>
            {requests.map((asked) => {
              const [mark, state] = phase(asked);
              return (
                <tr key={`${asked.id} ${asked.at}`} class={asked.phase === "over" ? "over" : "running"}>
                  <td>
                    <span class="state">
                      <Dot mark={mark} /> {state}
                    </span>
                    {asked.reason && <span class="note why">{asked.reason}</span>}
                  </td>
                  <td>{asked.model ?? "–"}</td>
                  <td>{asked.worker ? answeredBy(asked.worker, swarm) : "–"}</td>
                  <td class="n">{asked.completion_tokens || "–"}</td>
                  <td class="n">{asked.tokens_per_second === undefined ? "–" : rate(asked.tokens_per_second)}</td>
                  <td class="n">{asked.attempts || "–"}</td>
                  <td class="n">{asked.resumed ? `${asked.resumed}×` : "–"}</td>
                  <td class="n">{span(asked.seconds)}</td>
                  <td>
                    <code class="whole">{asked.id}</code>
                  </td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
      <p class="note under">
        <code>gateway explain ID</code> says why a request went where it went, and what else was considered.
      </p>
    </>
  );
}
